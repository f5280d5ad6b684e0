"""The byte on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.rules.verdict import COMMON, COMMON_BY_NUMBER, OWN_REASONS, WORDS, Verdict, pack, unknown, unpack


@given(st.sampled_from(Verdict), st.integers(0, 63))
def test_a_verdict_and_its_reason_come_back_from_their_byte(verdict, reason):
    byte = pack(verdict, reason)
    assert 0 <= byte <= 255
    assert unpack(byte) == (verdict, reason)


@given(st.integers(0, 255))
def test_every_byte_is_some_verdict(byte):
    assert pack(*unpack(byte)) == byte


def test_the_numbers_of_the_wire_format_never_change():
    assert [int(verdict) for verdict in Verdict] == [0, 1, 2, 3]
    assert WORDS == {
        "not_met": Verdict.NOT_MET, "met": Verdict.MET, "unknown": Verdict.UNKNOWN,
        "not_applicable": Verdict.NOT_APPLICABLE,
    }  # fmt: skip
    assert {code: reason.number for code, reason in COMMON.items()} == {
        "no_record": 48, "no_answer": 49, "bad_identifier": 50, "stale_snapshot": 51, "bad_value": 52,
        "doubtful_record": 53, "missing_value": 54, "not_asked": 55, "snapshot_gone": 56, "register_unavailable": 57,
        "no_applicable_rule": 58,
    }  # fmt: skip


def test_common_reasons_speak_both_languages_and_leave_the_rules_their_own_numbers():
    assert all(reason.say and reason.say_en for reason in COMMON.values())
    assert set(COMMON_BY_NUMBER) & set(range(1, OWN_REASONS + 1)) == set()
    assert unpack(unknown("no_answer")) == (Verdict.UNKNOWN, 49)


@pytest.mark.parametrize("reason", [-1, 64])
def test_a_reason_beyond_six_bits_is_not_packed(reason):
    with pytest.raises(ValueError, match="0 to 63"):
        pack(Verdict.MET, reason)


@pytest.mark.parametrize("byte", [-1, 256])
def test_more_than_a_byte_is_no_verdict(byte):
    with pytest.raises(ValueError, match="one byte"):
        unpack(byte)
