"""Making a node's folder, looking it over, and reading its registers into facts."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from tongban.exchange.directory import Directory
from tongban.kit.clock import MachineClock
from tongban.kit.config import FileInvalid
from tongban.kit.errors import Invalid, TongbanError, Unavailable
from tongban.kit.keys import new_key, read_key
from tongban.node import config as configs
from tongban.node.adapters import connect
from tongban.node.adapters.register import Bounds, Register
from tongban.node.alarms import ENDED, Ends, of_directory, of_keys
from tongban.node.config import NodeConfig, ResourceConfig
from tongban.node.findings import Finding, of_facts, of_spelling
from tongban.node.own_keys import ROLES, place_of
from tongban.node.program import damaged_memory, door_socket, online_key, open_registers, origin_of, tls_files
from tongban.node.snapshots import Snapshot, erase_abandoned
from tongban.node.source import DirectorySource
from tongban.node.store import FactStore
from tongban.rules.facts import FactTable, read_table
from tongban.tlog.log import Log

SAMPLE = """# One department's node. Paths are relative to this folder. See docs/howto/node.md.
[node]
id = "{id}"
member = "{member}"
host = "127.0.0.1"
port = 0
# A file or an address from which the signed directory is pulled, and the digest of the city's first root.
directory = "directory-source.json"
directory_root = "{root}"

[door]
socket = "door.sock"

[[door.system]]
name = "department systems"
uid = {uid}
grants = ["*"]
operators = ["*"]
# Only a system that holds rounds (摇号期) needs this:
# rounds = true

# A register is a database's URL, a Parquet file or a CSV file, opened read-only:
#
# [register.permits]
# url = "sqlite:///permits.db"
#
# A PostgreSQL database off this machine is spoken to under TLS only, and its password stands in no text:
#
# [register.permits]
# url = "postgresql://reader@db.example:5432/permits?sslmode=verify-full&sslrootcert=db-ca.pem"
# password_file = "keys/permits.password"
#
# A resource is one reviewed SELECT over it, with :key for the person:
#
# [resource."department/permits"]
# register = "permits"
# point = "SELECT status, valid_until FROM permits WHERE id_number = :key"
# fields = ["status", "valid_until"]
#
# Facts are needed for rules, and count the numbers that are oddly typed. Without them every empty answer is refused
# unless the register keeps all its numbers in their one spelling: spelling = "exact"
#
# [resource."department/permits".facts]
# number = "id_number"
# domain = "citizen"
#
# [[resource."department/permits".facts.source]]
# rows = "SELECT id_number, status, valid_until FROM permits"
# columns = ["status code 有效|注销", "valid_until date"]
"""


class FolderTaken(Invalid):
    code = "node.folder_taken"
    message = "{folder} already holds a node."
    remedy = "Name an empty folder; keys and logs are never overwritten."


class NoTable(Unavailable):
    code = "node.no_fact_table"
    message = "The directory here lists no rule over {resource}, so its fact table is not defined."
    remedy = "Approve a rule over the resource and publish the directory, then refresh again."


# --- init -----------------------------------------------------------------------------------------


def init(folder: Path, id: str, member: str, root: str, uid: int, pass_phrase: str | None = None) -> None:
    """Lay out a node: node.toml unless there is one, three keys, an empty log. Raises FolderTaken, FileInvalid."""
    if (folder / "keys").exists() or (folder / "log").exists():
        raise FolderTaken(folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "node.toml"
    fresh = not file.exists()
    if fresh:
        file.write_text(SAMPLE.format(id=id, member=member, root=root or "0" * 64, uid=uid))
    try:
        configs.read(folder)
    except FileInvalid:
        # What was named on the command line does not hold: leave nothing behind that a second try would take up.
        if fresh:
            file.unlink()
        raise
    complete(folder, pass_phrase)


def complete(folder: Path, pass_phrase: str | None = None) -> None:
    """Make the keys and the log that an `init` which was cut off has not made.

    Only for a node that has never answered anybody: a log that was lost is brought back, never begun again.
    """
    config = configs.read(folder)
    for role in ("online", "ticket", "witness"):
        add_key(folder, config.member, role, pass_phrase)
    if not (folder / "log" / "log.json").exists():
        Log.create(folder / "log", origin_of(config), online_key(config, pass_phrase), MachineClock()).close()


def add_key(folder: Path, member: str, role: str, pass_phrase: str | None = None) -> None:
    """Make the node's key of a role, unless it has one."""
    path = folder / "keys" / f"{role}.json"
    if not path.exists():
        new_key(f"{member}.{role}.{1 + secrets.randbelow(999_999)}").write(path, pass_phrase)


# --- check ----------------------------------------------------------------------------------------


def check(folder: Path, pass_phrase: str | None = None) -> Iterator[Finding]:
    """Look a node over, without touching its log or answering anybody; what a killed refresh left is erased."""
    try:
        config = configs.read(folder)
    except TongbanError as error:
        yield _failed("node.toml", error)
        return
    yield Finding("node.toml", True, "")
    yield _tried("keys", lambda: _keys(config, pass_phrase))
    if config.mode == "production" and pass_phrase is None:
        yield Finding("keys", False, "production mode needs sealed keys", "Make the keys with a pass phrase.")
    yield _tried("certificate", lambda: tls_files(config))
    if config.door_socket:
        yield _tried("door", lambda: door_socket(config))
    yield from _check_registers(config)
    yield from _check_directory(config)


def _keys(config: NodeConfig, pass_phrase: str | None) -> None:
    online_key(config, pass_phrase)
    read_key(config.folder / "keys" / "ticket.json", pass_phrase)


def _check_registers(config: NodeConfig) -> Iterator[Finding]:
    registers = open_registers(config)
    for place in config.registers.values():
        if place.kind == "spark":
            # Not asked, which takes long: whether it could be.
            yield _tried(f"register {place.name}", partial(connect, place, Bounds(1, 1)))
    for resource in config.resources.values():
        yield _tried(f"resource {resource.id}", partial(_look, resource, config, registers))
        erase_abandoned(FactStore(config.folder / "facts").place(resource.id))
    for register in registers.values():
        register.close()


def _look(resource: ResourceConfig, config: NodeConfig, registers: Mapping[str, Register]) -> None:
    for name, select in resource.facts.rows.items() if resource.facts else ():
        if config.registers[name].kind == "postgresql":
            # Its server looks at the whole of it, and reads none of its rows.
            whole = select.strip().removesuffix(";")
            registers[name].extract(f"SELECT 1 AS one FROM ({whole}\n) AS reviewed LIMIT 0")
    if resource.point:
        query = registers[resource.register].point(resource.point)
        if query.awaited:
            query.prove()
        columns = query.columns
        document = resource.facts.document if resource.facts else ""
        if missing := [name for name in (*resource.fields, document) if name and name not in columns]:
            raise Disagrees(resource=resource.id, what=f"its SELECT gives no {', '.join(missing)}")


class Disagrees(Invalid):
    code = "node.resource_disagrees"
    message = "Resource {resource} does not agree with itself: {what}."
    remedy = "Correct point or fields in node.toml; where facts name a document column, point gives it too."


def _check_directory(config: NodeConfig) -> Iterator[Finding]:
    source = DirectorySource(config.directory, config.folder / "directory.json", config.directory_root, MachineClock())
    try:
        source.load_kept()
    except TongbanError as error:
        yield _failed("directory", error)
    else:
        yield from _check_source(config, source)
    yield from _check_silence(config, source.current)


def _check_source(config: NodeConfig, source: DirectorySource) -> Iterator[Finding]:
    if source.current is None:
        why = source.refused.reason if source.refused else "none was pulled yet"
        yield Finding("directory", False, why, "Run the node once, or check directory and directory_root.")
        return
    yield Finding("directory", True, "")
    now = MachineClock().seconds()
    for one in (*of_keys(_ends(config, source.current), now), *of_directory(source.current, now)):
        yield Finding(one.code, one.code not in ENDED, one.what, one.remedy)
    yield from (_failed("witness", error) for error in damaged_memory(config, source.current))
    yield from _check_listed(config, source.current)


def _ends(config: NodeConfig, directory: Directory) -> Ends:
    """When the node's keys end; their names stand open in their files."""
    ids = {role: str(json.loads(place_of(config.folder, role).read_bytes())["id"]) for role in ROLES}
    return {role: (id, directory.key_ends_at(id) if id in directory.keys else None) for role, id in ids.items()}


def _check_silence(config: NodeConfig, directory: Directory | None) -> Iterator[Finding]:
    store, listed = FactStore(config.folder / "facts"), directory.resources if directory else {}
    registers = open_registers(config)
    for resource in config.resources.values():
        entry = listed.get(resource.id)
        if resource.facts is not None:
            yield from of_facts(resource.id, store.current(resource.id), entry)
        elif resource.point:
            place = config.registers[resource.register]
            yield from of_spelling(resource, place, registers[resource.register], entry)
    for register in registers.values():
        register.close()


def _check_listed(config: NodeConfig, directory: Directory) -> Iterator[Finding]:
    if config.id not in directory.nodes:
        yield Finding("directory", False, "it does not list this node", "Ask the bureau to list it.")
    for rule in directory.rules.values():
        if rule.node == config.id and rule.resource not in config.resources:
            yield Finding(f"rule {rule.id}", False, f"it asks {rule.resource}, which node.toml does not serve", "")


def _tried(where: str, act: Callable[[], Any]) -> Finding:
    try:
        act()
    except TongbanError as error:
        return _failed(where, error)
    return Finding(where, True, "")


def _failed(where: str, error: TongbanError) -> Finding:
    return Finding(where, False, error.said(), error.advice())


# --- refresh --------------------------------------------------------------------------------------


def refresh(
    config: NodeConfig, directory: Directory, day: date, only: str | None = None, *, fewer: bool = False
) -> Iterator[Snapshot]:
    """Read the registers and publish new facts, resource by resource; calls go on meanwhile.

    fewer: publish even what lost most of its rows, or is empty.
    Raises RegisterUnavailable, RegisterChanged, RegisterEndless, RegisterShrunk, FactsInvalid, NoTable; facts published
    before stay.
    """
    from tongban.node import facts

    registers = open_registers(config)
    store = FactStore(config.folder / "facts")
    try:
        for resource in config.resources.values():
            if resource.facts is not None and only in (None, resource.id):
                table = fact_table(directory, resource.id)
                place = store.place(resource.id)
                yield facts.build(resource.id, resource.facts, table, registers, day, place, fewer)
    finally:
        for register in registers.values():
            register.close()


def fact_table(directory: Directory, resource: str) -> FactTable:
    """The fact table that the rules over `resource` are written for. Raises NoTable."""
    for rule in directory.rules.values():
        if rule.resource == resource:
            return read_table(rule.facts)
    raise NoTable(resource=resource)
