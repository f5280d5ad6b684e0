"""Who witnesses the city's logs: a node's own line for it, and the entry that the city's root signs over all lines."""

import base64
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tongban.cli.keyring import read
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau
from tongban.kit import statement
from tongban.kit.durable import write_durably
from tongban.kit.errors import Invalid
from tongban.kit.keys import read_key
from tongban.node import config as configs
from tongban.node import setup


class NotListed(Invalid):
    code = "cli.node_not_listed"
    message = "The directory kept in {folder} does not list the node {node}, so it has no address to be asked at."
    remedy = "Have the bureau list the node, run it once, and ask again."


class WitnessesInvalid(Invalid):
    code = "cli.witnesses_invalid"
    message = "This cannot be the list of witnesses: {what}."
    remedy = "Give the files that `./tongban node witness DIR` wrote, and as many root keys as the root wants."


def line_of(folder: Path, pass_phrase: str | None) -> tuple[dict[str, Any], Path]:
    """A node's line as a witness, and its file; a folder of before there were witnesses gets its key now.

    Raises FileInvalid, KeyFileInvalid, DirectoryUnusable, NotListed.
    """
    config = configs.read(folder)
    setup.add_key(folder, config.member, "witness", pass_phrase)
    key = read_key(folder / "keys" / "witness.json", pass_phrase)
    node = read(folder / "directory.json", config.directory_root).nodes.get(config.id)
    if node is None:
        raise NotListed(folder=folder, node=config.id)
    line = {
        "name": key.id,
        "member": config.member,
        "address": node.address,
        "certificate": node.certificate,
        "public": base64.b64encode(key.public.public).decode(),
        "outside": False,
    }
    place = folder / "keys" / "witness.line.json"
    write_durably(place, json.dumps(line, indent=1).encode() + b"\n")
    return line, place


def name_all(
    bureau: Bureau, files: Sequence[Path], k: int, outside: Collection[str], pass_phrase: str | None
) -> dict[str, Any]:
    """List the entry with the lines in `files`, signed by the root keys that are here; nothing is published yet.

    outside: names of those who do not belong to the administration. Raises WitnessesInvalid, EntryInvalid.
    """
    lines = [{**one, "outside": one["name"] in outside} for one in map(_line, files)]
    if missing := set(outside) - {one["name"] for one in lines}:
        raise WitnessesInvalid(what=f"nobody is named {sorted(missing)[0]}")
    keys = bureau.root_keys(pass_phrase)
    if len(keys) < bureau.root.threshold:
        raise WitnessesInvalid(what=f"{len(keys)} root keys are here, {bureau.root.threshold} must sign")
    before = bureau.listed("witnessing", "witnessing")
    version = 1 if before is None else int(before.body["version"]) + 1
    body = listing.compose("witnessing", version=version, k=k, witnesses=lines)
    bureau.put(statement.sign(body, *keys))
    return body


def _line(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_bytes())
        return {name: held[name] for name in ("name", "member", "address", "certificate", "public")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WitnessesInvalid(what=f"{file.name} is no witness's line ({type(error).__name__})") from None
