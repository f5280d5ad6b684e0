"""The program that strangers run, run as they run it, and as a module for the many small forgeries."""

import ast
import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.test_signing import VECTORS
from tests.rounds import world
from tests.rounds.world import a_line, a_unit, drawn
from tongban.kit.keys import PublicKey, SigningKey
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


def run(place, *key):
    command = [sys.executable, "-I", str(place / "verify_draw.py"), str(place), *key]
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


def test_it_can_be_read_in_one_sitting_and_needs_nothing_but_the_standard_library():
    text = Path(verify_draw.__file__).read_text()
    assert len(text.splitlines()) <= 115
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


# The signature -----------------------------------------------------------------------------------------------------


def public_key():
    return base64.b64encode(world.KEY.public.public).decode()


def test_with_the_department_s_key_the_freeze_is_seen_to_be_signed(bundle):
    done = run(bundle, public_key())
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ok  the freeze is signed by {public_key()}" in done.stdout
    assert "Not checked" not in done.stdout


def test_without_a_key_the_program_says_that_it_did_not_look(bundle):
    assert "Not checked: who signed the freeze" in run(bundle).stdout


@pytest.mark.parametrize("key", [base64.b64encode(SigningKey("stranger", bytes(32)).public.public).decode(), "AAAA"])
def test_a_freeze_that_somebody_else_signed_does_not_hold(bundle, key):
    done = run(bundle, key)
    assert done.returncode == 1
    assert "BAD the freeze is signed by" in done.stdout


def test_a_key_that_is_no_base64_is_no_key(bundle):
    assert run(bundle, "é").returncode == 1


def test_a_bundle_whose_freeze_nobody_signed_does_not_hold_with_a_key(copy):
    value = json.loads((copy / "draw.json").read_text())
    value["freeze"]["signatures"] = {}
    (copy / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    assert holds(copy)
    assert run(copy, public_key()).returncode == 1


def test_a_receipt_for_another_freeze_is_found(copy):
    value = json.loads((copy / "draw.json").read_text())
    value["log"]["leaf"] = "0" * 64
    (copy / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    assert not holds(copy)


@pytest.mark.parametrize(("_secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_verify(_secret, public, message, signature):
    assert verify_draw.signed(*map(bytes.fromhex, (public, message, signature)))


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=80), data=st.data())
@settings(max_examples=25, deadline=None)
def test_it_judges_as_libsodium_does(seed, message, data):
    key = SigningKey("any", seed)
    whole = bytearray(key.public.public + key.sign(message))
    assert verify_draw.signed(key.public.public, message, bytes(whole[32:]))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    public, signature = bytes(whole[:32]), bytes(whole[32:])
    assert (
        verify_draw.signed(public, message, signature) is PublicKey("any", public).verifies(message, signature) is False
    )


#: Points of order 1, 2, 4 and 8 (RFC 7748's curve in Edwards form), and the same y written beyond the field.
_ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
SMALL = [
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "00" * 32,
    _ORDER_8,
    "ee" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("public", SMALL)
def test_a_key_of_small_order_or_of_another_form_fits_nothing(public):
    # With R the identity and S nought, such a key would fit (nearly) every message.
    public, signature = bytes.fromhex(public), bytes.fromhex("01" + "00" * 63)
    assert not any(verify_draw.signed(public, b"%d" % n, signature) for n in range(20))


def test_an_s_beyond_the_order_is_a_second_form_of_one_signature_and_refused():
    key = SigningKey("any", bytes(32))
    signature = key.sign(b"m")
    more = int.from_bytes(signature[32:], "little") + verify_draw.L
    assert not verify_draw.signed(key.public.public, b"m", signature[:32] + more.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65])
def test_a_signature_of_another_length_is_none(length):
    key = SigningKey("any", bytes(32))
    assert not verify_draw.signed(key.public.public, b"m", (key.sign(b"m") + b"\0")[:length])
