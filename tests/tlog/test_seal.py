import pytest

from tests.tlog.cast import CALL, ORIGIN, a_record
from tests.world import ANSWERING_KEY, DAY, HOUR, NOON
from tongban.kit.clock import MovedClock
from tongban.tlog.log import Draft, Log


@pytest.fixture
def clock():
    return MovedClock(NOON - 12 * HOUR + 8 * HOUR)  # 08:00 UTC


@pytest.fixture
def log(tmp_path, clock):
    log = Log.create(tmp_path / "log", ORIGIN, ANSWERING_KEY, clock)
    yield log
    log.close()


def an_answer(log, body=b'{"records":[{"status":"married"}]}'):
    return log.entry(log.append_many([Draft(CALL, a_record(), body)])[0].index)


def days(log):
    return sorted(path.stem for path in (log.directory / "seal").iterdir())


def test_a_stored_answer_stands_in_no_file_in_the_clear(log):
    an_answer(log)
    assert not any(b"married" in path.read_bytes() for path in log.directory.rglob("*") if path.is_file())


def test_a_stored_answer_is_read_for_a_day_at_least_and_two_at_most(log, clock):
    sealed = an_answer(log)
    clock.now = NOON - NOON % DAY + DAY - 1  # the last second of its day
    late = an_answer(log, b"late")
    clock.forward(DAY)
    an_answer(log, b"of the next day")
    log.checkpoint()
    assert (log.unseal(sealed), log.unseal(late)) == (b'{"records":[{"status":"married"}]}', b"late")
    clock.forward(1)
    log.checkpoint()
    assert (log.unseal(sealed), log.unseal(late)) == (None, None)
    assert days(log) == ["2014-06-10"]


def test_keys_whose_time_ended_while_the_node_was_down_are_deleted_when_it_starts(log, clock):
    sealed = an_answer(log)
    log.close()
    clock.forward(3 * DAY)
    again = Log.open(log.directory, ORIGIN, ANSWERING_KEY, clock)
    assert days(again) == []
    assert again.unseal(again.entry(sealed.index)) is None
    again.close()


def test_a_key_of_the_day_outlives_a_restart(log, clock):
    sealed = an_answer(log)
    log.close()
    again = Log.open(log.directory, ORIGIN, ANSWERING_KEY, clock)
    assert again.unseal(again.entry(sealed.index)) == b'{"records":[{"status":"married"}]}'
    an_answer(again)
    assert days(again) == ["2014-06-09"]
    again.close()


def test_an_answer_moved_to_another_entry_is_not_read_there(log):
    first, second = an_answer(log, b"one"), an_answer(log, b"two")
    assert log.unseal(first._replace(sealed=second.sealed)) is None
    assert log.unseal(first._replace(sealed=first.sealed[:-1])) is None
    assert log.unseal(first._replace(sealed=b"short")) is None


def test_equal_answers_are_sealed_differently(log):
    assert an_answer(log, b"same").sealed != an_answer(log, b"same").sealed
