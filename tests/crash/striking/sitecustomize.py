"""Loaded first by every process that has this folder on PYTHONPATH: it kills itself, by SIGKILL, where it is told to.

TONGBAN_STRIKES names a folder of orders, one JSON file each (see tests/crash/strikes.py). A process that comes to the
call an order names takes the order away, so that one process falls by it and no other; then it is gone, between two
system calls that no test could tell apart from outside.
"""

import json
import os
import re
import signal
import subprocess

_ORDERS = os.environ.get("TONGBAN_STRIKES", "")
_rename = os.rename
_met: dict[str, int] = {}  #: how often this process came to the place of an order


def _struck(call: str, when: str, path: str) -> bool:
    """Whether an order says that this process falls here and now; then the order is taken away."""
    try:
        names = [name for name in os.listdir(_ORDERS) if name.endswith(".order")]
    except OSError:
        return False
    for name in names:
        try:
            with open(os.path.join(_ORDERS, name), encoding="utf-8") as file:
                order = json.load(file)
        except (OSError, ValueError):
            continue
        if (order["call"], order["when"]) != (call, when) or not re.search(order["path"], path):
            continue
        _met[name] = _met.get(name, 0) + 1
        if _met[name] <= order["skip"]:
            continue
        try:
            _rename(os.path.join(_ORDERS, name), os.path.join(_ORDERS, f"{name}.{os.getpid()}.done"))
        except FileNotFoundError:
            continue
        return True
    return False


def _maybe(call: str, when: str, path: str) -> None:
    if _struck(call, when, path):
        os.kill(os.getpid(), signal.SIGKILL)


def _of(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")


def _around(name: str, where):
    works = getattr(os, name)

    def call(*args, **named):
        path = where(*args)
        _maybe(name, "before", path)
        done = works(*args, **named)
        _maybe(name, "after", path)
        return done

    setattr(os, name, call)


def _half_written():
    works = os.pwrite

    def pwrite(handle, data, at):
        if _struck("pwrite", "half", _of(handle)):
            works(handle, bytes(data)[: len(data) // 2], at)
            os.kill(os.getpid(), signal.SIGKILL)
        return works(handle, data, at)

    os.pwrite = pwrite


def _children():
    """`spawn`: a child was just started; `signal`: a child was just told something."""
    begins, tells = subprocess.Popen.__init__, subprocess.Popen.send_signal

    def begun(self, args, *rest, **named):
        begins(self, args, *rest, **named)
        _maybe("spawn", "after", " ".join(map(str, args)))

    def told(self, number):
        tells(self, number)
        _maybe("signal", "after", " ".join(map(str, self.args)))

    subprocess.Popen.__init__, subprocess.Popen.send_signal = begun, told


if _ORDERS:
    _around("fsync", _of)
    _around("fdatasync", _of)
    _around("rename", lambda source, target, **named: os.fspath(target))
    _half_written()
    _children()
