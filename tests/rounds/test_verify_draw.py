"""The program that strangers run, run as they run it, and as a module for the many small forgeries."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rounds.world import a_line, a_unit, drawn
from tongban.rounds import verify_draw
from tongban.rounds.folder import Stage

FILES = ("pool.csv", "winners.csv", "draw.json")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    lines = [a_line(n, failed_draws=n) for n in range(40)] + [a_unit(50)]
    return drawn(tmp_path_factory.mktemp("round") / "r", lines).directory(Stage.DRAWN) / "persons"


@pytest.fixture
def copy(bundle, tmp_path):
    return Path(shutil.copytree(bundle, tmp_path / "persons"))


def run(place):
    command = [sys.executable, "-I", str(place / "verify_draw.py"), str(place)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def holds(place):
    """Whether every check passes; a bundle that cannot be read does not hold."""
    try:
        return all(good for good, _ in verify_draw.checks(str(place)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


def change(place, name, at, byte):
    data = bytearray((place / name).read_bytes())
    if data[at % len(data)] == byte:
        return False
    data[at % len(data)] = byte
    (place / name).write_bytes(data)
    return True


def test_it_has_at_most_sixty_lines_and_needs_nothing_but_the_standard_library():
    text = Path(verify_draw.__file__).read_text()
    assert len(text.splitlines()) <= 60
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in found for name in [getattr(node, "module", None) or node.names[0].name]}
    names |= {alias.name.split(".")[0] for node in found if isinstance(node, ast.Import) for alias in node.names}
    assert names <= sys.stdlib_module_names


def test_a_true_bundle_holds_and_says_what_was_checked(bundle):
    done = run(bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert "BAD" not in done.stdout
    for word in ("root", "seed", "freeze digest", "winners", "40 codes", "citizens revealed"):
        assert word in done.stdout


def test_the_published_copy_is_the_program_we_test(bundle):
    assert (bundle / "verify_draw.py").read_bytes() == Path(verify_draw.__file__).read_bytes()


def test_a_forged_bundle_ends_with_status_one_and_says_where(copy):
    lines = (copy / "winners.csv").read_text().splitlines()
    (copy / "winners.csv").write_text("\n".join([*lines[:-1], lines[-1][:-1] + "0"]) + "\n")
    done = run(copy)
    assert done.returncode == 1
    assert "BAD the 5 winners" in done.stdout
    assert "does NOT hold" in done.stdout


@pytest.mark.parametrize("name", FILES)
def test_a_bundle_without_one_of_its_files_ends_with_status_one(copy, name):
    (copy / name).unlink()
    done = run(copy)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"freeze": 1}'])
def test_a_draw_file_that_is_nonsense_ends_with_status_one(copy, text):
    (copy / "draw.json").write_text(text)
    done = run(copy)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@given(name=st.sampled_from(["pool.csv", "winners.csv"]), at=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_of_pool_or_winners_is_found(bundle, tmp_path_factory, name, at, byte):
    place = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("forged") / "b"))
    if change(place, name, at, byte):
        assert not holds(place)
    shutil.rmtree(place)


@given(
    party=st.sampled_from(["citizens", "notary-office", "transport"]),
    at=st.integers(0, 63),
    new=st.sampled_from("0123456789abcdefABCDEF xg"),
)
@settings(max_examples=100, deadline=None)
def test_any_changed_character_of_a_reveal_is_found(bundle, tmp_path_factory, party, at, new):
    place = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("forged") / "b"))
    text = (place / "draw.json").read_text()
    reveal = json.loads(text)["reveals"][party]
    if reveal[at] != new:
        (place / "draw.json").write_text(text.replace(reveal, reveal[:at] + new + reveal[at + 1 :]))
        assert not holds(place)
    shutil.rmtree(place)


def fitted(place):
    """Make the digests of the files fit again, as a forger would."""
    value = json.loads((place / "draw.json").read_text())
    value["files"] = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in value["files"]}
    (place / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


@given(
    name=st.sampled_from(["pool.csv", "winners.csv"]),
    at=st.integers(0, 10_000),
    byte=st.sampled_from(b"0123456789abcdef,\n"),
)
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_is_found_although_the_digests_were_made_to_fit(bundle, tmp_path_factory, name, at, byte):
    place = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("forged") / "b"))
    if change(place, name, at, byte):
        fitted(place)
        assert not holds(place)
    shutil.rmtree(place)


def test_fitting_the_digests_of_a_true_bundle_leaves_it_true(copy):
    fitted(copy)
    assert holds(copy)


def changed_body(copy, **facts):
    """The draw file with other facts in its freeze statement, in its one form."""
    value = json.loads((copy / "draw.json").read_text())
    value["freeze"]["body"] |= facts
    (copy / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("facts", [{"quota": 6}, {"codes": 41}, {"balls": 1}, {"round": "2014-4"}, {"pool": "units"}])
def test_any_other_fact_in_the_freeze_statement_is_found(copy, facts):
    changed_body(copy, **facts)
    assert not holds(copy)


@pytest.mark.parametrize("other", ["  ", "\n"])
def test_the_same_facts_written_otherwise_are_found(copy, other):
    text = (copy / "draw.json").read_text()
    (copy / "draw.json").write_text(text.replace("{", "{" + other, 1))
    assert not holds(copy)


def test_two_lines_that_changed_places_are_found(copy):
    lines = (copy / "pool.csv").read_bytes().split(b"\n")
    lines[0], lines[1] = lines[1], lines[0]
    (copy / "pool.csv").write_bytes(b"\n".join(lines))
    assert not holds(copy)


def test_a_winner_left_out_is_found(copy):
    (copy / "winners.csv").write_text("".join((copy / "winners.csv").read_text().splitlines(keepends=True)[:-1]))
    assert not holds(copy)


def test_a_party_left_out_is_found(copy):
    value = json.loads((copy / "draw.json").read_text())
    del value["reveals"]["citizens"]
    (copy / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    assert not holds(copy)
