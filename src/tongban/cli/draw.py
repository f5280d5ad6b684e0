"""`./tongban draw verify BUNDLE` checks a published draw; `draw historic` draws one of the past again.

The bundle alone shows that the winners follow from its pool and its seed. That the department in charge froze this
pool, before anybody could know the seed, is shown by the directory and by that department's log.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongban.cli import console, draw_historic
from tongban.kit.errors import Invalid

if TYPE_CHECKING:
    from tongban.cli.keyring import Keyring
    from tongban.kit.statement import Statement

_EXAMPLE = """examples:
  ./tongban draw verify var/small/rounds/2014-3/published/public/persons
  ./tongban draw verify persons --directory var/small/hub/public/directory.json --log var/small/nodes/transport
Exit status 1 if the draw does not hold."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


class NoBundle(Invalid):
    code = "cli.no_bundle"
    message = "There is no bundle of a draw in {folder}: it has no draw.json."
    remedy = "Name the folder of one pool; `./tongban round publish` puts them below published/public."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    part: str  #: "bundle", "signature" or "log"
    holds: bool
    what: str


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verify|historic")
    purpose = "draw again from a bundle, and compare"
    verify = verbs.add_parser("verify", help=purpose, description=purpose, epilog=_EXAMPLE)
    verify.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder with draw.json, pool.csv and winners.csv")
    told = "the city's published directory.json: who signed the freeze"
    verify.add_argument("--directory", type=Path, action="append", default=[], metavar="FILE", help=told)
    verify.add_argument("--root", default="", metavar="DIGEST", help="digest of the city's first root")
    told = "log (or node) of the department in charge: the freeze came before the seed was opened"
    verify.add_argument("--log", type=Path, metavar="DIR", help=told)
    draw_historic.add(verbs)


def run(args: argparse.Namespace) -> int:
    if args.verb == "historic":
        return draw_historic.run(args)
    from tongban.cli.keyring import keyring

    if not (args.bundle / "draw.json").is_file():
        raise NoBundle(folder=args.bundle)
    ring = keyring(args.directory, args.bundle, args.root) if args.directory else None
    checks = []
    for check in _checks(args.bundle, ring, args.log):
        checks.append(check)
        if not args.json:
            console.say(f"{'✓' if check.holds else '✗'} {check.part:<10}{check.what}")
    holds = all(check.holds for check in checks)
    if args.json:
        console.emit({"holds": holds, "keys": ring.to_json() if ring else None, "checks": list(map(asdict, checks))})
    else:
        for line in ring.told() if ring else ():
            console.say(f"  keys      {line}")
        console.say(_verdict(checks, ring is not None, args.log is not None))
    return 0 if holds else 1


def _verdict(checks: list[Check], signed: bool, logged: bool) -> str:
    if failed := [check.what for check in checks if not check.holds]:
        return f"摇号不成立 · The draw does NOT hold. Not so: {'; '.join(failed)}."
    missing = [] if signed else ["who froze the pool (--directory)"]
    missing += [] if logged else ["that it was frozen before the seed was opened (--log)"]
    if missing:
        return f"摇号成立 · The winners follow from the pool and the seed. NOT shown: {'; '.join(missing)}."
    return (
        "摇号成立 · The draw holds: this pool was frozen and signed, then the seed opened, and these are the winners."
    )


def _checks(bundle: Path, ring: "Keyring | None", log: Path | None) -> Iterator[Check]:
    """Everything that can be looked at with what was given. Raises NotALog, LogKeyUnlisted."""
    from tongban.rounds import verify_draw

    try:
        # Our own copy of the bundle's program: what strangers hand over is read, never run.
        for good, what in verify_draw.checks(str(bundle)):
            yield Check("bundle", good, what)
        drawn = _Drawn.read(bundle)
    except _UNREADABLE as error:
        yield Check("bundle", False, f"the bundle can be read ({type(error).__name__})")
        return
    if ring:
        yield _signature(drawn, ring)
    if log:
        yield from _log(drawn, log, ring)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What the bundle says of its freeze and of the log."""

    freeze: "Statement"
    pool: str  #: "2014-3/persons", as the log names it
    origin: str  #: of the log
    entry: int
    leaf: str  #: as the receipt says
    digest: str  #: of draw.json

    @classmethod
    def read(cls, bundle: Path) -> "_Drawn":
        """Raises one of _UNREADABLE."""
        from tongban.kit import canonical, statement

        text = (bundle / "draw.json").read_bytes()
        held = json.loads(text)
        try:
            freeze = statement.from_json(held["freeze"])
        except canonical.NotCanonical as error:
            raise ValueError from error
        round, log = str(freeze.body["round"]), held["log"]
        pool = f"{round}/{freeze.body['pool']}"
        place = (str(log["origin"]), int(log["entry"]), str(log["leaf"]))
        return cls(freeze, pool, *place, sha256(text).hexdigest())


def _signature(drawn: _Drawn, ring: "Keyring") -> Check:
    """Signed by an approval key of the member in whose log the freeze stands."""
    member = drawn.origin.partition("/")[0]
    good = sorted(drawn.freeze.signed_by(ring.approvals(member)))
    with_key = f", with its key {', '.join(good)}" if good else ", with an approval key that the directory lists"
    return Check("signature", bool(good), f"the freeze is signed by {ring.name(member)}{with_key}")


def _log(drawn: _Drawn, given: Path, ring: "Keyring | None") -> Iterator[Check]:
    """The department's log holds, and holds this freeze, no other of the pool, and after it this draw."""
    from tongban.cli import log_check, log_read
    from tongban.tlog import folder

    place = log_read.place(given)
    origin = folder.identity(place)["origin"]
    yield Check("log", origin == drawn.origin, f"the draw was logged in {drawn.origin}, and this log is {origin}")
    if origin != drawn.origin:
        return
    verified = log_check.checked(place, ring, False, lambda done, total: None)
    yield Check("log", verified.holds, f"the log's {verified.entries} entries agree with its checkpoints")
    stages = [(index, leaf, body) for index, leaf, body in _rounds(place) if body.get("round") == drawn.pool]
    frozen = [(index, leaf) for index, leaf, body in stages if body.get("stage") == "frozen"]
    yield Check("log", (drawn.entry, drawn.leaf) in frozen, f"entry {drawn.entry} is the freeze of {drawn.pool}")
    # Logged again after a crash, a stage is the same entry twice; two different ones are two freezes, or two draws.
    freezes = {leaf for _, leaf in frozen}
    yield Check("log", len(freezes) == 1, f"the pool was frozen once (found {len(freezes)})")
    done = [(index, body.get("digest")) for index, _, body in stages if body.get("stage") == "drawn"]
    where = f"entry {done[0][0]} is this draw, after the freeze" if done else "an entry after it is this draw"
    yield Check("log", bool(done) and done[0][1] == drawn.digest and done[0][0] > drawn.entry, where)
    draws = {digest for _, digest in done}
    yield Check("log", len(draws) == 1, f"the pool was drawn once (found {len(draws)})")


def _rounds(place: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Index, leaf hash and body of every `round` entry."""
    from tongban.cli import log_read
    from tongban.tlog.tree import leaf_hash

    for one in log_read.entries(place):
        if b'"kind":"round"' in one.leaf and isinstance(body := log_read.leaf_of(one).get("body"), dict):
            yield one.index, leaf_hash(one.leaf).hex(), body
