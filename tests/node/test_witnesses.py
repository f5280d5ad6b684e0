"""Witnesses at work: real nodes cosign each other's heads, and a log that was set back or forked is not continued."""

import base64
import http.client
import http.server
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.node.asking import Asker
from tests.node.conftest import NODES, free_ports
from tests.node.place import CONSUMER, POLICE, PROVIDER, Place, lay_out
from tests.node.running import NodeProcess, inside, opened, until
from tests.node.running import entries as entries_of
from tests.world import APPLICANT
from tongban.cli.main import main
from tongban.exchange.listing import compose
from tongban.kit import statement
from tongban.kit.keys import SigningKey
from tongban.node.config import read as read_config
from tongban.node.cosigning import LogContradicted
from tongban.node.open_log import BURST
from tongban.node.program import origin_of
from tongban.tlog.checkpoint import LARGEST, Checkpoint, key_hash, parse, sign
from tongban.tlog.cosignature import cosign, cosigners
from tongban.tlog.tile import ENTRIES, Tile, bundle
from tongban.tlog.witness import MOST_BYTES

#: The three that run; the five others are listed as witnesses too and never answer.
RUNNING = (PROVIDER, CONSUMER, POLICE)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A city of its own: what is forked here must not be found in the others' tests."""
    place = lay_out(tmp_path_factory.mktemp("witnessed"), free_ports(NODES), witnessed=True)
    place.refresh(PROVIDER)
    return place


@pytest.fixture(scope="module")
def nodes(city: Place) -> Iterator[dict[str, NodeProcess]]:
    nodes = {name: NodeProcess(city.node(name)).start() for name in RUNNING}
    try:
        for one in nodes.values():
            one.ready()
        yield nodes
    finally:
        for one in nodes.values():
            if one.alive:
                one.stop()


def fetched(node: NodeProcess, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    try:
        connection.request(method, path, body)
        got = connection.getresponse()
        return got.status, got.read()
    finally:
        connection.close()


def asked(city: Place, node: NodeProcess, times: int = 1) -> None:
    """Entries at the provider."""
    asker = Asker(city)
    for _ in range(times):
        assert node.send(asker.query()).status == 200


def cosigned(city: Place, node: NodeProcess, size: int) -> bytes:
    """The head shown by `node`, once it covers `size` entries and others have cosigned it."""
    quorum = city.directory(read_config(node.folder)).witnessing
    assert quorum is not None
    keys = quorum.quorum(origin_of(read_config(node.folder))).witnesses

    def look() -> bytes | None:
        status, note = fetched(node, "/checkpoint")
        if status != 200 or parse(note)[0].size < size:
            return None
        return note if len(cosigners(note, keys)) >= 2 else None

    return until(look, f"{node.folder.name} is cosigned at {size}")


def test_the_others_cosign_every_head(city: Place, nodes: dict[str, NodeProcess]) -> None:
    provider = nodes[PROVIDER]
    asked(city, provider, 3)
    size = provider.size()
    note = cosigned(city, provider, size)
    assert parse(note)[0].size == size
    told = until(lambda: (provider.health()["witnessed"] or {}).get("entries") == size and provider.health(), "told")
    assert told["witnessed"]["wanted"] == 2
    assert len(told["witnessed"]["by"]) == 2
    assert told["witnessed"]["outside"] is False


def test_anybody_reads_the_leaves_and_nobody_the_records(city: Place, nodes: dict[str, NodeProcess]) -> None:
    provider = nodes[PROVIDER]
    asked(city, provider)
    size = provider.size()
    status, got = fetched(provider, "/" + Tile(ENTRIES, 0, size).path)
    kept = entries_of(provider.log)
    assert (status, got) == (200, bundle(one.leaf for one in kept))
    assert all(one.record is None or one.record not in got for one in kept)
    assert APPLICANT.encode() not in got
    status, got = fetched(provider, "/" + Tile(0, 0, size).path)
    assert (status, len(got)) == (200, 32 * size)


def audited(capsys: pytest.CaptureFixture[str], city: Place, node: NodeProcess, file: Path) -> tuple[int, Any]:
    """What a stranger with the city's directory finds at a node's address."""
    url = f"http://127.0.0.1:{node.port}"
    capsys.readouterr()
    status = main(["log", "verify", url, "--directory", str(city.published), "--remember", str(file), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_anybody_audits_a_running_node_from_outside(
    city: Place, nodes: dict[str, NodeProcess], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    provider = nodes[PROVIDER]
    asked(city, provider, 2)
    note = cosigned(city, provider, size := provider.size())
    status, found = audited(capsys, city, provider, tmp_path / "seen")
    assert (status, found["holds"], found["problems"]) == (0, True, [])
    assert (found["entries"], sum(found["kinds"].values())) == (size, size)
    assert "opaque" not in found["kinds"]
    assert (len(found["witnesses"]), found["wanted"], found["outside"]) == (2, 2, False)
    assert parse((tmp_path / "seen").read_bytes())[0] == parse(note)[0]
    asked(city, provider)
    cosigned(city, provider, size + 1)
    status, found = audited(capsys, city, provider, tmp_path / "seen")
    assert (status, found["entries"]) == (0, size + 1)
    assert audited(capsys, city, nodes[CONSUMER], tmp_path / "seen")[1]["problems"] == [
        {"code": "tlog.checkpoint_invalid", "place": "the checkpoint remembered"}
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/checkpoint", 405),
        ("GET", "/add-checkpoint", 405),
        ("PUT", "/tile/0/000", 405),
        ("GET", "/tile/0/000", 404),
        ("GET", "/tile/0/000.p/0", 404),
        ("GET", "/tile/0/0", 404),
        ("GET", "/tile/../log/entries", 404),
        ("GET", "/tile/entries/999.p/1", 404),
        ("GET", "/witnessed/" + "0" * 64, 404),
        ("GET", "/witnessed/short", 404),
        ("GET", "/checkpoint?x=1", 404),
    ],
)
def test_what_is_not_there_is_told_in_plain_words(
    nodes: dict[str, NodeProcess], method: str, path: str, status: int
) -> None:
    got, said = fetched(nodes[PROVIDER], path, method)
    assert (got, bool(said)) == (status, True)


def test_strangers_get_no_cosignature(city: Place, nodes: dict[str, NodeProcess]) -> None:
    police = nodes[POLICE]
    asked(city, nodes[PROVIDER])
    note = cosigned(city, nodes[PROVIDER], 1)
    assert fetched(police, "/add-checkpoint", "POST", b"nonsense")[0] == 400
    assert fetched(police, "/add-checkpoint", "POST", b"x" * (MOST_BYTES + 1))[0] == 413
    foreign = note.replace(origin_of(read_config(nodes[PROVIDER].folder)).encode(), b"another/log")
    assert fetched(police, "/add-checkpoint", "POST", b"old 0\n\n" + foreign)[0] == 404


def test_a_witness_that_lost_its_memory_of_a_log_cosigns_nothing_of_it_and_says_so_in_one_line(
    city: Place, nodes: dict[str, NodeProcess]
) -> None:
    police = nodes[POLICE]
    note = cosigned(city, nodes[CONSUMER], 0)
    digest = sha256(origin_of(read_config(nodes[CONSUMER].folder)).encode()).hexdigest()
    memory = police.folder / "witness" / f"{digest}.note"
    kept = until(lambda: memory.exists() and memory.read_bytes(), "it was shown the log")
    try:
        memory.write_bytes(kept[:-9])
        said = len(police.said())
        assert fetched(police, f"/witnessed/{digest}")[0] == 503
        assert fetched(police, "/add-checkpoint", "POST", b"old 0\n\n" + note)[0] == 503
        assert police.said()[said:].count("tlog.witness_damaged") >= 2
        assert "Traceback" not in police.said()[said:]
    finally:
        memory.write_bytes(kept)
    assert fetched(police, f"/witnessed/{digest}")[0] == 200


def test_a_witness_that_was_away_catches_up(city: Place, nodes: dict[str, NodeProcess]) -> None:
    provider, police = nodes[PROVIDER], nodes[POLICE]
    assert police.stop() == 0
    asked(city, provider, 2)
    size = provider.size()
    police.start().ready()
    assert parse(cosigned(city, provider, size))[0].size == size


def test_a_log_that_was_set_back_is_not_continued(city: Place, nodes: dict[str, NodeProcess]) -> None:
    provider = nodes[PROVIDER]
    backup = city.folder / "backup"
    assert provider.stop() == 0
    shutil.copytree(provider.log, backup)
    provider.start().ready()
    asked(city, provider, 2)
    cosigned(city, provider, provider.size())
    assert provider.stop() == 0
    newest = city.folder / "newest"
    provider.log.rename(newest)
    shutil.copytree(backup, provider.log)
    before = (provider.log / "checkpoint").read_bytes()
    provider.start()
    assert until(provider.ended, "it gives up") == [3]
    assert "signed by this node's own key; here it is another" in provider.said()
    assert "Unclosed" not in provider.said()
    assert (provider.log / "checkpoint").read_bytes() == before
    shutil.rmtree(provider.log)
    newest.rename(provider.log)
    provider.start().ready()
    asked(city, provider)
    cosigned(city, provider, provider.size())


def test_a_second_log_under_the_same_name_is_stopped_as_soon_as_it_is_shown(
    city: Place, nodes: dict[str, NodeProcess]
) -> None:
    asked(city, nodes[PROVIDER])
    cosigned(city, nodes[PROVIDER], nodes[PROVIDER].size())
    with inside(city, "twin-fork", PROVIDER) as twin:
        asker = Asker(city, now=twin.clock.seconds)
        assert twin.send(asker.query()).status == 200
        twin.node.log.checkpoint()
        assert twin.node.answers()
        with pytest.raises(LogContradicted):
            twin.run(twin.node.cosigning.show())
        assert not twin.node.answers()
        got = twin.send(asker.query())
        assert (got.status, got.code) == (503, "exchange.log_unavailable")
        twin.run(twin.node.cosigning.close())


def test_a_second_log_under_the_same_name_does_not_start(city: Place, nodes: dict[str, NodeProcess]) -> None:
    asked(city, nodes[PROVIDER])
    cosigned(city, nodes[PROVIDER], nodes[PROVIDER].size())
    with inside(city, "twin-start", PROVIDER) as twin:
        with pytest.raises(LogContradicted):
            twin.run(twin.node.cosigning.confirm())
        twin.run(twin.node.cosigning.close())


def test_without_any_witness_that_answers_calls_go_on(city: Place) -> None:
    with inside(city, "twin-alone", CONSUMER) as twin:
        directory = twin.node.source.current
        assert directory is not None
        assert directory.witnessing is not None
        away = [statement_of(city, 99, 1, [silent("away")])]
        city.put(*away)
        twin.run(twin.node.source.pull())
        twin.run(twin.node.cosigning.confirm())
        twin.node.log.checkpoint()
        twin.run(twin.node.cosigning.show())
        assert twin.node.cosigning.standing is None
        assert twin.node.cosigning.head == twin.node.log.note
        twin.run(twin.node.cosigning.close())


def test_a_stranger_who_floods_is_one_peer_under_all_addresses_of_his_network(city: Place) -> None:
    with inside(city, "twin-flooded", CONSUMER) as twin:

        async def status(peer: str) -> int:
            async def receive() -> dict[str, Any]:
                raise AssertionError

            reply = await twin.node.exchange._open("GET", b"/tile/0/999", peer, receive)
            assert reply is not None
            return reply.status

        flood = [twin.run(status(f"2001:db8::{number % 7:x}")) for number in range(BURST + 9)]
        assert flood == [404] * BURST + [429] * 9
        assert twin.run(status("2001:db8:0:1::1")) == 404


# --- witnesses that lie ----------------------------------------------------------------------------------


LIAR = SigningKey("liar.witness.1", b"l" * 32)


def silent(name: str) -> dict[str, Any]:
    return witness(name, f"http://127.0.0.1:{free_ports(['x'])['x']}")


def witness(name: str, address: str, key: SigningKey = LIAR) -> dict[str, Any]:
    public = base64.b64encode(key.public.public).decode()
    return {"name": name, "member": None, "address": address, "certificate": None, "public": public, "outside": True}


def statement_of(city: Place, version: int, k: int, witnesses: list[dict[str, Any]]) -> statement.Statement:
    body = compose("witnessing", version=version, k=k, witnesses=witnesses)
    return statement.sign(body, *city.bureau.root_keys())


@contextmanager
def lying(status: int, said: bytes, remembered: bytes | None = None) -> Iterator[str]:
    """A witness that answers every head with the same, at an address of its own."""

    class Liar(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self._say(status, said)

        def do_GET(self) -> None:
            self._say(404 if remembered is None else 200, remembered or b"none")

        def _say(self, status: int, said: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "said", "remembered"),
    [
        (409, b"999999999\n", None),
        (409, b"999999999\n", b"nonsense"),
        (409, b"nonsense\n", None),
        (409, b"9" * 400, None),
        (200, b"", None),
        (200, b"\xff\xfe", None),
        (200, "— liar.witness.1 AAAA\n".encode(), None),
        (200, b"x" * 1_000_000, None),
        (302, b"", None),
        (500, b"no", None),
    ],
)
def test_what_a_witness_only_says_stops_nothing(
    city: Place, status: int, said: bytes, remembered: bytes | None
) -> None:
    name = f"twin-liar-{status}-{sha256(said + (remembered or b'')).hexdigest()[:8]}"
    with lying(status, said, remembered) as address, inside(city, name, CONSUMER) as twin:
        city.put(statement_of(city, 100, 1, [witness(LIAR.id, address)]))
        twin.run(twin.node.source.pull())
        twin.node.log.checkpoint()
        twin.run(twin.node.cosigning.confirm())
        for _ in range(2):
            twin.run(twin.node.cosigning.show())
        assert twin.node.cosigning.standing is None
        assert twin.node.cosigning.head == twin.node.log.note
        twin.run(twin.node.cosigning.close())


def test_a_witness_that_adds_lines_of_its_own_keeps_no_room_from_the_others(city: Place) -> None:
    keys = [SigningKey(f"witness.{number}", bytes([number]) * 32) for number in (1, 2)]
    with inside(city, "twin-crowded", CONSUMER) as twin:
        cosigning = twin.node.cosigning

        async def ask(witness: Any, method: str, path: str, body: bytes) -> tuple[int, bytes]:
            note = body.partition(b"\n\n")[2]
            key = next(one for one in keys if one.id == witness.name)
            line = cosign(parse(note)[1], key.id, key, int(twin.clock.now))
            further = f"— {key.id} AAAAAAA=\n".encode()
            return 200, line + further * ((LARGEST - len(note) - len(line)) // len(further))

        cosigning._ask = ask  # type: ignore[method-assign]
        city.put(statement_of(city, 103, 2, [witness(key.id, "http://127.0.0.1:9", key) for key in keys]))
        twin.run(twin.node.source.pull())
        twin.node.log.checkpoint()
        twin.run(cosigning.show())
        assert cosigning.standing is not None
        assert [one.witness for one in cosigning.standing.seen] == [key.id for key in keys]


def test_a_head_of_ours_proves_the_fork_whatever_others_wrote_below_it(city: Place) -> None:
    former, listed = city.online_key(900_010, CONSUMER)
    with inside(city, "twin-spoilt", CONSUMER) as twin:
        cosigning, origin = twin.node.cosigning, twin.node.log.origin
        head = sign(Checkpoint(origin, 7, bytes(32)), city.key(CONSUMER, "online"))
        line = base64.b64encode(key_hash(origin, former.public) + bytes(64)).decode()

        async def ask(witness: Any, method: str, path: str, body: bytes) -> tuple[int, bytes]:
            return 200, head + f"— {origin} {line}\n".encode()

        cosigning._ask = ask  # type: ignore[method-assign]
        city.put(listed, statement_of(city, 104, 0, [silent("away")]))
        twin.run(twin.node.source.pull())
        with pytest.raises(LogContradicted):
            twin.run(cosigning.confirm())


def test_a_head_that_is_shown_again_unchanged_is_shown_once_a_minute(city: Place) -> None:
    shown: list[bytes] = []
    with inside(city, "twin-again", CONSUMER) as twin:
        cosigning = twin.node.cosigning

        async def ask(witness: Any, method: str, path: str, body: bytes) -> tuple[int, bytes]:
            shown.append(body)
            return 0, b""

        cosigning._ask = ask  # type: ignore[method-assign]
        city.put(statement_of(city, 105, 0, [silent("away")]))
        twin.run(twin.node.source.pull())
        twin.node.log.checkpoint()
        twin.run(cosigning.show())
        first = len(shown)
        twin.run(cosigning.show())
        assert (first > 0, len(shown)) == (True, first)
        cosigning._shown_at -= 60
        twin.run(cosigning.show())
        assert len(shown) > first
        again = len(shown)
        # Nobody of a new list has seen it yet.
        city.put(statement_of(city, 106, 0, [silent("elsewhere")]))
        twin.run(twin.node.source.pull())
        twin.run(cosigning.show())
        assert len(shown) > again


def test_the_head_that_was_shown_last_is_shown_after_a_restart(city: Place, nodes: dict[str, NodeProcess]) -> None:
    city.put(statement_of(city, 107, 2, _all_of(city)))
    provider = nodes[PROVIDER]
    asked(city, provider)
    note = cosigned(city, provider, provider.size())
    assert (provider.log / "cosigned").read_bytes() == note
    assert provider.stop() == 0
    with opened_copy(city, provider) as found:
        assert found.node.cosigning.head == note
    for other in (b"nonsense", note.replace(b"civil-affairs", b"another-node")):
        with opened_copy(city, provider, other) as found:
            assert found.node.cosigning.head == found.node.log.note


def _all_of(city: Place) -> list[dict[str, Any]]:
    directory = json.loads(city.published.read_text())
    before = [one["body"] for one in directory["entries"] if one["body"]["kind"] == "node"]
    return [
        witness(key.id, node["address"], key) | {"member": node["member"], "outside": False}
        for node in before
        for key in [city.key(node["id"], "witness")]
    ]


@contextmanager
def opened_copy(city: Place, node: NodeProcess, cosigned: bytes | None = None) -> Iterator[Any]:
    folder: Path = city.folder / "copies" / str(time.monotonic_ns())
    shutil.copytree(node.folder, folder, ignore=shutil.ignore_patterns("*.sock"))
    (folder / "node.toml").write_text((folder / "node.toml").read_text().replace("../../", f"{city.folder}/"))
    if cosigned is not None:
        (folder / "log" / "cosigned").write_bytes(cosigned)
    with opened(folder, time.time(), pull=False) as found:
        yield found
