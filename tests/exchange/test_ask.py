"""Bodies of query and verify: one question in one body."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import APPLICANT
from tongban.exchange.ask import Query, Verify, read_query, read_verify, write_query, write_verify
from tongban.kit.errors import Refused


def test_a_query_comes_back_as_it_was_written():
    found = read_query(write_query("citizen", APPLICANT, ["status", "registered_on"]))
    assert isinstance(found, Query)
    assert (found.domain, found.key, found.fields) == ("citizen", APPLICANT, ["status", "registered_on"])


@given(
    st.dictionaries(
        st.from_regex("[a-z]{1,8}", fullmatch=True),
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
        max_size=5,
    )
)
def test_a_verify_comes_back_as_it_was_written(asks):
    found = read_verify(write_verify("passport", "E123", asks))
    assert isinstance(found, Verify)
    assert (found.domain, found.key) == ("passport", "E123")
    assert found.asks == asks
    assert [type(value) for value in found.asks.values()] == [type(asks[name]) for name in found.asks]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"fields":["a"],"subject":{"domain":"citizen","key":"1"},"subject":{"domain":"citizen","key":"2"}}',
        b'{"fields":["a"],"subject":{"domain":"citizen","key":"1","key":"2"}}',
        b'{"subject":{"domain":"citizen","key":"1"},"fields":["a"]}',
        b'{"fields": ["a"],"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":["a"],"subject":{"domain":"citizen","key":"1"}}\n',
        b'{"fields":["\\u0061"],"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":[],"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":["a","a"],"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":[1],"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":["a"],"more":1,"subject":{"domain":"citizen","key":"1"}}',
        b'{"fields":["a"],"subject":{"domain":"citizen","key":1}}',
        b'{"fields":["a"],"subject":{"domain":"citizen","key":"1","name":"x"}}',
        b'{"fields":["a"]}',
    ],
)
def test_anything_else_is_no_query(body):
    found = read_query(body)
    assert isinstance(found, Refused)
    assert found.code == "exchange.bad_request"


@pytest.mark.parametrize("value", [b"1.5", b"1e3", b"9007199254740993000000", b"[1]", b"{}", b"NaN"])
def test_asked_values_are_scalars_without_fractions(value):
    body = b'{"asks":{"x":%b},"subject":{"domain":"citizen","key":"1"}}' % value
    found = read_verify(body)
    assert isinstance(found, Refused)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_the_readers(body):
    assert isinstance(read_query(body), Refused)
    assert isinstance(read_verify(body), Refused)
