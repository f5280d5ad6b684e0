"""`./tongban doctor`: what on this machine would get in the way, in plain words.

Runs on the standard library alone, so that it also answers where no environment could be made.
Changes nothing but a file of 4 KiB that it writes, syncs and removes.
"""

import argparse
import ctypes
import hashlib
import json
import locale
import os
import pwd
import resource
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tongban.cli import console
from tongban.cli.root import checkout

EXAMPLE = """examples:
  ./tongban doctor           one line a check, advice where something is wrong
  ./tongban doctor --json    one JSON object a check
Exit status 1 if something would stop the software; a warning does not."""

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: str  #: good | warning | bad
    said: str
    advice: str = ""


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE


def run(args: argparse.Namespace) -> int:
    findings = list(examine(checkout()))
    for finding in findings:
        if args.json:
            console.emit(finding)
        else:
            mark = {"good": "✓", "warning": "!", "bad": "✗"}[finding.state]
            console.say(f"{mark} {finding.name:<14}{finding.said}")
            if finding.advice:
                console.say(f"{'':<16}{finding.advice}")
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def examine(root: Path) -> Iterator[Finding]:
    """Every check, in the order in which a missing thing would be met."""
    checks: tuple[Callable[[Path], Finding], ...] = (
        python,
        environment,
        cores,
        memory,
        disk_kind,
        disk_speed,
        space,
        open_files,
        clock,
        ports,
        socket_path,
        database,
        terminal,
    )
    for check in checks:
        yield check(root)


def python(_root: Path) -> Finding:
    version = f"Python {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} ({sys.executable})"
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Finding("python", "bad", version, "Install 3.11 to 3.14; the pinned packages are built for these.")
    return Finding("python", "good", version)


def environment(root: Path) -> Finding:
    """Whether .venv was finished, here, and from the packages now pinned; and how old it is."""
    try:
        stamp = json.loads((root / ".venv" / "tongban.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Finding("environment", "warning", "not made yet", "Any command but this one makes it.")
    layers = [name for name in ("run", "test") if name in stamp]
    days = (time.time() - stamp["made"]) / 86400
    said = f"{' and '.join(layers)} packages, made {days:.0f} days ago in {stamp['seconds']:.0f} s"
    if stamp["root"] != str(root):
        return Finding("environment", "warning", "made at another path", "The next command makes it anew.")
    pinned = {name: (root / "requirements" / f"{name}.txt").read_bytes() for name in layers}
    if any(stamp[name] != hashlib.sha256(data).hexdigest() for name, data in pinned.items()):
        return Finding("environment", "warning", f"{said}; other packages are pinned now", "The next command mends it.")
    return Finding("environment", "good", said)


def cores(_root: Path) -> Finding:
    usable = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    # A container may be held to less than it sees (cgroup v2: "quota period" or "max period").
    quota, _, period = _line("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        usable = min(usable, int(quota) / int(period))
    said = f"{usable:g} usable"
    if usable < 2:
        return Finding("cores", "warning", said, "A city of one machine wants two; it will be slow.")
    return Finding("cores", "good", said)


def memory(_root: Path) -> Finding:
    table = dict(line.split(":", 1) for line in _text("/proc/meminfo").splitlines() if ":" in line)
    free = int(table.get("MemAvailable", "0 kB").split()[0]) * 1024
    limit, used = _line("/sys/fs/cgroup/memory.max"), _line("/sys/fs/cgroup/memory.current")
    if limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    if not free:
        return Finding("memory", "warning", "this system does not say how much is free")
    said = f"{free / GIB:.1f} GiB free"
    if free < 2 * GIB:
        return Finding("memory", "warning", said, "The small city takes about 2 GiB; close something first.")
    return Finding("memory", "good", said)


def disk_kind(root: Path) -> Finding:
    kind = filesystem_of(root)
    if kind in ("tmpfs", "ramfs"):
        advice = "What nodes log here is gone when the machine stops. For more than a trial, use a disk."
        return Finding("disk", "warning", f"{root} lies in memory ({kind})", advice)
    if kind.startswith(("nfs", "cifs", "smb", "fuse", "9p", "virtiofs")):
        advice = "Locks and durable writes over a network or shared folder cannot be relied on; use a local disk."
        return Finding("disk", "warning", f"{root} lies on {kind}", advice)
    return Finding("disk", "good", f"{root} lies on {kind or 'a file system of unknown kind'}")


def filesystem_of(path: Path) -> str:
    """Kind of the file system that holds `path`; empty where the system does not say (no /proc)."""
    best, kind = "", ""
    for line in _text("/proc/self/mounts").splitlines():
        _device, mount, its_kind = line.split(" ")[:3]
        mount = mount.replace("\\040", " ")  # how a space stands there (fstab(5))
        inside = str(path) == mount or str(path).startswith(mount.rstrip("/") + "/")
        # The longest mount point wins; of two at one place, the later one lies on top.
        if inside and len(mount) >= len(best):
            best, kind = mount, its_kind
    return kind


def disk_speed(root: Path) -> Finding:
    """Median time of a durable write: every answer of a node waits for one."""
    took = []
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-") as file:
            for _ in range(9):
                began = time.perf_counter()
                os.pwrite(file.fileno(), b"\0" * 4096, 0)
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError as error:
        advice = "Give the folder to the account that runs the software."
        return Finding("durable write", "bad", f"{root}: {error.strerror}", advice)
    median = statistics.median(took) * 1000
    if median > 20:
        advice = "Each answer of a node waits for one; single calls will feel slow, batches will not."
        return Finding("durable write", "warning", f"{median:.1f} ms", advice)
    return Finding("durable write", "good", f"{median:.2f} ms")


def space(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    said = f"{free / GIB:.1f} GiB free"
    if free < 1 * GIB:
        return Finding("space", "bad", said, "The environment and a small city need 1 GiB.")
    if free < 5 * GIB:
        return Finding("space", "warning", said, "Enough for the small city; a metropolis wants 20 GiB.")
    return Finding("space", "good", said)


def open_files(_root: Path) -> Finding:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 1024:
        return Finding("open files", "warning", f"at most {soft}", "Raise the limit before a city: ulimit -n 4096")
    return Finding("open files", "good", f"at most {soft if soft >= 0 else 'any number'}")


def clock(root: Path) -> Finding:
    """A clock that is behind makes good signatures look as if they came from the future."""
    newest = max(path.stat().st_mtime for path in (root / "pyproject.toml", root / "requirements" / "run.txt"))
    now = time.time()
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now + 86400 < newest:
        return Finding("clock", "bad", f"{said}, before these files were written", "Set the clock; nodes allow 30 s.")
    if _steered() is False:
        advice = "Nodes of different machines must agree within 30 s; let chrony or systemd-timesyncd set the clock."
        return Finding("clock", "warning", f"{said}; nobody sets it", advice)
    return Finding("clock", "good", said)


def _steered() -> bool | None:
    """Whether the kernel's clock is disciplined (adjtimex(2) returns 5, TIME_ERROR, if not); None if unknown."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != 5


def ports(_root: Path) -> Finding:
    """Servers find free ports by themselves; they must be allowed to open any on this machine."""
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            client.settimeout(2)
            client.connect(server.getsockname())
    except OSError as error:
        advice = "A firewall or sandbox keeps programs of this machine from each other; allow 127.0.0.1."
        return Finding("ports", "bad", f"127.0.0.1 cannot be used: {error.strerror}", advice)
    return Finding("ports", "good", "127.0.0.1 can be listened on and reached")


def socket_path(root: Path) -> Finding:
    """A node's local door may be a Unix socket, whose path the system limits to 107 bytes (unix(7))."""
    length = len(os.fsencode(root)) + len("/var/city/nodes/natural-resources/door.sock")
    if length > 107:
        advice = "The path of a node's local door would be too long; move the folder nearer to the root."
        return Finding("folder's path", "warning", f"{len(os.fsencode(root))} bytes long", advice)
    return Finding("folder's path", "good", f"{len(os.fsencode(root))} bytes long")


def database(_root: Path) -> Finding:
    """The tests start a PostgreSQL server of their own, which refuses to run as root."""
    if os.geteuid() != 0:
        return Finding("database", "good", "tests start their PostgreSQL as this account")
    try:
        pwd.getpwnam("nobody")
    except KeyError:
        advice = "Run the tests as another account than root, or make one called nobody."
        return Finding("database", "warning", "PostgreSQL, which tests start, refuses to run as root", advice)
    return Finding("database", "good", "tests start their PostgreSQL as nobody")


def terminal(_root: Path) -> Finding:
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).lower().replace("-", "")
    if encoding not in ("utf8", "gb18030", "gbk"):
        return Finding("terminal", "warning", f"cannot show Chinese ({encoding})", "Try: export LANG=C.UTF-8")
    columns = shutil.get_terminal_size().columns
    return Finding("terminal", "good", f"{encoding}, {columns} columns; the font is right if this reads tongban: 通办")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _line(path: str) -> str:
    return _text(path).strip()
