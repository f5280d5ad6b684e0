import base64
import dataclasses
import hashlib
import hmac
import traceback

import pytest
from hypothesis import given

from tests.identity.strategies import KNOWN, citizens
from tongban.identity.identifiers import Domain, IdentifierInvalid
from tongban.identity.subject import Subject, read_subject, subject_from_json
from tongban.kit.errors import Refused


def test_a_subject_is_read_from_what_a_clerk_typed():
    assert read_subject("citizen", f" {KNOWN.lower()} ") == Subject(Domain.CITIZEN, KNOWN)


@given(citizens())
def test_a_subject_never_shows_its_key(text):
    subject = Subject(Domain.CITIZEN, text)
    shown = f"{subject} {subject!r} {[subject]} {subject!s:>40}"
    assert "citizen" in shown
    assert not any(part in shown for part in (text, text[:6], text[6:14]))


def test_the_trace_of_a_bad_subject_does_not_show_its_key():
    wrong = KNOWN[:17] + "0"
    with pytest.raises(IdentifierInvalid) as caught:
        Subject(Domain.CITIZEN, wrong)
    assert wrong not in str(caught.value)
    assert wrong not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", [KNOWN.lower(), f" {KNOWN}", "110105491231002", ""])
def test_a_subject_is_made_of_a_normalised_key_only(key):
    with pytest.raises(IdentifierInvalid):
        Subject(Domain.CITIZEN, key)


def test_a_subject_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError) as caught:
        Subject(Domain.CITIZEN, KNOWN).key = "x"
    assert KNOWN not in str(caught.value)


def test_the_same_key_in_two_domains_is_two_subjects():
    assert Subject(Domain.PASSPORT, "12345678") != Subject(Domain.HMT_PERMIT, "12345678")
    assert len({Subject(Domain.PASSPORT, "12345678"), Subject(Domain.PASSPORT, "12345678")}) == 1


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"domain": "citizen", "key": KNOWN[:17]}, "identity.wrong_length"),
        ({"domain": "resident", "key": KNOWN}, "identity.unknown_domain"),
        ({"domain": "CITIZEN", "key": KNOWN}, "identity.unknown_domain"),
        ({"domain": "citizen", "key": 11010519491231002}, "identity.not_a_subject"),
        ({"domain": ["citizen"], "key": KNOWN}, "identity.not_a_subject"),
        ({"domain": "citizen"}, "identity.not_a_subject"),
        ({"domain": "citizen", "key": KNOWN, "name": "张三"}, "identity.not_a_subject"),
        (KNOWN, "identity.not_a_subject"),
        (None, "identity.not_a_subject"),
        (["domain", "key"], "identity.not_a_subject"),
    ],
)
def test_a_body_that_names_nobody_is_refused(value, code):
    refused = subject_from_json(value)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert KNOWN not in refused.reason


def test_a_subject_comes_back_from_json():
    subject = Subject(Domain.ORGANISATION_CODE, "D2143569X")
    assert subject.to_json() == {"domain": "organisation_code", "key": "D2143569X"}
    assert subject_from_json(subject.to_json()) == subject


def test_only_a_citizen_packs():
    assert Subject(Domain.CITIZEN, KNOWN).packed() == 11010519491231002
    with pytest.raises(IdentifierInvalid):
        Subject(Domain.PASSPORT, "12345678").packed()


def test_a_pseudonym_is_made_as_the_log_says():
    key = bytes(range(32))
    raw = hmac.new(key, f"tongban/subject/1\ncitizen\n{KNOWN}".encode(), hashlib.sha256).digest()[:16]
    pseudonym = Subject(Domain.CITIZEN, KNOWN).pseudonym(key)
    assert pseudonym == base64.urlsafe_b64encode(raw).decode().strip("=")
    assert len(pseudonym) == 22


def test_a_pseudonym_differs_between_logs_persons_and_domains():
    one, other = bytes(32), b"\1" * 32
    subjects = [
        Subject(Domain.PASSPORT, "12345678"),
        Subject(Domain.HMT_PERMIT, "12345678"),
        Subject(Domain.PASSPORT, "12345679"),
    ]
    assert len({subject.pseudonym(key) for subject in subjects for key in (one, other)}) == 6
