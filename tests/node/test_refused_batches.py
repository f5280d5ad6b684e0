"""Every bad input that was thought of: its code, its status, and whether anybody stands behind the answer, ctd."""

from tests.node.asking import Asker, changed_base64, numbers
from tests.node.running import NodeProcess
from tests.world import STRANGER


def test_a_refused_message_is_used_up_too(asker: Asker, provider: NodeProcess) -> None:
    asked = asker.query(grant="ended")
    assert provider.send(asked).code == "exchange.grant_expired"
    assert provider.send(asked).code == "exchange.replay"


def test_a_stranger_s_copy_does_not_use_up_the_message(asker: Asker, provider: NodeProcess) -> None:
    asked = asker.query()
    garbled = asked.header("signature", f"tb=:{changed_base64(asked.value('signature')[4:-1])}:")
    assert provider.send(garbled).code == "exchange.bad_signature"
    assert provider.send(asked).status == 200


def test_a_grant_s_calls_are_counted_and_what_was_refused_is_not(asker: Asker, provider: NodeProcess) -> None:
    for bad in ({"fields": ["children"]}, {"body": b"{"}, {"purpose": "statistics"}, {"case": "other"}):
        assert provider.send(asker.query(grant="two_calls", **bad)).status in (400, 403)
    outcomes = [provider.send(asker.query(grant="two_calls")) for _ in range(3)]
    assert [got.status for got in outcomes] == [200, 200, 429]
    assert (outcomes[2].code, outcomes[2].entry is not None) == ("exchange.quota_spent", True)


def test_a_grant_s_persons_are_counted(asker: Asker, provider: NodeProcess) -> None:
    four = asker.match(grant="five_persons", keys=numbers(4), on={"part": "a"})
    assert provider.send(four).status == 200
    two = asker.match(grant="five_persons", keys=numbers(2, 4), on={"part": "b"})
    assert provider.send(two).code == "exchange.quota_spent"
    one = asker.match(grant="five_persons", keys=numbers(1, 6), on={"part": "c"})
    assert provider.send(one).status == 200


def test_nobody_and_not_granted_look_the_same(asker: Asker, provider: NodeProcess) -> None:
    """Whether a grant exists is nobody's business who has none."""
    none, theirs = (provider.send(asker.query(grant=grant)) for grant in ("A" * 22, "of_police"))
    assert (none.code, none.said["reason"]) == (theirs.code, theirs.said["reason"])


def test_no_such_person_is_an_answer(asker: Asker, provider: NodeProcess) -> None:
    asked = asker.query(subject=("citizen", STRANGER), ticket=asker.ticket(STRANGER))
    assert provider.send(asked).said["records"] == []
    said = provider.send(asker.verify(subject=("citizen", STRANGER), ticket=asker.ticket(STRANGER))).said
    assert (said["verdict"], said["reason"]) == ("unknown", "no_record")
