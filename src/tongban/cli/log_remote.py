"""`./tongban log verify URL`: audit a log over the network, with nothing in hand but the city's directory."""

import argparse
import hashlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from tongban.calendar.day import day_of
from tongban.cli import console
from tongban.cli.keyring import Keyring, LogKeyUnlisted, NoDirectory, keyring
from tongban.cli.log_check import MEANING
from tongban.cli.log_revoked import closed_elsewhere, closing_of
from tongban.exchange.listing import Node
from tongban.kit.clock import MachineClock
from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid, Unavailable
from tongban.node.operation import number
from tongban.tlog.checkpoint import CheckpointInvalid
from tongban.tlog.remote import Remote, audit, head_of, tiles, unseen

#: Connections at once, seconds for one file, bytes of the largest: a bundle of 256 leaves of 64 KiB.
_AT_ONCE, _PATIENCE, _LARGEST = 8, 30, 17 * 1024 * 1024
#: How often a file is asked for that the node will not give yet, and seconds between.
_TRIES, _PAUSE = 60, 0.5
_ADDRESS = re.compile(r"(?i:https?)://[0-9A-Za-z.:\[\]-]{1,200}")


class LogUnreachable(Unavailable):
    code = "cli.log_unreachable"
    message = "The log at {address} does not give {path}: {what}."
    remedy = "Check the address (a node's exchange port) and try again; keep what you fetched before."


class AddressInvalid(Invalid):
    code = "cli.address_invalid"
    message = "{address} is no address of a log."
    remedy = "Give http://HOST:PORT or https://HOST:PORT, with nothing behind it."


class RememberUnusable(Invalid):
    code = "cli.remember_unusable"
    message = "{file} cannot keep the head that was seen last ({what})."
    remedy = "Name with --remember a file in a folder that is there and may be written."


class Web:
    """Fetches files of one log, on a few connections that are kept. The directory names the certificate, if listed."""

    def __init__(self, address: str, certificate: str | None) -> None:
        place = _place(address)
        if place is None:
            raise AddressInvalid(address=address)
        self.address = address
        self._scheme, self._host, self._port = place
        self._certificate = certificate
        self._held = threading.local()
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def fetch(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Bodies in the order of `paths`, a few of them ahead. Raises LogUnreachable."""
        coming = iter(paths)
        ahead = deque(self._pool.submit(self._get, path) for path in islice(coming, 4 * _AT_ONCE))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(self._pool.submit(self._get, path) for path in islice(coming, 1))

    def post(self, path: str, body: bytes) -> bytes:
        """What comes back. Raises LogUnreachable."""
        return self._get(path, body)

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        for kept in (True, False):
            try:
                return self._got(path, body)
            # A name that no name service could be asked for is a UnicodeError.
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                self._held.connection = None
                # A connection that was kept may have ended meanwhile; a new one that fails says something.
                if not kept:
                    raise LogUnreachable(address=self.address, path=path, what=type(error).__name__) from None
        raise AssertionError

    def _got(self, path: str, sent: bytes | None) -> bytes:
        connection = getattr(self._held, "connection", None)
        if connection is None:
            connection = self._held.connection = self._connected()
        for _ in range(_TRIES):
            with _in_time(connection):
                connection.request("GET" if sent is None else "POST", f"/{path}", sent)
                got = connection.getresponse()
                with closing(got):
                    body = bytes(got.read(_LARGEST))
                if got.status == 200:
                    return body
                if got.status != 429:
                    break
            # A node gives an address so many files a second; whoever reads a whole log waits for the next.
            time.sleep(_PAUSE)
        raise LogUnreachable(address=self.address, path=path, what=f"status {got.status}")

    def _connected(self) -> http.client.HTTPConnection:
        if self._scheme == "http":
            return http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE)
        context = ssl.create_default_context()
        if self._certificate:
            # The directory names the certificate itself; no authority is asked.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_PATIENCE, context=context)
        connection.connect()
        shown = connection.sock.getpeercert(True) or b""
        if self._certificate and hashlib.sha256(shown).hexdigest() != self._certificate:
            connection.close()
            raise ssl.SSLError("another certificate than the directory names")
        # It would open itself again, and look at no certificate.
        connection.auto_open = False
        return connection


@contextmanager
def _in_time(connection: http.client.HTTPConnection) -> Iterator[None]:
    """End the connection once a file has taken too long as a whole: a byte now and then would hold us up for ever."""
    # One that was opened under a pinned certificate never opens itself again.
    if connection.sock is None and connection.auto_open:
        connection.connect()
    held = connection.sock
    timer = threading.Timer(_PATIENCE, lambda: held and held.shutdown(socket.SHUT_RDWR))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _place(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port: two addresses are one if these are the same. None: it is none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or port == 0 or not _ADDRESS.fullmatch(address):
        return None
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def verify(args: argparse.Namespace) -> int:
    address, former = args.log.rstrip("/"), _remembered(args.remember)
    ring = keyring(args.directory, Path("/"), args.root)
    if ring is None:
        raise NoDirectory(place=address)
    listed = _listed(ring, address)
    web = Web(address, listed.certificate if listed else None)
    try:
        found = _head(web, ring)
        if listed is not None and found.head.origin != listed.origin:
            found.problem("cli.other_log", "newest checkpoint")
        closing = closing_of(ring, found.head.origin)
        for one in closed_elsewhere(closing, found.head.size, found.head.root.hex()):
            found.problem(one.code, one.place)
        _judge_age(found)
        with console.progress("日志 · tiles", tiles(found.head.size)) as advance:
            audit(found, web.fetch, former, advance)
    finally:
        web.close()
    if args.remember and found.holds:
        _remember(args.remember, found.note)
    if args.json:
        console.emit(_json(found, ring))
    else:
        _tell(address, found, ring)
    return 0 if found.holds else 1


def _listed(ring: Keyring, address: str) -> Node | None:
    """The node that has this address in the newest directory that knows it."""
    sought = _place(address)
    nodes = [node for one in ring.directories for node in one.nodes.values()]
    same = [node for node in nodes if sought and _place(node.address) == sought]
    # Another name for the same machine must not keep the directory's word from being asked.
    return next(iter(same), None) or next((node for node in nodes if sought and _leads_to(sought, node)), None)


def _leads_to(sought: tuple[str, str, int], node: Node) -> bool:
    """Whether the address is another spelling of the node's: the same port of the same machine."""
    listed = _place(node.address)
    return listed is not None and listed[2] == sought[2] and bool(_machines(listed[1]) & _machines(sought[1]))


@cache
def _machines(host: str) -> frozenset[str]:
    try:
        found = frozenset(str(one[4][0]) for one in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return frozenset({host})
    # Every loopback address is this machine.
    here = any(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)
    return found | {"loopback"} if here else found


def _head(web: Web, ring: Keyring) -> Remote:
    [note] = web.fetch(["checkpoint"])
    try:
        found = head_of(note, lambda origin: ring.of_log(origin).values(), ring.quorum)
    except CheckpointInvalid as error:
        raise LogUnreachable(address=web.address, path="checkpoint", what=error.facts["what"]) from None
    if not ring.of_log(found.head.origin):
        raise LogKeyUnlisted(origin=found.head.origin)
    return found


def _remembered(file: Path | None) -> bytes | None:
    """Raises RememberUnusable: found now rather than after an hour of fetching."""
    if file is None:
        return None
    if not file.parent.is_dir():
        raise RememberUnusable(file=file, what="its folder is not there")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RememberUnusable(file=file, what=error.strerror) from None


def _remember(file: Path, note: bytes) -> None:
    try:
        write_durably(file, note)
    except OSError as error:
        raise RememberUnusable(file=file, what=error.strerror) from None


def _judge_age(found: Remote) -> None:
    """A head that witnesses saw long ago: the node shows one every minute, so a newer one may be kept back."""
    times = sorted((one.time for one in found.seen), reverse=True)
    if not found.quorum.k or len(times) < found.quorum.k:
        return
    now = MachineClock().seconds()
    if now - times[found.quorum.k - 1] > number("cosigned_seconds", day_of(now)):
        found.problem("cli.head_old", "newest checkpoint")


# --- telling --------------------------------------------------------------------------------------


def _json(found: Remote, ring: Keyring) -> dict[str, object]:
    return {
        "holds": found.holds,
        "keys": ring.to_json(),
        "origin": found.head.origin,
        "entries": found.head.size,
        "root": found.head.root.hex(),
        "signed": found.signed,
        "witnesses": [{"name": one.witness, "time": one.time} for one in found.seen],
        "wanted": found.quorum.k,
        "outside": found.quorum.outside_seen(found.seen),
        "kinds": found.kinds,
        "found": found.found,
        "problems": [{"code": one.code, "place": one.place} for one in found.problems],
    }


def _tell(address: str, found: Remote, ring: Keyring) -> None:
    console.say(f"日志 · log    {found.head.origin}  at {address}")
    for line in ring.told():
        console.say(f"密钥 · keys   {line}")
    console.say()
    rows = [(name, count) for name, count in sorted(found.kinds.items())]
    console.table(("条目 entries", "found"), [*rows, ("together", found.head.size)], right=(1,))
    console.say()
    for one in found.seen:
        outside = "  外部 outside" if one.witness in found.quorum.outside else ""
        console.say(f"见证 · seen by {one.witness} at {_when(one.time)}{outside}")
    for name in unseen(found) if found.quorum.k else ():
        console.say(f"       not by  {name}")
    if found.seen and not found.quorum.outside_seen(found.seen):
        console.say("仅内部见证 · internal witnesses only: nobody outside the administration has seen this head")
    for problem in found.problems:
        console.say(f"✗ {problem.place}: {MEANING.get(problem.code, 'it does not hold')} ({problem.code})")
    console.say(_verdict(found))


def _when(time: int) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {time}, which is in no calendar"


def _verdict(found: Remote) -> str:
    if found.found or not found.signed:
        return f"日志不成立 · The log does NOT hold: {found.found} things do not fit."
    if not found.quorum.reached(found.seen):
        few = f"{len(found.seen)} of {found.quorum.k} witnesses have seen this head"
        return f"见证不足 · Not witnessed: {few}; somebody may be shown another."
    seen = f"{len(found.seen)} witnesses have" if found.seen else "no witness has"
    said = f"all {found.head.size:,} entries are those under the signed head, which {seen} seen"
    return f"日志成立 · The log holds: {said}."
