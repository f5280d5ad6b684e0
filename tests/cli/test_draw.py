"""`./tongban draw verify`: the bundle alone, then who froze it, then that the freeze came first."""

import json
import shutil
from types import SimpleNamespace

import pytest

from tests.cli.cast import TRANSPORT_APPROVAL, a_directory, flipped, machine, told
from tests.exchange.city import a_key_entry, the_entries
from tests.rounds import world
from tests.rounds.world import a_line, a_unit
from tests.world import CALLING_KEY, NOON, TRANSPORT, a_key
from tongban.kit.clock import MovedClock
from tongban.rounds import draw
from tongban.rounds.folder import Stage
from tongban.rounds.round import log_body
from tongban.tlog.log import Draft, Log

ORIGIN = f"{TRANSPORT}/transport"
LINES = [a_line(n, failed_draws=n) for n in range(20)] + [a_unit(50)]


def stage(log, name, digest, pool="persons"):
    entry = log.append_many([Draft({"kind": "round", "body": log_body("2014-3", name, digest, pool)})])[0]
    return {"origin": ORIGIN, "entry": entry.index, "leaf": entry.leaf_hash.hex()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A drawn round, Transport's log of it, and the directory that lists the key with which it was frozen."""
    place = tmp_path_factory.mktemp("draw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "KEY", TRANSPORT_APPROVAL)
        folder = world.frozen(place / "r", LINES)
    log = Log.create(place / "log", ORIGIN, CALLING_KEY, MovedClock(NOON))
    statements = draw.frozen_statements(folder)
    receipts = {pool: stage(log, "frozen", one.digest(), pool) for pool, one in statements.items()}
    assert draw.draw(folder, world.REVEALS, receipts) is True
    for pool in statements:
        stage(log, "drawn", draw.drawn_digest(folder.directory(Stage.DRAWN) / pool), pool)
    log.close()
    directory = a_directory(place / "directory.json")
    return SimpleNamespace(bundle=folder.directory(Stage.DRAWN) / "persons", log=place / "log", directory=directory)


@pytest.fixture
def copy(drawn, tmp_path):
    bundle, log = shutil.copytree(drawn.bundle, tmp_path / "b"), shutil.copytree(drawn.log, tmp_path / "log")
    return SimpleNamespace(bundle=bundle, log=log, directory=drawn.directory)


def whole(capsys, at):
    """The command with everything it can be given: status and the checks that failed."""
    words = ("draw", "verify", at.bundle, "--directory", at.directory, "--log", at.log)
    status, found = machine(capsys, *words)
    return status, [(one["part"], one["what"]) for one in found[0].get("checks", []) if not one["holds"]]


def later(at):
    """The log, opened again to write what a forger, or an unlucky office, would."""
    return Log.open(at.log, ORIGIN, CALLING_KEY, MovedClock(NOON))


def test_a_true_draw_holds_from_pool_to_log(drawn, capsys):
    words = ("draw", "verify", drawn.bundle, "--directory", drawn.directory, "--log", drawn.log)
    status, said = told(capsys, *words)
    assert status == 0
    assert "✗" not in said
    assert "The draw holds: this pool was frozen and signed, then the seed opened" in said


def test_the_bundle_alone_says_what_it_does_not_show(drawn, capsys):
    status, said = told(capsys, "draw", "verify", drawn.bundle)
    assert status == 0
    assert "NOT shown: who froze the pool (--directory); that it was frozen before the seed" in said


@pytest.mark.parametrize("name", ["winners.csv", "pool.csv", "draw.json"])
def test_a_changed_byte_of_a_bundle_is_found(copy, capsys, name):
    flipped(copy.bundle / name, 7)
    status, said = told(capsys, "draw", "verify", copy.bundle)
    assert status == 1
    assert "The draw does NOT hold" in said


def test_a_winner_exchanged_for_another_is_named_as_such(copy, capsys):
    lines = (copy.bundle / "winners.csv").read_text().splitlines()
    winners = {line.split(",")[1] for line in lines}
    loser = next(
        code for line in (copy.bundle / "pool.csv").read_text().split() if (code := line.split(",")[0]) not in winners
    )
    (copy.bundle / "winners.csv").write_text("\n".join([f"1,{loser}", *lines[1:]]) + "\n")
    status, said = told(capsys, "draw", "verify", copy.bundle)
    assert status == 1
    assert "winners, in this order, are exactly those drawn" in said.splitlines()[-1]


def test_the_program_in_a_bundle_is_never_run(copy, capsys, tmp_path):
    (copy.bundle / "verify_draw.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); print('The draw holds')\n")
    assert told(capsys, "draw", "verify", copy.bundle)[0] == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"freeze": 1}', "\x00"])
def test_a_bundle_that_is_nonsense_does_not_hold(copy, capsys, text):
    (copy.bundle / "draw.json").write_text(text)
    status, found = machine(capsys, "draw", "verify", copy.bundle)
    assert (status, found[0]["holds"]) == (1, False)


def test_a_folder_without_a_bundle_is_told_apart_from_a_bad_draw(tmp_path, capsys):
    status, found = machine(capsys, "draw", "verify", tmp_path)
    assert (status, found[0]["code"]) == (2, "cli.no_bundle")


def test_a_freeze_that_no_approval_key_of_the_department_signed_does_not_hold(drawn, capsys, tmp_path):
    drawn = SimpleNamespace(**vars(drawn) | {"directory": a_directory(tmp_path / "d.json", the_entries())})
    status, failed = whole(capsys, drawn)
    assert (status, [part for part, _ in failed]) == (1, ["signature"])


def test_a_freeze_signed_with_a_key_that_was_revoked_does_not_hold(drawn, capsys, tmp_path):
    revoked = a_key_entry(TRANSPORT_APPROVAL, revoked_at="2014-06-09T12:00:00Z")
    drawn = SimpleNamespace(**vars(drawn) | {"directory": a_directory(tmp_path / "d.json", [*the_entries(), revoked])})
    assert whole(capsys, drawn)[0] == 1


def test_the_log_of_another_department_proves_nothing(copy, capsys):
    shutil.rmtree(copy.log)
    Log.create(copy.log, f"{TRANSPORT}/other", CALLING_KEY, MovedClock(NOON)).close()
    status, failed = whole(capsys, copy)
    assert status == 1
    assert f"this log is {TRANSPORT}/other" in failed[0][1]


def test_a_log_that_was_changed_proves_nothing(copy, capsys):
    flipped(copy.log / "entries" / "00000000.log", 60)
    assert whole(capsys, copy)[0] == 1


def test_a_second_freeze_of_the_pool_is_seen(copy, capsys):
    log = later(copy)
    stage(log, "frozen", "0" * 64)
    log.close()
    assert whole(capsys, copy) == (1, [("log", "the pool was frozen once (found 2)")])


def test_a_second_draw_of_the_pool_is_seen(copy, capsys):
    log = later(copy)
    stage(log, "drawn", "0" * 64)
    log.close()
    assert whole(capsys, copy) == (1, [("log", "the pool was drawn once (found 2)")])


def test_a_draw_that_the_log_holds_before_the_freeze_does_not_hold(drawn, copy, capsys):
    shutil.rmtree(copy.log)
    log = Log.create(copy.log, ORIGIN, CALLING_KEY, MovedClock(NOON))
    stage(log, "drawn", draw.drawn_digest(copy.bundle))
    freeze = json.loads((copy.bundle / "draw.json").read_text())["freeze_digest"]
    stage(log, "frozen", freeze)
    log.close()
    status, failed = whole(capsys, copy)
    assert status == 1
    assert ("log", "entry 0 is this draw, after the freeze") in failed


def test_a_freeze_without_its_draw_in_the_log_does_not_hold(copy, capsys):
    shutil.rmtree(copy.log)
    log = Log.create(copy.log, ORIGIN, CALLING_KEY, MovedClock(NOON))
    freeze = json.loads((copy.bundle / "draw.json").read_text())["freeze_digest"]
    stage(log, "frozen", freeze)
    log.close()
    status, failed = whole(capsys, copy)
    assert (status, failed[-1]) == (1, ("log", "the pool was drawn once (found 0)"))


def test_a_receipt_of_another_freeze_in_the_bundle_is_found(copy, capsys):
    value = json.loads((copy.bundle / "draw.json").read_text())
    value["log"]["leaf"] = "0" * 64
    (copy.bundle / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    status, said = told(capsys, "draw", "verify", copy.bundle)
    assert status == 1
    assert "the receipt in the bundle is the log's for this freeze" in said.splitlines()[-1]


def test_a_log_folder_that_is_none_is_wrong_usage(drawn, tmp_path, capsys):
    status, found = machine(capsys, "draw", "verify", drawn.bundle, "--log", tmp_path)
    assert (status, found[-1]["code"]) == (2, "tlog.not_a_log")


def test_the_key_of_a_stranger_s_log_is_not_enough_for_the_freeze(copy, capsys):
    """The freeze must be signed by the member in whose log it stands, not by any member at all."""
    value = json.loads((copy.bundle / "draw.json").read_text())
    value["freeze"]["signatures"] = {a_key(TRANSPORT, "online").id: "A" * 86 + "=="}
    (copy.bundle / "draw.json").write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    status, failed = whole(capsys, copy)
    assert (status, failed[0][0]) == (1, "signature")
