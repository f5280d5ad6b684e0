"""A round's folder looked over: every file is what its step wrote, and every step stands on the one before it.

What the folder alone cannot show, that nobody wrote all of it anew, the department's log shows: the receipts name its
entries.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tongban.kit import canonical
from tongban.kit.errors import TongbanError
from tongban.kit.keys import PublicKey
from tongban.kit.statement import from_json
from tongban.rounds import draw
from tongban.rounds.folder import DIRECTORIES, STAGES, STEP, RoundFolder, Stage, digests, file_digest
from tongban.rounds.round import log_body, read_round
from tongban.rounds.steps import read_manifest
from tongban.tlog import entry
from tongban.tlog.tree import leaf_hash

_UNREADABLE = (TongbanError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)
#: What all pools of a round commit to at the freeze.
_COMMON = ("policy", "verdicts", "rechecks", "commitments")


def differing(folder: RoundFolder, approvals: Iterable[PublicKey] = ()) -> Iterator[str]:
    """Files (each once, relative to the folder) that are not what was written, or do not fit to the others.

    `approvals`: keys that may have signed manifests and freezes; none: signatures are not checked. Raises NoRound.
    """
    done = STAGES[1 : STAGES.index(folder.stage) + 1]
    yield from _unless("round.json", lambda: _is_one_form(folder.path / "round.json") and _is_round(folder))
    for stage in done:
        place = folder.directory(stage)
        step = f"{DIRECTORIES[stage]}/{STEP}"
        outputs = _held(place / STEP).get("outputs")
        if not isinstance(outputs, dict):
            yield step
            continue
        found = digests(place)
        changed = sorted(name for name in {*outputs, *found} if outputs.get(name) != found.get(name))
        yield from (f"{DIRECTORIES[stage]}/{name}" for name in changed)
        yield from _unless(step, lambda stage=stage: _stands(folder, stage))  # type: ignore[misc]
    keys = tuple(approvals)
    for place in (*folder.path.glob("*/manifest.json"), *folder.path.glob("frozen/*/freeze.json")):
        yield from _unless(_name(folder, place), lambda place=place: not keys or _is_signed(place, keys))  # type: ignore[misc]
    for name, leaf in _receipts(folder, done):
        place = folder.path / "receipts" / name
        yield from _unless(f"receipts/{name}", lambda place=place, leaf=leaf: _receipt_fits(place, leaf))  # type: ignore[misc]


def _unless(name: str, holds: Callable[[], bool]) -> Iterator[str]:
    try:
        good = holds()
    except _UNREADABLE:
        good = False
    if not good:
        yield name


def _name(folder: RoundFolder, place: Path) -> str:
    return place.relative_to(folder.path).as_posix()


def _held(place: Path) -> dict[str, Any]:
    """What a file of ours says; nothing if it is not in its one form."""
    try:
        value = canonical.decode(place.read_bytes().removesuffix(b"\n"))
    except _UNREADABLE:
        return {}
    return value if isinstance(value, dict) and _is_one_form(place) else {}


def _is_one_form(place: Path) -> bool:
    raw = place.read_bytes()
    return raw.endswith(b"\n") and canonical.encode(canonical.decode(raw[:-1])) + b"\n" == raw


def _is_round(folder: RoundFolder) -> bool:
    return canonical.encode(read_round(folder).to_json()) + b"\n" == (folder.path / "round.json").read_bytes()


# --- Steps ----------------------------------------------------------------------------------------


def _stands(folder: RoundFolder, stage: Stage) -> bool:
    """Whether the step names as its inputs what stands there now."""
    held = _held(folder.directory(stage) / STEP)
    expected = _INPUTS[stage](folder)
    made = {name: digest for name, digest in held["inputs"].items() if name in expected or stage is not Stage.DECIDED}
    return set(held) == {"inputs", "outputs"} and made == expected


def _of_verified(folder: RoundFolder) -> dict[str, str]:
    heard = _held(folder.directory(Stage.VERIFIED) / "heard.json")["heard"]
    return {
        "round": read_round(folder).digest(),
        "applications": file_digest(folder.path / "applications.parquet"),
        **{f"answers {rule}": canonical.digest(one) for rule, one in heard.items()},
    }


def _of_decided(folder: RoundFolder) -> dict[str, str]:
    # What the decisions were is the solution's to say; the caller, who has it, takes the step again.
    return {"verdicts": folder.digest_of(Stage.VERIFIED)}


def _of_frozen(folder: RoundFolder) -> dict[str, str]:
    common = [{name: one.body[name] for name in _COMMON} for one in draw.frozen_statements(folder).values()]
    if any(one != common[0] for one in common):
        raise ValueError
    return {
        "decided": folder.digest_of(Stage.DECIDED),
        "committed": canonical.digest(common[0]),
        "secret": file_digest(folder.path / "round.key"),
    }


def _of_drawn(folder: RoundFolder) -> dict[str, str]:
    pools = draw.frozen_statements(folder)
    reveals = [draw.read_file(folder.directory(Stage.DRAWN) / pool)["reveals"] for pool in pools]
    if any(one != reveals[0] for one in reveals):
        raise ValueError
    receipts = {pool: _held(folder.path / "receipts" / f"frozen.{pool}.json") for pool in pools}
    return {
        "frozen": folder.digest_of(Stage.FROZEN),
        "reveals": canonical.digest(reveals[0]),
        "receipts": canonical.digest(receipts),
    }


def _of_published(folder: RoundFolder) -> dict[str, str]:
    place = folder.directory(Stage.PUBLISHED)
    review = _held(place / "review.json")
    drawn = {name: digest for name, digest in digests(folder.directory(Stage.DRAWN)).items() if "/" in name}
    public = digests(place / "public")
    if review["report"] != public.pop("report.html") or public != drawn:
        raise ValueError
    return {"drawn": folder.digest_of(Stage.DRAWN), "review": canonical.digest(review)}


_INPUTS: Mapping[Stage, Callable[[RoundFolder], dict[str, str]]] = {
    Stage.VERIFIED: _of_verified,
    Stage.DECIDED: _of_decided,
    Stage.FROZEN: _of_frozen,
    Stage.DRAWN: _of_drawn,
    Stage.PUBLISHED: _of_published,
}


# --- Signatures and receipts ----------------------------------------------------------------------


def _is_signed(place: Path, keys: Iterable[PublicKey]) -> bool:
    if place.name != "manifest.json":
        return bool(from_json(_held(place)).signed_by(keys))
    manifest = read_manifest(place.parent)
    return bool(manifest.signed_by(keys)) and manifest.body["results"] == file_digest(
        place.parent / "decisions.parquet"
    )


def _receipts(folder: RoundFolder, done: Iterable[Stage]) -> Iterator[tuple[str, Callable[[], str]]]:
    """The receipts that must be there, and the leaf that each must name."""
    yield "opened.json", lambda: _leaf(log_body(folder.name, "opened", read_round(folder).digest()))
    for stage in done:
        if stage in (Stage.FROZEN, Stage.DRAWN):
            for pool in sorted(place.parent.name for place in folder.path.glob("frozen/*/freeze.json")):
                yield f"{stage.value}.{pool}.json", lambda stage=stage, pool=pool: _stage_leaf(folder, stage, pool)  # type: ignore[misc]


def _stage_leaf(folder: RoundFolder, stage: Stage, pool: str) -> str:
    if stage is Stage.FROZEN:
        return draw.freeze_leaf(folder.name, draw.frozen_statements(folder)[pool])
    digest = draw.drawn_digest(folder.directory(stage) / pool)
    return _leaf(log_body(folder.name, "drawn", digest, pool))


def _leaf(body: dict[str, str]) -> str:
    return leaf_hash(entry.make({"kind": "round", "body": body}, None, b"")[0]).hex()


def _receipt_fits(place: Path, leaf: Callable[[], str]) -> bool:
    held = _held(place)
    return set(held) == {"origin", "entry", "leaf"} and held["leaf"] == leaf()
