"""`./tongban log verify URL`: a stranger with the city's directory audits a log over a real connection."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.cast import a_directory, machine, told
from tests.exchange.city import (
    OTHER_WITNESS,
    OUTSIDE_WITNESS,
    a_node,
    a_witnessing,
    the_entries,
    without,
)
from tests.tlog.cast import ORIGIN
from tests.tlog.site import Site, a_note, leaves
from tests.world import CALLING_KEY, CONSUMER_NODE, NOON, PROVIDER_NODE, TRANSPORT
from tongban.cli import log_remote
from tongban.kit.clock import MovedClock
from tongban.tlog.checkpoint import Checkpoint, parse

BY = (OTHER_WITNESS, OUTSIDE_WITNESS)
CALL = b'{"kind":"call","n":1,"record":"%b","v":1}' % (b"0" * 64)


class Server:
    """Gives the files of whatever site it holds now."""

    def __init__(self, protocol: str = "HTTP/1.1", tls: ssl.SSLContext | None = None) -> None:
        self.site = a_site(300)
        self.meanwhile: Callable[[], None] = lambda: None  #: done before a file is sent
        self.too_many = 0  #: requests that are told to come again
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = protocol

            def do_GET(self) -> None:
                data = server.site.files.get(self.path.removeprefix("/"))
                with lock:
                    busy, server.too_many = server.too_many > 0, max(0, server.too_many - 1)
                data = b"" if busy else data
                self.send_response(429 if busy else 404 if data is None else 200)
                self.send_header("content-length", str(len(data or b"")))
                self.end_headers()
                server.meanwhile()
                self.wfile.write(data or b"")

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self._web.socket = tls.wrap_socket(self._web.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._web.server_address[1]}"
        self._thread = threading.Thread(target=self._web.serve_forever, args=(0.01,))

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


def a_site(size: int, **change: Any) -> Site:
    """Civil Affairs' log with one call in it, seen by both of its witnesses."""
    return Site([CALL, *leaves(size - 1)], **({"by": BY} | change))


@pytest.fixture(autouse=True)
def a_minute_after_noon(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    """The witnesses of these tests have cosigned at noon."""
    clock = MovedClock(NOON + 60)
    monkeypatch.setattr(log_remote, "MachineClock", lambda: clock)
    return clock


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


@pytest.fixture
def city(server: Server, tmp_path: Path) -> Path:
    """The directory that lists the server as Civil Affairs' node."""
    return listed(tmp_path / "city.json", server.url)


def listed(place: Path, url: str, certificate: str | None = None, **witnessing: Any) -> Path:
    entries = [*without(the_entries(), "node", PROVIDER_NODE), a_node(address=url, certificate=certificate)]
    return a_directory(place, [*entries, a_witnessing(**witnessing)])


# What holds


def test_a_log_that_holds_is_told_with_its_entries_and_whoever_has_seen_it(server, city, capsys):
    status, said = told(capsys, "log", "verify", server.url, "--directory", city)
    assert status == 0
    assert "The log holds: all 300 entries are those under the signed head, which 2 witnesses have seen." in said
    assert f"seen by {OTHER_WITNESS.id} at 2014-06-09 04:00:00 UTC\n" in said
    assert f"seen by {OUTSIDE_WITNESS.id} at 2014-06-09 04:00:00 UTC  外部 outside" in said
    assert "internal witnesses only" not in said


def test_a_machine_is_told_the_same(server, city, capsys):
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["holds"], found["signed"], found["found"], found["problems"]) == (0, True, True, 0, [])
    assert (found["origin"], found["entries"]) == (ORIGIN, 300)
    assert found["root"] == parse(server.site.note)[0].root.hex()
    assert found["kinds"] == {"call": 1, "opaque": 299}
    assert found["witnesses"] == [{"name": key.id, "time": NOON} for key in sorted(BY, key=lambda key: key.id)]
    assert (found["wanted"], found["outside"]) == (2, True)


@pytest.mark.parametrize("size", [0, 256, 257, 70_000])
def test_logs_of_every_size_hold(server, city, capsys, size):
    server.site = Site(leaves(size), by=BY)
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["entries"]) == (0, size)


def test_a_node_that_gives_so_many_files_a_second_is_waited_for(server, city, capsys, monkeypatch):
    monkeypatch.setattr(log_remote, "_PAUSE", 0)
    server.site = Site(leaves(3_000), by=BY)
    server.too_many = 40
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["entries"], server.too_many) == (0, 3_000, 0)


def test_a_node_that_never_gives_a_file_is_not_waited_for_without_end(server, city, capsys, monkeypatch):
    monkeypatch.setattr(log_remote, "_PAUSE", 0)
    server.too_many = 10_000
    status, said = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, said[-1]["code"]) == (3, "cli.log_unreachable")
    assert server.too_many == 10_000 - log_remote._TRIES


def test_a_server_that_ends_every_connection_is_read_all_the_same(tmp_path, capsys):
    with Server("HTTP/1.0") as server:
        server.site = a_site(3_000)
        assert told(capsys, "log", "verify", server.url, "--directory", listed(tmp_path / "d", server.url))[0] == 0


@pytest.mark.parametrize("behind", ["/", "//"])
def test_a_stroke_behind_the_address_changes_nothing(server, city, capsys, behind):
    _, [found] = machine(capsys, "log", "verify", server.url + behind, "--directory", city)
    assert found["holds"] is True


def test_witnesses_of_the_administration_alone_are_said_to_be_that(server, tmp_path, capsys):
    place = listed(tmp_path / "d", server.url, k=1)
    server.site = a_site(3, by=[OTHER_WITNESS])
    status, said = told(capsys, "log", "verify", server.url, "--directory", place)
    assert status == 0
    assert "internal witnesses only: nobody outside the administration has seen this head" in said
    assert f"not by  {OUTSIDE_WITNESS.id}" in said


def test_a_city_without_witnesses_is_told_that_nobody_else_has_seen_the_head(server, tmp_path, capsys):
    entries = [*without(the_entries(), "node", PROVIDER_NODE), a_node(address=server.url)]
    status, said = told(capsys, "log", "verify", server.url, "--directory", a_directory(tmp_path / "d", entries))
    assert status == 0
    assert "under the signed head, which no witness has seen." in said


# What does not


def test_a_head_that_too_few_witnesses_have_seen_is_a_no(server, city, capsys):
    server.site = a_site(300, by=[OTHER_WITNESS])
    status, said = told(capsys, "log", "verify", server.url, "--directory", city)
    assert status == 1
    assert "Not witnessed: 1 of 2 witnesses have seen this head" in said
    assert "The log holds" not in said


def test_a_changed_leaf_is_a_no_and_its_place_is_told(server, city, capsys):
    note = server.site.note
    server.site = Site([*leaves(299), CALL], by=BY)
    server.site.files["checkpoint"] = note
    status, said = told(capsys, "log", "verify", server.url, "--directory", city)
    assert status == 1
    assert "✗ checkpoint at size 300: " in said
    assert "(tlog.root_differs)" in said
    assert "The log does NOT hold: 1 things do not fit." in said


def test_a_tile_that_is_none_is_named(server, city, capsys):
    server.site.files["tile/entries/001.p/44"] = b"<html>"
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["holds"]) == (1, False)
    assert found["problems"] == [{"code": "tlog.tile_invalid", "place": "tile/entries/001.p/44"}]


def test_a_head_signed_by_another_member_is_a_no(server, city, capsys):
    server.site = a_site(300, key=CALLING_KEY)
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["signed"], found["problems"][0]["code"]) == (1, False, "tlog.checkpoint_invalid")


def test_another_node_s_log_at_a_listed_node_s_address_is_a_no(server, city, capsys):
    origin = f"{TRANSPORT}/{CONSUMER_NODE}"
    # Its witnesses are others: nobody is one of his own log.
    server.site = Site(leaves(3), key=CALLING_KEY, origin=origin, by=[OUTSIDE_WITNESS])
    for url in (server.url, f"{server.url}/"):
        status, [found] = machine(capsys, "log", "verify", url, "--directory", city)
        assert (status, found["problems"]) == (1, [{"code": "cli.other_log", "place": "newest checkpoint"}])


def test_a_witness_s_time_that_no_calendar_has_is_told_as_it_is(server, city, capsys):
    head = parse(server.site.note)[0]
    server.site.files["checkpoint"] = a_note(head, by=BY, at=2**62)
    status, said = told(capsys, "log", "verify", server.url, "--directory", city)
    assert status == 0
    assert f"second {2**62}, which is in no calendar" in said


@pytest.mark.parametrize(("seconds", "status", "problems"), [(180, 0, []), (181, 1, ["cli.head_old"])])
def test_a_head_that_witnesses_saw_long_ago_is_a_no(
    server, city, capsys, a_minute_after_noon, seconds, status, problems
):
    a_minute_after_noon.now = NOON + seconds
    found = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (found[0], [one["code"] for one in found[1][0]["problems"]]) == (status, problems)


def test_another_name_of_the_same_machine_does_not_pass_by_what_the_directory_lists(server, city, capsys):
    server.site = Site(leaves(3), key=CALLING_KEY, origin=f"{TRANSPORT}/{CONSUMER_NODE}", by=[OUTSIDE_WITNESS])
    url = server.url.replace("127.0.0.1", "localhost")
    status, [found] = machine(capsys, "log", "verify", url, "--directory", city)
    assert (status, found["problems"]) == (1, [{"code": "cli.other_log", "place": "newest checkpoint"}])


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_server_that_gives_a_byte_now_and_then_holds_nobody_up(city, capsys, monkeypatch, first):
    monkeypatch.setattr(log_remote, "_PATIENCE", 1)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    taken, _ = listening.accept()
                    threading.Thread(target=trickle, args=(taken,), daemon=True).start()

        def trickle(taken: socket.socket) -> None:
            with taken, contextlib.suppress(OSError):
                taken.sendall(first)
                while not stop.wait(0.2):
                    taken.sendall(b"x")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        status, _ = told(capsys, "log", "verify", url, "--directory", city)
        stop.set()
        # Two tries of a second each; without an end of its own each would take minutes.
        assert time.monotonic() - began < 20
    assert status == 3


# What is remembered


def verified(capsys, server, city, file):
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city, "--remember", file)
    return status, [one["code"] for one in found["problems"]]


def test_the_head_that_held_is_kept_and_a_log_that_continues_it_holds(server, city, tmp_path, capsys):
    file = tmp_path / "seen"
    assert verified(capsys, server, city, file) == (0, [])
    assert file.read_bytes() == server.site.note
    server.site = a_site(700)
    assert verified(capsys, server, city, file) == (0, [])
    assert file.read_bytes() == server.site.note


def test_another_history_behind_the_same_address_is_found_and_the_old_head_stays_kept(server, city, tmp_path, capsys):
    file, seen = tmp_path / "seen", server.site.note
    verified(capsys, server, city, file)
    for other, code in ((Site(leaves(400), by=BY), "tlog.root_differs"), (a_site(299), "tlog.shorter_than_checkpoint")):
        server.site = other
        assert verified(capsys, server, city, file) == (1, [code])
        assert file.read_bytes() == seen


def test_a_head_that_does_not_hold_is_not_kept(server, city, tmp_path, capsys):
    server.site = a_site(300, by=[OTHER_WITNESS])
    assert verified(capsys, server, city, tmp_path / "seen") == (1, [])
    assert not (tmp_path / "seen").exists()


def test_one_log_s_head_is_no_memory_of_another(server, city, tmp_path, capsys):
    file = tmp_path / "seen"
    file.write_bytes(Site(leaves(3), key=CALLING_KEY, origin=f"{TRANSPORT}/{CONSUMER_NODE}").note)
    before = file.read_bytes()
    assert verified(capsys, server, city, file) == (1, ["tlog.checkpoint_invalid"])
    assert file.read_bytes() == before


def test_a_file_that_cannot_keep_the_head_is_told_before_anything_is_fetched(server, city, tmp_path, capsys):
    for file in (tmp_path, tmp_path / "nowhere" / "seen"):
        words = ("log", "verify", server.url, "--directory", city, "--remember", file)
        status, [found] = machine(capsys, *words)
        assert (status, found["code"]) == (2, "cli.remember_unusable")


# What could not be done


def test_an_address_where_nobody_answers_is_no_verdict(city, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        status, [found] = machine(capsys, "log", "verify", url, "--directory", city)
    assert (status, found["code"]) == (3, "cli.log_unreachable")
    assert url in found["said"]


def test_a_host_that_cannot_even_be_asked_for_is_no_verdict(city, capsys):
    status, [found] = machine(capsys, "log", "verify", f"http://{'a' * 70}:80", "--directory", city)
    assert (status, found["code"]) == (3, "cli.log_unreachable")


@pytest.mark.parametrize(
    "gone", ["checkpoint", "tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/1/000.p/1"]
)
def test_a_file_that_the_log_does_not_give_is_no_verdict_and_is_named(server, city, tmp_path, capsys, gone):
    del server.site.files[gone]
    words = ("log", "verify", server.url, "--directory", city, "--remember", tmp_path / "seen")
    status, [found] = machine(capsys, *words)
    assert (status, found["code"]) == (3, "cli.log_unreachable")
    assert gone in found["said"]
    assert not (tmp_path / "seen").exists()


@pytest.mark.parametrize("note", [b"", b"<html></html>", b"\xff", b"x" * 70_000])
def test_a_site_that_is_no_log_is_no_verdict(server, city, capsys, note):
    server.site.files["checkpoint"] = note
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["code"]) == (3, "cli.log_unreachable")


def test_a_head_that_claims_a_size_no_log_has_ends_at_the_first_missing_file(server, city, capsys):
    server.site.files["checkpoint"] = a_note(Checkpoint(ORIGIN, 2**63 - 1, bytes(32)), by=BY)
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["code"]) == (3, "cli.log_unreachable")


def test_without_a_directory_there_is_nothing_to_check_with(server, capsys):
    status, [found] = machine(capsys, "log", "verify", server.url)
    assert (status, found["code"]) == (3, "cli.no_directory")


def test_a_log_of_no_member_has_no_keys(server, city, capsys):
    server.site = a_site(3, origin="11990100TB00000999/else")
    status, [found] = machine(capsys, "log", "verify", server.url, "--directory", city)
    assert (status, found["code"]) == (3, "cli.log_key_unlisted")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1", "http://", "http:///tile", "http://127.0.0.1:80/log", "http://127.0.0.1:80?x", "https://a b",
        "http://127.0.0.1:99999", "http://127.0.0.1:port", "http://127.0.0.1:0", "http://[::1", "http://u:p@127.0.0.1",
        "http://127.0.0.1#x", "http://127.0.0.1\n", "http://部门", "://x",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_log_is_refused(city, capsys, url):
    status, [found] = machine(capsys, "log", "verify", url, "--directory", city)
    assert (status, found["code"]) == (2, "cli.address_invalid")


def test_an_option_that_would_do_nothing_is_refused(server, city, tmp_path, capsys):
    for words in ((server.url, "--signatures"), (tmp_path, "--remember", tmp_path / "seen")):
        status, [found] = machine(capsys, "log", "verify", *words, "--directory", city)
        assert (status, found["code"]) == (2, "cli.usage")


# The certificate


@contextmanager
def shielded() -> Iterator[tuple[Server, ssl.SSLContext, str]]:
    """A server with a certificate that no authority knows, where it takes it from, and its digest."""
    made = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    digest = sha256(ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())).hexdigest()
    # Every connection is ended, so that each file is asked for over one that was opened anew.
    with Server("HTTP/1.0", tls=context) as found:
        yield found, context, digest


def test_a_listed_node_is_known_by_its_certificate_and_no_other_is_read(tmp_path, capsys):
    with shielded() as (server, _, digest):
        server.site = a_site(3_000)
        known = listed(tmp_path / "known", server.url, certificate=digest)
        assert told(capsys, "log", "verify", server.url, "--directory", known)[0] == 0
        other = listed(tmp_path / "other", server.url, certificate="ab" * 32)
        status, [found] = machine(capsys, "log", "verify", server.url, "--directory", other)
        assert (status, found["code"]) == (3, "cli.log_unreachable")


def test_a_certificate_that_is_another_on_a_later_connection_is_refused_there(tmp_path, capsys):
    with shielded() as (server, context, digest):
        known = listed(tmp_path / "known", server.url, certificate=digest)
        server.site = a_site(1)
        server.meanwhile = lambda: trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        status, [found] = machine(capsys, "log", "verify", server.url, "--directory", known)
        assert (status, found["code"]) == (3, "cli.log_unreachable")


def test_a_certificate_that_no_directory_names_must_be_an_authority_s(tmp_path, capsys):
    with shielded() as (server, _, _):
        elsewhere = listed(tmp_path / "d", "http://127.0.0.1:1")
        status, [found] = machine(capsys, "log", "verify", server.url, "--directory", elsewhere)
        assert (status, found["code"]) == (3, "cli.log_unreachable")
