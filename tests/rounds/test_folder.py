import pytest

from tongban.rounds.folder import Busy, Contradicted, Damaged, NoRound, OutOfOrder, RoundFolder, Stage

INPUT = {"answers": "a" * 64}


@pytest.fixture
def folder(tmp_path):
    made = RoundFolder(tmp_path / "2014-3")
    made.path.mkdir()
    made.keep("round.json", b"{}\n")
    return made


def one_file(place):
    (place / "one.txt").write_text("one")


def stop_halfway(place):
    one_file(place)
    raise KeyboardInterrupt


def test_a_folder_without_a_round_is_no_round(tmp_path):
    with pytest.raises(NoRound):
        _ = RoundFolder(tmp_path).stage


def test_a_step_takes_the_round_one_stage_further(folder):
    assert folder.step(Stage.VERIFIED, INPUT, one_file) is True
    assert folder.stage is Stage.VERIFIED


def test_a_step_asked_for_again_does_nothing(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    assert folder.step(Stage.VERIFIED, INPUT, stop_halfway) is False


def test_a_finished_step_is_not_made_anew_from_other_input(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    with pytest.raises(Contradicted, match="answers") as caught:
        folder.step(Stage.VERIFIED, {"answers": "b" * 64}, one_file)
    assert caught.value.code == "rounds.contradicted"


def test_a_step_that_stops_halfway_leaves_the_stage_before(folder):
    with pytest.raises(KeyboardInterrupt):
        folder.step(Stage.VERIFIED, INPUT, stop_halfway)
    assert folder.stage is Stage.NEW
    assert folder.step(Stage.VERIFIED, INPUT, one_file) is True


def test_no_stage_is_left_out(folder):
    with pytest.raises(OutOfOrder):
        folder.step(Stage.DECIDED, INPUT, one_file)


def test_a_later_stage_keeps_an_earlier_step_idempotent(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    folder.step(Stage.DECIDED, INPUT, one_file)
    assert folder.step(Stage.VERIFIED, INPUT, stop_halfway) is False


def test_setting_back_keeps_what_was_there(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    folder.step(Stage.DECIDED, INPUT, one_file)
    folder.set_back(Stage.NEW, {"by": "T-0417", "why": "a department answered late"})
    assert folder.stage is Stage.NEW
    assert len(list((folder.path / "superseded").glob("*/one.txt"))) == 2
    assert folder.step(Stage.VERIFIED, {"answers": "b" * 64}, one_file) is True


def test_nothing_is_set_back_after_the_freeze(folder):
    for stage in (Stage.VERIFIED, Stage.DECIDED, Stage.FROZEN):
        folder.step(stage, INPUT, one_file)
    with pytest.raises(OutOfOrder):
        folder.set_back(Stage.NEW, {})
    assert folder.stage is Stage.FROZEN


def test_a_file_is_kept_once(folder):
    assert folder.keep("rechecks/a.json", b"1") is True
    assert folder.keep("rechecks/a.json", b"1") is False
    with pytest.raises(Contradicted):
        folder.keep("rechecks/a.json", b"2")


def test_a_changed_file_of_a_finished_step_is_noticed(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    folder.verify()
    (folder.path / "verdicts" / "one.txt").write_text("two")
    with pytest.raises(Damaged, match=r"verdicts/one\.txt"):
        folder.verify()


def test_an_added_file_of_a_finished_step_is_noticed(folder):
    folder.step(Stage.VERIFIED, INPUT, one_file)
    (folder.path / "verdicts" / "more.txt").write_text("two")
    with pytest.raises(Damaged, match=r"more\.txt"):
        folder.verify()


def test_two_processes_do_not_write_the_same_round(folder):
    with folder.locked(), pytest.raises(Busy), RoundFolder(folder.path).locked():
        pass


def test_a_lock_ends_with_its_holder(folder):
    with folder.locked():
        pass
    with folder.locked():
        assert folder.stage is Stage.NEW
