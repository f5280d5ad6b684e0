"""Every bad input that was thought of: its code, its status, and whether anybody stands behind the answer.

Each is sent to a running node over a socket, and once more to a node inside the test whose counters can be read.
After each the node is up, a good call works, and nothing is left half done.
"""

import time

import pytest

from tests.node.asking import Asker
from tests.node.place import PROVIDER
from tests.node.refused import (
    CALLERS,
    STRANGERS,
    Bad,
    named,
    said_nothing_personal,
)
from tests.node.running import Inside, NodeProcess, entries, leaf_of, record_of, verified
from tongban.exchange.client import Answer
from tongban.kit.errors import Refused


@pytest.mark.parametrize("bad", [*STRANGERS, *CALLERS], ids=named)
def test_a_bad_input_is_refused_and_leaves_nothing_behind(
    bad: Bad, asker: Asker, provider: NodeProcess, twin: Inside
) -> None:
    process, before = provider.pid, provider.size()
    twin.clock.now = time.time()
    asked = bad.make(asker)
    counted = not any(name == b"content-length" for name, _ in asked.headers)
    got = provider.send(asked, length=counted)
    assert (got.code, got.status) == (bad.code, bad.status)
    state = twin.state()
    inside = twin.send(asked)
    assert (inside.code, inside.status) == (bad.code, bad.status)
    assert twin.state() == state
    told = [one for one in entries(provider.log)[before:] if leaf_of(one)["kind"] != "batch-persons"]
    if bad.signed:
        judged = asker.judged(asked, got)
        if bad.code == "exchange.wrong_node":
            # Signed by a node that was not asked: to the consumer no answer, to an auditor an honest entry.
            assert isinstance(judged, Refused)
            assert judged.code == "exchange.answer_foreign"
        else:
            assert isinstance(judged, Answer), judged
            assert judged.code == bad.code
        assert got.entry == told[0].index
        assert [(leaf_of(one)["kind"], record_of(one)["code"]) for one in told] == [("refused", bad.code)]
    else:
        assert got.entry is None
        assert got.header("signature") is None
        assert told == []
    assert said_nothing_personal(got.body.decode())
    good = asker.query(fields=["status"])
    assert isinstance(asker.judged(good, provider.send(good)), Answer)
    assert provider.pid == process
    assert provider.alive


def test_the_logs_hold_after_all_of_that(asker: Asker, provider: NodeProcess, twin: Inside) -> None:
    keys = {key.id: key.public for key in (asker.key, asker.place.key(PROVIDER, "online"))}
    twin.node.log.checkpoint()
    for log in (provider.log, twin.node.log.directory):
        found = verified(log, keys)
        assert found.problems == ()
        assert found.requests >= len(CALLERS)
    # Signatures of answers are written with the checkpoint: in the twin's log none is missing.
    assert (found.unsigned, found.answers) == (0, found.requests)


def test_what_the_node_printed_names_nobody(provider: NodeProcess) -> None:
    assert said_nothing_personal(provider.said())
    assert "Traceback" not in provider.said()


def test_a_message_counts_once(asker: Asker, provider: NodeProcess) -> None:
    asked = asker.query()
    assert provider.send(asked).status == 200
    before = provider.size()
    again = provider.send(asked)
    assert (again.code, again.status, again.entry) == ("exchange.replay", 409, None)
    assert provider.size() == before
