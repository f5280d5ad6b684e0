"""`./tongban log`: what was changed is named, what is private stays private, and nobody's number is ever repeated."""

import io
import json
import os
import shutil
import sys

import pytest

from tests.cli.cast import a_consumer, a_directory, a_provider, flipped, machine, the_receipt, told
from tests.exchange.city import a_key_entry, a_member, without
from tests.exchange.city import the_entries as the_city
from tests.world import ANSWERING_KEY, APPLICANT, CALLING_KEY, CIVIL_AFFAIRS, HUSBAND, NOON, STRANGER
from tongban.kit.clock import MovedClock
from tongban.tlog.checkpoint import sign, verify
from tongban.tlog.log import Log


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """Both nodes, made once; tests that change them take a copy."""
    place = tmp_path_factory.mktemp("nodes")
    a_consumer(place / "transport", a_provider(place / "civil-affairs"))
    return place


@pytest.fixture
def nodes(laid, tmp_path):
    return shutil.copytree(laid, tmp_path / "nodes")


@pytest.fixture
def number(tmp_path):
    place = tmp_path / "number.txt"
    place.write_text(APPLICANT + "\n")
    return place


# verify


def test_a_sound_log_holds_with_every_signature(laid, capsys):
    status, said = told(capsys, "log", "verify", laid / "civil-affairs" / "log", "--signatures")
    assert status == 0
    assert "The log holds: all 9 entries under 1 signed checkpoints are as they were written." in said


def test_a_node_s_folder_stands_for_the_log_in_it(laid, capsys):
    _, found = machine(capsys, "log", "verify", laid / "civil-affairs", "--signatures")
    counts = {name: found[0][name] for name in ("entries", "requests", "answers", "unsigned", "checkpoints")}
    assert counts == {"entries": 9, "requests": 8, "answers": 8, "unsigned": 0, "checkpoints": 1}
    assert found[0]["holds"] is True


def test_a_consumer_s_log_is_checked_down_to_others_answers(laid, capsys):
    status, found = machine(capsys, "log", "verify", laid / "transport", "--signatures")
    assert (status, found[0]["requests"], found[0]["problems"]) == (0, 3, [])


def test_without_the_option_signatures_are_said_not_to_be_checked(laid, capsys):
    status, said = told(capsys, "log", "verify", laid / "civil-affairs")
    assert status == 0
    assert "not asked for; --signatures checks them" in said


@pytest.mark.parametrize("at", [40, 700, 2000, -3000])
def test_a_flipped_byte_among_the_entries_is_found_and_its_file_and_entry_are_named(nodes, capsys, at):
    path = nodes / "civil-affairs" / "log" / "entries" / "00000000.log"
    at %= path.stat().st_size
    before = path.read_bytes()[: at + 1].count(b"TBE1") - 1
    flipped(path, at)
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 1
    assert f"The log does NOT hold: entries/00000000.log, entry {before} (byte " in said
    assert "tlog.damaged" in said


def test_a_flipped_byte_in_the_last_entry_is_found_by_the_checkpoint_over_it(nodes, capsys):
    flipped(nodes / "civil-affairs" / "log" / "entries" / "00000000.log", -1)
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 1
    assert "checkpoints.log, checkpoint at size 9: entries that this checkpoint covers are gone" in said


def test_a_flipped_byte_of_an_answer_s_signature_names_both_places_where_it_can_be(nodes, capsys):
    flipped(nodes / "civil-affairs" / "log" / "answers" / "00000000.sig", 3 * 64 + 5)
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs", "--signatures")
    assert status == 1
    assert "entries/00000000.log or answers/00000000.sig, entry 3: a signature does not hold" in said
    assert told(capsys, "log", "verify", nodes / "civil-affairs")[0] == 0


@pytest.mark.parametrize("name", ["checkpoint", "checkpoints.log"])
def test_a_flipped_byte_of_a_checkpoint_is_found(nodes, capsys, name):
    flipped(nodes / "civil-affairs" / "log" / name, -10)
    status, found = machine(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 1
    assert {one["file"] for one in found[0]["problems"]} <= {"checkpoint", "checkpoints.log"}


def test_entries_cut_off_under_a_signed_checkpoint_are_missed(nodes, capsys):
    path = nodes / "civil-affairs" / "log" / "entries" / "00000000.log"
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"TBE")])
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 1
    assert "tlog.shorter_than_checkpoint" in said


def test_entries_after_the_newest_checkpoint_are_said_to_stand_on_nothing_yet(nodes, capsys):
    place = nodes / "civil-affairs" / "log"
    kept = {name: (place / name).read_bytes() for name in ("checkpoint", "checkpoints.log")}
    log = Log.open(place, f"{CIVIL_AFFAIRS}/civil-affairs", ANSWERING_KEY, MovedClock(NOON))
    body = {"round": "x", "stage": "opened", "digest": "0" * 64}
    from tongban.tlog.log import Draft

    log.append_many([Draft({"kind": "round", "body": body})])
    log.close()
    for name, data in kept.items():
        (place / name).write_bytes(data)
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 0
    assert "all 9 entries under 1 signed checkpoints are as they were written; 1 later ones" in said


def test_without_a_directory_the_log_only_agrees_with_itself(nodes, capsys):
    (nodes / "civil-affairs" / "directory.json").unlink()
    status, said = told(capsys, "log", "verify", nodes / "civil-affairs")
    assert status == 0
    assert "without a key nothing shows who wrote it" in said
    assert "The log holds" not in said


def test_signatures_cannot_be_checked_without_a_directory(nodes, capsys):
    (nodes / "civil-affairs" / "directory.json").unlink()
    status, found = machine(capsys, "log", "verify", nodes / "civil-affairs", "--signatures")
    assert (status, found[0]["code"]) == (3, "cli.no_directory")


def test_a_directory_that_lists_no_key_for_the_log_is_not_enough(nodes, capsys, tmp_path):
    entries = [one for one in the_city() if one.body.get("id") != ANSWERING_KEY.id]
    other = a_directory(tmp_path / "other.json", entries)
    status, found = machine(capsys, "log", "verify", nodes / "civil-affairs", "--directory", other)
    assert (status, found[0]["code"]) == (3, "cli.log_key_unlisted")


def test_a_key_that_an_older_directory_lists_counts_if_that_is_given_too(nodes, capsys, tmp_path):
    newer = a_directory(tmp_path / "newer.json", without(the_city(), "key", CALLING_KEY.id))
    words = ("log", "verify", nodes / "civil-affairs", "--signatures", "--directory", newer)
    status, found = machine(capsys, *words)
    assert (status, found[0]["problems"][0]["code"]) == (1, "tlog.key_unknown")
    assert machine(capsys, *words, "--directory", nodes / "transport" / "directory.json")[0] == 0


def test_a_checkpoint_signed_by_another_member_does_not_hold_though_its_key_is_listed(nodes, capsys):
    place = nodes / "civil-affairs" / "log"
    checkpoint = verify((place / "checkpoint").read_bytes(), f"{CIVIL_AFFAIRS}/civil-affairs", [ANSWERING_KEY.public])
    forged = sign(checkpoint, CALLING_KEY)
    (place / "checkpoint").write_bytes(forged)
    (place / "checkpoints.log").write_bytes(forged + b"\n")
    for words in ((), ("--signatures",)):
        status, found = machine(capsys, "log", "verify", nodes / "civil-affairs", *words)
        assert (status, found[0]["holds"]) == (1, False)
        assert found[0]["problems"][0]["file"] == "checkpoints.log"


def test_the_root_may_be_given_and_another_root_is_refused(laid, capsys):
    _, found = machine(capsys, "log", "verify", laid / "civil-affairs")
    root = found[0]["keys"]["directories"][0]["root"]
    assert found[0]["keys"]["root_known_from"] == ""
    status, said = told(capsys, "log", "verify", laid / "civil-affairs", "--root", root)
    assert status == 0
    assert "the root is the one given with --root" in said
    status, found = machine(capsys, "log", "verify", laid / "civil-affairs", "--root", "0" * 64)
    assert (status, found[0]["code"]) == (2, "cli.directory_unusable")


def test_a_root_that_the_node_itself_pins_must_be_the_directory_s(nodes, capsys):
    (nodes / "civil-affairs" / "node.toml").write_text(f'[node]\ndirectory_root = "{"0" * 64}"\n')
    status, found = machine(capsys, "log", "verify", nodes / "civil-affairs")
    assert (status, found[0]["code"]) == (2, "cli.directory_unusable")


def test_a_folder_without_a_log_is_told_apart_from_a_bad_log(tmp_path, capsys):
    status, found = machine(capsys, "log", "verify", tmp_path)
    assert (status, found[0]["code"]) == (2, "tlog.not_a_log")


def test_a_log_is_checked_while_its_node_owns_it(nodes, capsys):
    log = Log.open(nodes / "civil-affairs" / "log", f"{CIVIL_AFFAIRS}/civil-affairs", ANSWERING_KEY, MovedClock(NOON))
    assert told(capsys, "log", "verify", nodes / "civil-affairs", "--signatures")[0] == 0
    log.close()


# show


def test_the_newest_entries_are_shown_oldest_first(laid, capsys):
    _, found = machine(capsys, "log", "show", laid / "civil-affairs", "--last", 2)
    assert [(one["entry"], one["kind"]) for one in found] == [(7, "batch"), (8, "batch-persons")]


def test_entries_of_one_kind_are_picked_out(laid, capsys):
    _, found = machine(capsys, "log", "show", laid / "civil-affairs", "--kind", "refused", "--last", 1)
    assert [one["entry"] for one in found] == [2]


def test_the_owner_sees_pseudonym_and_purpose_and_nothing_that_unlocks_more(laid, capsys):
    for words in (("--json",), ()):
        _, said = told(capsys, "log", "show", laid / "civil-affairs", *words)
        assert "car-quota-lottery" in said
        for secret in ("persons_salt", "c2FsdA==", "tongban-ticket", "signature", "secret nonce", APPLICANT):
            assert secret not in said


def test_whoever_lacks_the_subject_key_sees_leaves_only(nodes, capsys):
    (nodes / "civil-affairs" / "log" / "subject.key").unlink()
    _, said = told(capsys, "log", "show", nodes / "civil-affairs")
    assert "Leaves only" in said
    assert "car-quota-lottery" not in said
    assert said.count("    leaf    ") == 9


def test_a_single_entry_is_shown_and_a_missing_one_is_a_no(laid, capsys):
    status, found = machine(capsys, "log", "show", laid / "civil-affairs", "--entry", 8)
    assert (status, found[0]["kind"]) == (0, "batch-persons")
    assert told(capsys, "log", "show", laid / "civil-affairs", "--entry", 9)[0] == 1
    assert told(capsys, "log", "show", laid / "civil-affairs", "--entry", -1)[0] == 1


# person


def person(capsys, node, number, *words):
    return told(capsys, "log", "person", node, "--domain", "citizen", "--key-file", number, *words)


def looks(capsys, node, number):
    status, found = machine(capsys, "log", "person", node, "--domain", "citizen", "--key-file", number)
    assert status == 0
    return found[0]


def test_everybody_who_looked_is_told_with_purpose_and_result_the_refused_too(laid, capsys, number):
    found = looks(capsys, laid / "civil-affairs", number)
    assert [(one["entry"], one["result"]) for one in found["looks"]] == [
        (0, "1 records"),
        (1, "refused: exchange.field_not_granted"),
        (2, "refused: exchange.quota_spent"),
        (4, "the answer of entry 0 again"),
        (6, "verdict met"),
    ]
    assert {one["purpose"] for one in found["looks"]} == {"car-quota-lottery"}
    assert {one["operator"] for one in found["looks"]} == {"T-0417"}


def test_a_refusal_is_sure_only_where_the_case_names_nobody_else(laid, capsys, number):
    found = looks(capsys, laid / "civil-affairs", number)
    assert {one["entry"]: one["sure"] for one in found["looks"]} == {0: True, 1: False, 2: True, 4: True, 6: True}
    assert "names this person and others" in person(capsys, laid / "civil-affairs", number)[1]


def test_another_person_has_other_looks(laid, capsys, tmp_path):
    (tmp_path / "husband").write_text(HUSBAND)
    found = looks(capsys, laid / "civil-affairs", tmp_path / "husband")
    assert [one["entry"] for one in found["looks"]] == [1, 3, 5]


def test_nobody_looked_is_an_answer_and_no_failure(laid, capsys, tmp_path):
    (tmp_path / "stranger").write_text(STRANGER)
    status, said = person(capsys, laid / "civil-affairs", tmp_path / "stranger")
    assert status == 0
    assert "none in this log" in said


def test_batches_are_listed_with_their_commitment_and_with_what_is_not_known(laid, capsys, number):
    found = looks(capsys, laid / "civil-affairs", number)
    assert [(one["entry"], one["persons"], one["committed"]) for one in found["batches"]] == [(7, 3, 8)]
    assert "Whether this person was among them is NOT shown here" in person(capsys, laid / "civil-affairs", number)[1]


def test_batches_over_other_identifiers_are_not_listed(laid, capsys, tmp_path):
    (tmp_path / "passport").write_text("E12345678")
    words = ("log", "person", laid / "civil-affairs", "--domain", "passport", "--key-file", tmp_path / "passport")
    _, found = machine(capsys, *words)
    assert found == [{"looks": [], "batches": [], "destroyed": []}]


def test_the_asker_s_own_log_tells_what_came_of_each_question(laid, capsys, number):
    found = looks(capsys, laid / "transport", number)
    assert [(one["entry"], one["result"]) for one in found["looks"]] == [(0, "answered"), (2, "no answer that counts")]


def test_the_number_may_be_piped(laid, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f" {APPLICANT}\n"))
    _, said = person(capsys, laid / "civil-affairs", "-")
    assert "exchange.quota_spent" in said


@pytest.mark.parametrize("wrong", [APPLICANT[:-1] + "7", "", "王小明"])
def test_a_number_that_does_not_hold_is_refused_and_never_repeated(laid, capsys, tmp_path, wrong):
    (tmp_path / "wrong").write_text(wrong)
    status, said = person(capsys, laid / "civil-affairs", tmp_path / "wrong", "--json")
    assert status == 2
    assert "cli.not_a_person" in said
    assert not wrong or wrong not in said


def test_a_file_of_numbers_that_cannot_be_read_is_told(laid, capsys, tmp_path):
    status, said = person(capsys, laid / "civil-affairs", tmp_path / "nowhere")
    assert (status, "cannot be read" in said) == (2, True)


def test_a_person_is_found_only_by_whoever_holds_the_subject_key(nodes, capsys, number):
    (nodes / "civil-affairs" / "log" / "subject.key").unlink()
    status, found = machine(
        capsys, "log", "person", nodes / "civil-affairs", "--domain", "citizen", "--key-file", number
    )
    assert (status, found[0]["code"]) == (3, "tlog.subject_key")


def test_departments_are_named_where_the_directory_names_them(laid, capsys, number):
    assert "民政局" in person(capsys, laid / "civil-affairs", number)[1]


# receipt


def receipt(capsys, nodes, place, held, *words):
    (place / "receipt.json").write_text(json.dumps(held))
    return told(capsys, "log", "receipt", nodes / "civil-affairs", place / "receipt.json", *words)


def test_a_receipt_is_found_in_both_logs(laid, capsys, tmp_path):
    status, said = receipt(
        capsys, laid, tmp_path, the_receipt(laid / "civil-affairs"), "--own", laid / "transport" / "log"
    )
    assert status == 0
    assert said.count("✓") == 3
    assert "The receipt holds" in said


def test_a_receipt_inside_a_round_s_own_story_is_read_too(laid, capsys, tmp_path):
    assert receipt(capsys, laid, tmp_path, {"took_ms": 5, "receipt": the_receipt(laid / "civil-affairs")})[0] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"leaf": "0" * 64}, "does NOT have the leaf"),
        ({"entry": 1}, "does NOT have the leaf"),
        ({"entry": 99}, "has no entry 99"),
        ({"origin": "11990100TB00000366/tax"}, "this is"),
        ({"own_entry": 0}, "does not speak of this answer"),
        ({"own_entry": None}, "names no entry"),
    ],
)
def test_a_receipt_that_a_log_does_not_keep_does_not_hold(laid, capsys, tmp_path, change, words):
    held = the_receipt(laid / "civil-affairs") | change
    status, said = receipt(capsys, laid, tmp_path, held, "--own", laid / "transport")
    assert status == 1
    assert words in said
    assert "does NOT hold" in said


@pytest.mark.parametrize("held", [[], {}, {"origin": 1, "entry": 0, "leaf": "x"}, {"origin": "a", "leaf": "b"}])
def test_what_is_no_receipt_is_told_apart_from_one_that_does_not_hold(laid, capsys, tmp_path, held):
    assert receipt(capsys, laid, tmp_path, held)[0] == 2


def test_the_commands_change_nothing(nodes, capsys, number):
    before = {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in nodes.rglob("*") if path.is_file()}
    told(capsys, "log", "verify", nodes / "civil-affairs", "--signatures")
    told(capsys, "log", "show", nodes / "civil-affairs")
    person(capsys, nodes / "civil-affairs", number)
    after = {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in nodes.rglob("*") if path.is_file()}
    assert after == before


def test_a_revoked_key_still_proves_what_it_signed_before(nodes, capsys, tmp_path):
    entries = without(the_city(), "key", CALLING_KEY.id)
    revoked = a_key_entry(CALLING_KEY, revoked_at="2014-06-09T12:00:00Z")
    place = a_directory(tmp_path / "d.json", [*entries, revoked])
    assert told(capsys, "log", "verify", nodes / "civil-affairs", "--signatures", "--directory", place)[0] == 0


def test_a_directory_in_which_somebody_signed_too_little_gives_no_keys(nodes, capsys, tmp_path):
    entries = without(the_city(), "member")
    place = a_directory(tmp_path / "d.json", [*entries, a_member(by=[ANSWERING_KEY])])
    status, found = machine(capsys, "log", "verify", nodes / "civil-affairs", "--directory", place)
    assert (status, found[0]["code"]) == (3, "cli.log_key_unlisted")
