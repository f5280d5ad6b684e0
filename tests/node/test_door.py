"""The local door: who knocks, for whom, under which grant; and that a look is in the own log before it is made."""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from tests.node.asking import Asker, Got
from tests.node.place import AT, CONSUMER, PROVIDER, Place, grant_id
from tests.node.running import (
    Inside,
    NodeProcess,
    UnixConnection,
    entries,
    inside,
    leaf_of,
    record_of,
    records,
    serving,
    spare,
)
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.exchange import bulk, listing, receipt
from tongban.exchange.envelope import LONGEST_ANSWER
from tongban.exchange.receipt import Receipt
from tongban.kit import statement
from tongban.tlog.pseudonym import pseudonym
from tongban.tlog.storage import DiskFull
from tongban.tlog.tree import leaf_hash

TOKEN = "the window's own token"
#: For node.toml: a window that knocks with the token and may ask all.
WINDOW_SYSTEM = f"""
[[door.system]]
name = "window"
token_sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
grants = ["*"]
operators = ["*"]
"""
QUERY = {"subject": {"domain": "citizen", "key": APPLICANT}, "fields": ["status"]}
HEADERS = {"tongban-operator": "T-0417", "tongban-case": "KC-1", "tongban-at": AT}


def knock(node: NodeProcess, path: str, body: Any = None, method: str = "POST", **headers: str) -> Got:
    """At the real door of a running node, as its owner's uid."""
    connection = UnixConnection(node.folder / "door.sock")
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, f"/door/v1{path}", raw, {name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    told = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.getheaders()]
    got = Got(answer.status, told, answer.read())
    connection.close()
    return got


def asked(node: NodeProcess, grant: str = "marriage", body: Any = QUERY, call: str = "query", **headers: str) -> Got:
    return knock(node, f"/call/{call}", body, **{**HEADERS, "tongban-grant": grant_id(grant), **headers})


# How the node is


def test_a_stranger_learns_whether_the_node_takes_calls_and_nothing_else(provider: NodeProcess) -> None:
    assert provider.strangers_health() == (200, {"answers": True})


def test_the_own_department_learns_at_the_door_how_its_node_is(provider: NodeProcess) -> None:
    told = provider.health()
    assert (told["node"], told["answers"], told["directory_refused"]) == (PROVIDER, True, None)
    assert told["directory"] > 0
    assert told["directory_age"] >= 0
    assert 0 <= told["entries"] <= provider.size()
    assert told.keys() == {
        "node", "answers", "directory", "directory_age", "directory_refused", "ignored", "entries", "witnessed", "keys",
        "unproven", "alarms", "mode",
    }  # fmt: skip


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer guessed"}])
def test_whoever_the_door_does_not_know_is_not_told_how_the_node_is(desk: Inside, headers: dict[str, str]) -> None:
    for who in (NOBODY, WINDOW):
        got = at_door(desk, "/health", who, method="GET", **headers)
        assert (got.code, got.said.keys()) == ("node.door_stranger", {"code", "reason"})


def test_a_node_that_has_no_directory_yet_says_so_at_its_door_and_to_strangers_that_it_takes_no_calls(
    place: Place,
) -> None:
    with inside(place, "twin-undirected", CONSUMER, pull=False) as found:
        told = at_door(found, "/health", (f"uid:{os.getuid()}", 0), method="GET")
        assert told.status == 200
        assert [told.said[name] for name in ("answers", "directory", "directory_age")] == [False, 0, None]
        got = found.send(Asker(place).query().but(method="GET", target="/healthz"))
        assert (got.status, got.said) == (503, {"answers": False})


# Through two real nodes


def test_a_question_at_the_door_is_answered_with_a_receipt_that_both_logs_keep(
    consumer: NodeProcess, provider: NodeProcess
) -> None:
    got = asked(consumer)
    assert (got.status, got.said["records"]) == (200, [{"status": "已婚"}])
    kept = receipt.read(got.header("tongban-receipt") or "")
    assert isinstance(kept, Receipt)
    theirs, ours = entries(provider.log)[kept.entry], entries(consumer.log)
    assert leaf_hash(theirs.leaf).hex() == kept.leaf
    answer = ours[kept.own_entry]
    request = ours[record_of(answer)["request_entry"]]
    assert [leaf_of(one)["kind"] for one in (request, answer)] == ["request", "answer"]
    assert record_of(request)["request"] == record_of(theirs)["request"]
    assert (record_of(answer)["leaf"], record_of(answer)["status"]) == (kept.leaf, 200)
    key = (consumer.log / "subject.key").read_bytes()
    assert record_of(request)["subjects"] == [pseudonym(key, "citizen", APPLICANT)]
    assert record_of(theirs)["operator"] == record_of(request)["operator"] == "T-0417"
    assert record_of(theirs)["subjects"] != record_of(request)["subjects"]


def test_a_refusal_comes_through_the_door_as_what_it_is(consumer: NodeProcess) -> None:
    got = asked(consumer, grant="ended")
    assert (got.status, got.code) == (403, "exchange.grant_expired")
    assert got.header("tongban-receipt")
    assert records(consumer.log, "answer")[-1]["code"] == "exchange.grant_expired"


def test_a_rule_is_asked_through_the_door(consumer: NodeProcess) -> None:
    got = asked(consumer, "married", {"subject": QUERY["subject"], "asks": {"since": 2010}}, "verify")
    assert (got.status, got.said["verdict"]) == (200, "met")


def test_the_same_key_at_the_door_is_the_same_question(consumer: NodeProcess, provider: NodeProcess) -> None:
    first, second = (asked(consumer, **{"tongban-idempotency": "at-the-door"}) for _ in range(2))
    assert first.body == second.body
    assert first.header("tongban-receipt") != second.header("tongban-receipt")
    entry, again = (json.loads(one.header("tongban-receipt") or "")["entry"] for one in (first, second))
    assert record_of(entries(provider.log)[again])["repeat_of"] == entry


def test_one_ticket_serves_all_the_calls_of_a_case(consumer: NodeProcess) -> None:
    subjects = [{"domain": "citizen", "key": one} for one in (APPLICANT, HUSBAND)]
    opened = {"purpose": "car-lottery", "case": "KC-7", "subjects": subjects, "at": AT}
    ticket = knock(consumer, "/ticket", opened, **HEADERS).said["ticket"]
    case = {"tongban-ticket": ticket, "tongban-case": "KC-7"}
    codes = [
        asked(consumer, body={**QUERY, "subject": {"domain": "citizen", "key": one}}, **case).code
        for one in (APPLICANT, HUSBAND, STRANGER)
    ]
    assert codes == ["", "", "exchange.subject_outside_ticket"]


def test_another_uid_s_knock_is_a_stranger_s(place: Place) -> None:
    """The kernel says whose process it is: here the file names another than ours."""
    mine = f"uid = {os.getuid()}"
    one = spare(place, "other-uid", CONSUMER, toml=lambda text: text.replace(mine, f"uid = {os.getuid() + 1}"))
    with serving(one):
        assert asked(one).code == "node.door_stranger"
        assert asked(one, authorization=f"Bearer {TOKEN}").code == "node.door_stranger"
    assert entries(one.log) == []


def test_nobody_else_may_open_the_socket(consumer: NodeProcess) -> None:
    assert (consumer.folder / "door.sock").stat().st_mode & 0o777 == 0o600


# Who knocks: the same door, inside this process


@pytest.fixture(scope="module")
def desk(place: Place) -> Iterator[Inside]:
    """Transport's node with a lottery that may do little and a window that may do all."""
    systems = f"""
[[door.system]]
name = "lottery"
uid = 4242
grants = ["{grant_id("marriage")}", "{grant_id("of_police")}", "{"A" * 22}"]
operators = ["T-0417"]

{WINDOW_SYSTEM}rounds = true
"""

    def with_both(text: str) -> str:
        return text[: text.index("[[door.system]]")] + systems

    with inside(place, "twin-door", CONSUMER, toml=with_both) as found:
        yield found


LOTTERY, WINDOW, NOBODY = ("uid:4242", 0), ("127.0.0.1", 9), ("uid:0", 0)
BEARER = {"authorization": f"Bearer {TOKEN}"}


def at_door(
    desk: Inside, path: str, who: tuple[str, int] = LOTTERY, body: bytes = b"{}", method: str = "POST", **headers: str
) -> Got:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Any) -> None:
        sent.append(dict(message))

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": f"/door/v1{path}", "client": who, "headers": raw}
    desk.run(desk.node.door(scope, receive, collect))
    return Got(sent[0]["status"], sent[0]["headers"], sent[1]["body"])


MARRIAGE_CALL = {**HEADERS, "tongban-grant": grant_id("marriage")}


@pytest.mark.parametrize(
    ("who", "headers"),
    [
        (NOBODY, {}),
        (NOBODY, BEARER),  # on the socket the kernel's word counts, not a token
        (WINDOW, {}),
        (WINDOW, {"authorization": "Bearer "}),
        (WINDOW, {"authorization": "Bearer another token"}),
        (WINDOW, {"authorization": f"Basic {TOKEN}"}),
        (WINDOW, {"authorization": TOKEN}),
        (WINDOW, {"authorization": f"Bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}"}),
    ],
)
def test_a_stranger_at_the_door_learns_nothing(desk: Inside, who: tuple[str, int], headers: dict[str, str]) -> None:
    size = desk.node.log.tree.size
    for method, path in (("POST", "/call/query"), ("GET", "/grants"), ("POST", "/ticket"), ("POST", "/round")):
        got = at_door(desk, path, who, orjson.dumps(QUERY), method, **{**MARRIAGE_CALL, **headers})
        assert (got.status, got.code) == (400, "node.door_stranger")
    assert desk.node.log.tree.size == size


def test_a_look_without_a_staff_number_is_not_made(desk: Inside) -> None:
    bare = {name: text for name, text in MARRIAGE_CALL.items() if name != "tongban-operator"}
    for path in ("/call/query", "/ticket", "/round"):
        assert at_door(desk, path, **bare).code == "node.no_operator"
        assert at_door(desk, path, **{**bare, "tongban-operator": ""}).code == "node.no_operator"


def test_a_system_acts_for_its_own_staff_only(desk: Inside) -> None:
    got = at_door(desk, "/call/query", **{**MARRIAGE_CALL, "tongban-operator": "T-0001"})
    assert got.code == "node.foreign_operator"


def test_a_system_that_does_not_hold_rounds_writes_nothing_of_them(desk: Inside) -> None:
    stage = orjson.dumps({"round": "2014-06", "stage": "frozen", "digest": "0" * 64})
    size = desk.node.log.tree.size
    assert at_door(desk, "/round", body=stage, **HEADERS).code == "node.rounds_not_held"
    assert desk.node.log.tree.size == size
    assert at_door(desk, "/round", WINDOW, stage, **HEADERS, **BEARER).status == 200


@pytest.mark.parametrize(
    ("grant", "call"),
    [
        ("status", "query"),  # good, but not this system's
        ("of_police", "query"),  # mapped, but another member's
        ("marriage", "verify"),  # mapped, but for another kind of call
        ("AAAAAAAAAAAAAAAAAAAAAA", "query"),  # mapped, but in no directory
    ],
)
def test_a_system_uses_its_own_grants_only(desk: Inside, grant: str, call: str) -> None:
    size = desk.node.log.tree.size
    named = grant if len(grant) == 22 else grant_id(grant)
    got = at_door(desk, f"/call/{call}", body=orjson.dumps(QUERY), **{**HEADERS, "tongban-grant": named})
    assert got.code == "node.grant_not_mapped"
    assert desk.node.log.tree.size == size


def test_a_system_is_told_of_its_own_grants_only(desk: Inside) -> None:
    told = at_door(desk, "/grants", method="GET").said["grants"]
    assert [one["id"] for one in told] == [grant_id("marriage")]
    more = at_door(desk, "/grants", WINDOW, method="GET", **BEARER).said["grants"]
    assert {grant_id("marriage"), grant_id("status")} < {one["id"] for one in more}
    assert grant_id("of_police") not in {one["id"] for one in more}


@pytest.mark.parametrize(
    ("path", "body", "headers", "code"),
    [
        ("/call/query", b"{", {}, "node.bad_request"),
        ("/call/query", b"[]", {}, "node.bad_request"),
        ("/call/query", b'{"fields":["status"]}', {}, "node.bad_request"),
        ("/call/query", b'{"subject":{"domain":"citizen","key":"1"}}', {}, "identity.wrong_length"),
        ("/call/query", b'{"subject":{"domain":"driver","key":"1"}}', {}, "identity.unknown_domain"),
        ("/call/query", orjson.dumps(QUERY), {"tongban-case": ""}, "node.bad_request"),
        ("/call/query", orjson.dumps(QUERY), {"tongban-case": "KC\u00e9"}, "node.bad_request"),
        ("/call/query", orjson.dumps(QUERY), {"tongban-idempotency": "short"}, "node.bad_request"),
        ("/call/query", orjson.dumps(QUERY), {"tongban-at": "tomorrow"}, "node.bad_request"),
        ("/call/query", orjson.dumps(QUERY), {"tongban-ticket": "no ticket"}, "node.bad_request"),
        ("/call/dump", orjson.dumps(QUERY), {}, "node.grant_not_mapped"),
        ("/ticket", b'{"subjects":[1]}', {}, "identity.not_a_subject"),
        ("/ticket", b'{"subjects":[],"purpose":"p","case":"c"}', {}, "node.bad_request"),
        ("/ticket", b"[]", {}, "node.bad_request"),
        ("/elsewhere", b"{}", {}, "node.bad_request"),
    ],
)
def test_what_has_not_its_form_at_the_door_is_not_asked(
    desk: Inside, path: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    size = desk.node.log.tree.size
    got = at_door(desk, path, body=body, **{**MARRIAGE_CALL, **headers})
    assert (got.status, got.code) == (400, code)
    assert desk.node.log.tree.size == size


def test_a_door_without_a_directory_says_so(place: Place) -> None:
    with inside(place, "twin-door-bare", CONSUMER, pull=False) as found:
        who = (f"uid:{os.getuid()}", 0)
        assert at_door(found, "/call/query", who, **MARRIAGE_CALL).code == "exchange.no_directory"


# Before it is sent, and what comes back


class Elsewhere:
    """A provider's node as an enemy would run it: says what it is told to say."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.say: Callable[[dict[str, str]], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"{}")
        self.watch: Callable[[], None] = lambda: None
        self.pour: Callable[[Callable[[bytes], Any]], None] | None = None  #: answers byte by byte, instead of `say`
        self.cut = threading.Event()  #: the asker ended the connection while this was pouring
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                outer.watch()
                outer.heard.append(dict(self.headers))
                if outer.pour is not None:
                    self.close_connection = True
                    try:
                        outer.pour(self.wfile.write)
                    except ConnectionError:
                        outer.cut.set()
                    return
                status, headers, body = outer.say(dict(self.headers))
                self.send_response(status)
                for name, value in ({"content-length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def elsewhere(place: Place) -> Iterator[Elsewhere]:
    """Civil Affairs's second node, listed like the first."""
    found = Elsewhere()
    member, office = place.member(PROVIDER), place.office(PROVIDER)
    body = listing.compose(
        "node", id="civil-affairs-2", member=member, address=f"http://127.0.0.1:{found.server.server_port}",
        certificate=None, origin=f"{member}/civil-affairs-2",
    )  # fmt: skip
    place.put(
        statement.sign(body, office.root),
        place.resource("civil_affairs/elsewhere", ["status"], node="civil-affairs-2"),
        place.grant("elsewhere", node="civil-affairs-2", resource="civil_affairs/elsewhere", fields=["status"]),
    )
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def window(desk: Inside, elsewhere: Elsewhere) -> Inside:
    desk.run(desk.node.source.pull())
    elsewhere.heard.clear()
    elsewhere.watch, elsewhere.pour = lambda: None, None
    elsewhere.cut.clear()
    return desk


def ask_elsewhere(window: Inside) -> Got:
    headers = {**HEADERS, **BEARER, "tongban-grant": grant_id("elsewhere")}
    return at_door(window, "/call/query", WINDOW, orjson.dumps(QUERY), **headers)


def test_the_look_is_in_the_own_log_before_the_other_department_hears_of_it(
    window: Inside, elsewhere: Elsewhere
) -> None:
    seen: list[int] = []
    elsewhere.watch = lambda: seen.append(window.node.log.tree.size)
    size = window.node.log.tree.size
    assert ask_elsewhere(window).code == "exchange.answer_unsigned"
    assert seen == [size + 1]
    assert window.records("request")[-1]["subjects"]
    assert window.records("request")[-1]["grant"] == grant_id("elsewhere")


def test_nothing_is_sent_that_is_not_in_the_own_log(window: Inside, elsewhere: Elsewhere) -> None:
    async def full(*_: Any) -> None:
        raise DiskFull(directory="log", error="ENOSPC")

    append, window.node.log.append = window.node.log.append, full  # type: ignore[assignment,method-assign]
    try:
        got = ask_elsewhere(window)
    finally:
        window.node.log.append = append  # type: ignore[method-assign]
    assert (got.status, got.code) == (503, "exchange.log_unavailable")
    assert elsewhere.heard == []


def test_a_provider_that_is_gone_leaves_the_look_in_the_log_and_no_answer(window: Inside, place: Place) -> None:
    before = len(window.records("request")), len(window.records("answer"))
    closed = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    directory = window.node.source.current
    assert directory is not None
    node = directory.nodes["civil-affairs-2"]
    changed = type(node)(node.id, node.member, address, None, node.origin)
    directory.nodes["civil-affairs-2"] = changed  # type: ignore[index]
    try:
        got = ask_elsewhere(window)
    finally:
        directory.nodes["civil-affairs-2"] = node  # type: ignore[index]
    assert (got.status, got.code) == (502, "exchange.no_answer")
    assert got.header("tongban-receipt") is None
    assert (len(window.records("request")), len(window.records("answer"))) == (before[0] + 1, before[1])


def stale(asker: Asker, provider: NodeProcess) -> Callable[[dict[str, str]], tuple[int, dict[str, str], bytes]]:
    """An honest answer of the other node, to another question."""
    got = provider.send(asker.query())
    return lambda _: (200, {name.decode(): value.decode() for name, value in got.headers}, got.body)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda _: (200, {"content-type": "application/json"}, b'{"records":[]}'), "exchange.answer_unsigned"),
        (lambda _: (403, {}, b'{"code":"exchange.no_grant"}'), "exchange.answer_unsigned"),
        (lambda _: (302, {"location": "http://127.0.0.1:1/v1/query"}, b""), "exchange.answer_unsigned"),
        (lambda _: (200, {"content-encoding": "gzip"}, b"\x1f\x8b"), "exchange.answer_unsigned"),
        (lambda _: (200, {"content-length": str(2**40)}, b"{}"), "exchange.answer_too_large"),
        (lambda _: (200, {"content-length": "1000"}, b"{}"), "exchange.no_answer"),
        (lambda _: (200, {"x": "y" * 100_000}, b"{}"), "exchange.no_answer"),
    ],
    ids=["unsigned", "refused by nobody", "sent elsewhere", "packed", "too long", "longer than it is", "head"],
)
def test_an_answer_that_nobody_signed_is_no_answer(
    window: Inside, elsewhere: Elsewhere, answer: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tongban.node.outlet.PATIENCE", {"query": 1})
    elsewhere.say = answer
    answers = len(window.records("answer"))
    got = ask_elsewhere(window)
    assert (got.status, got.code) == (502, code)
    assert len(window.records("answer")) == answers


def test_another_node_s_honest_answer_is_no_answer(
    window: Inside, elsewhere: Elsewhere, provider: NodeProcess, asker: Asker
) -> None:
    elsewhere.say = stale(asker, provider)
    assert ask_elsewhere(window).code == "exchange.answer_foreign"


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
PIECE = b"x" * 65_536


def poured(elsewhere: Elsewhere, head: bytes, piece: bytes, pieces: int | None = None) -> list[int]:
    """Let the other node send `head`, then `piece` for ever or so often; bytes that it got rid of, as they go."""
    sent: list[int] = []

    def pour(write: Callable[[bytes], Any]) -> None:
        write(OK + head)
        while pieces is None or len(sent) < pieces:
            write(piece)
            sent.append(len(piece))

    elsewhere.pour = pour
    return sent


@pytest.mark.parametrize("announced", [b"transfer-encoding: chunked\r\n\r\n", b"\r\n"], ids=["chunks", "no length"])
def test_an_answer_without_end_is_cut_off_and_is_no_answer(
    window: Inside, elsewhere: Elsewhere, announced: bytes
) -> None:
    piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if b"chunked" in announced else PIECE
    sent, answers = poured(elsewhere, announced, piece), len(window.records("answer"))
    got = ask_elsewhere(window)
    assert (got.status, got.code) == (502, "exchange.answer_too_large")
    assert elsewhere.cut.wait(30)
    # What lies in the buffers of two sockets comes on top.
    assert sum(sent) < LONGEST_ANSWER["query"] + 32 * 1024 * 1024
    assert len(window.records("answer")) == answers


def test_an_answer_that_is_announced_too_long_is_not_waited_for(window: Inside, elsewhere: Elsewhere) -> None:
    hold = threading.Event()

    def pour(write: Callable[[bytes], Any]) -> None:
        write(OK + b"content-length: %d\r\n\r\n" % (LONGEST_ANSWER["query"] + 1))
        hold.wait(60)

    elsewhere.pour = pour
    try:
        assert ask_elsewhere(window).code == "exchange.answer_too_large"
    finally:
        hold.set()


def test_an_answer_as_long_as_it_may_be_is_judged(window: Inside, elsewhere: Elsewhere) -> None:
    most = LONGEST_ANSWER["query"]
    poured(elsewhere, b"content-length: %d\r\n\r\n" % most, b"x" * most, 1)
    assert ask_elsewhere(window).code == "exchange.answer_unsigned"


@pytest.mark.parametrize("announced", [b"content-length: 1000000", b"transfer-encoding: chunked"])
def test_an_answer_cut_in_the_middle_is_no_answer(window: Inside, elsewhere: Elsewhere, announced: bytes) -> None:
    poured(elsewhere, announced + b"\r\n\r\n", b"%x\r\n%b\r\n" % (len(PIECE), PIECE), 2)
    requests = len(window.records("request"))
    got = ask_elsewhere(window)
    assert (got.status, got.code) == (502, "exchange.no_answer")
    assert len(window.records("request")) == requests + 1


def test_a_batch_may_have_a_longer_answer_than_a_look_at_one_person() -> None:
    assert LONGEST_ANSWER["query"] == LONGEST_ANSWER["verify"] < bulk.MOST_ROWS < LONGEST_ANSWER["match"]


def test_no_number_of_a_person_is_sent_in_clear_headers(window: Inside, elsewhere: Elsewhere) -> None:
    ask_elsewhere(window)
    assert APPLICANT not in str(elsewhere.heard)
