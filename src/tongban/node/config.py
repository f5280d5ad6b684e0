"""What `node.toml` says: which registers, which resources, which doors, which limits.

A node is a folder: `node.toml`, `keys/`, `log/`, `facts/`, `directory.json`. Paths in the file are relative to it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tongban.catalogue.grading import Mask
from tongban.exchange import names
from tongban.identity.identifiers import Domain
from tongban.kit import canonical
from tongban.kit.config import Section, open_toml
from tongban.node.address import SCHEME, Server, read_address
from tongban.node.spark import Settings

#: Kind of document as registers write it → domain of its number.
DOCUMENTS: Mapping[str, Domain] = {
    "身份证": Domain.CITIZEN,
    "港澳通行证": Domain.HMT_PERMIT,
    "台胞证": Domain.HMT_PERMIT,
    "护照": Domain.PASSPORT,
    "外国人永久居留身份证": Domain.FOREIGN_PERMIT,
    "组织机构代码": Domain.ORGANISATION_CODE,
    "统一社会信用代码": Domain.ORGANISATION_CODE,
}
#: What a raw column is read as when facts are made; `code` needs its list.
RAW_KINDS = frozenset({"name", "text", "mark", "date", "month", "amount", "integer", "code", "document"})


@dataclass(frozen=True, slots=True)
class RegisterConfig:
    """Where a register is: exactly one of a database's URL, a Parquet file, a CSV file, a folder that Spark reads."""

    name: str
    kind: str  #: "url" | "postgresql" | "parquet" | "csv" | "spark"
    location: str
    server: Server | None = None  #: of kind "postgresql" only
    spark: Settings | None = None  #: of kind "spark" only


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A column of the extracted rows, and how its text is to be understood."""

    name: str
    kind: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactsConfig:
    """How one row a key is made from the register's rows.

    `rows` maps a register name to the SELECT that extracts it; `number` is the identifier's column, `document` the
    column that names its kind (empty: `domain` holds for all). `merge` is "one_row", or SQL over the typed rows.
    """

    rows: Mapping[str, str]
    number: str
    domain: str
    document: str
    columns: Mapping[str, tuple[RawColumn, ...]]
    merge: str
    require: Mapping[str, str] = field(
        default_factory=dict
    )  #: by register: SQL that must be TRUE, else the row is rejected

    def digest(self) -> str:
        """Part of what the owner approves: other SQL is another question."""
        columns = {name: [[c.name, c.kind, list(c.codes)] for c in raw] for name, raw in self.columns.items()}
        held = {"rows": dict(self.rows), "number": self.number, "domain": self.domain, "document": self.document}
        return canonical.digest({**held, "columns": columns, "merge": self.merge, "require": dict(self.require)})


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """One catalogue resource as this node answers it."""

    id: str
    register: str
    point: str  #: SELECT with `:key`; empty: no `query`
    fields: tuple[str, ...]
    masks: Mapping[str, str]
    facts: FactsConfig | None
    #: The owner's word that the register keeps every number in its one spelling. Without it and without facts an
    #: empty reading may only mean "not under this spelling".
    exact: bool = False


@dataclass(frozen=True, slots=True)
class DoorSystem:
    """A system of the own department that may use the local door."""

    name: str
    uid: int | None  #: of the peer on the Unix socket
    token_sha256: str  #: of the bearer token on loopback; empty: none
    grants: frozenset[str]  #: grant ids; {"*"}: all of this member's
    operators: frozenset[str]  #: staff numbers it may name; {"*"}: any
    rounds: bool = False  #: may write the stages and acts of rounds into the log


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. Policy of this node, not of the protocol."""

    json_body: int = 64 * 1024
    batch_body: int = 256 * 1024 * 1024
    header_bytes: int = 16 * 1024
    header_seconds: int = 10
    connections_per_address: int = 1000
    body_seconds: int = 30
    read_seconds: int = 10
    refresh_rows: int = 100_000_000
    refresh_seconds: int = 900
    calls_per_second: int = 20_000
    burst: int = 40_000
    memory_mb: int = 1024
    threads: int = 2
    refused_an_hour: int = 100
    repeats_a_key: int = 20
    dates_a_person: int = 1
    dates_of_batches: int = 3
    date_days: int = 30
    key_settle_seconds: int = 60


@dataclass(frozen=True, slots=True)
class NodeConfig:
    folder: Path
    id: str
    member: str
    host: str
    port: int
    mode: str  #: "demonstration" | "production"
    certificate: str
    certificate_key: str
    directory: str  #: path or URL it is pulled from
    directory_root: str  #: digest of the first root statement
    pull_seconds: int
    sealed: int  #: entries an hour that a sealed node's log always has; 0: the log is open
    door_socket: str
    door_port: int
    systems: tuple[DoorSystem, ...]
    registers: Mapping[str, RegisterConfig]
    resources: Mapping[str, ResourceConfig]
    limits: Limits = field(default_factory=Limits)

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback


def read(folder: Path) -> NodeConfig:
    """Read and check `folder/node.toml`. Raises FileInvalid with the line."""
    top = open_toml(folder / "node.toml")
    node = top.section("node")
    door = top.section("door", {})
    spark = top.section("spark", {})
    settings = _spark(spark, folder)
    registers = {name: _register(name, part, folder, settings) for name, part in top.named("register").items()}
    config = NodeConfig(
        folder=folder,
        id=node.text("id"),
        member=node.text("member"),
        host=node.text("host", "127.0.0.1"),
        port=node.integer("port", low=0, high=65535),
        mode=node.text("mode", "demonstration"),
        certificate=_place(node.text("certificate", ""), folder),
        certificate_key=_place(node.text("certificate_key", ""), folder),
        directory=_place(node.text("directory"), folder),
        directory_root=node.text("directory_root"),
        pull_seconds=node.integer("pull_seconds", 20, low=1, high=3600),
        sealed=node.integer("sealed", 0, low=0, high=1_000_000),
        door_socket=_place(door.text("socket", ""), folder),
        door_port=door.integer("port", 0, high=65535),
        systems=tuple(_system(part) for part in door.sections("system")),
        registers=registers,
        resources={name: _resource(name, part, registers) for name, part in top.named("resource").items()},
        limits=_limits(top.section("limits", {})),
    )
    for part in (top, node, door, spark):
        part.done()
    _agree(config, node)
    return config


def _agree(config: NodeConfig, node: Section) -> None:
    forms = {"id": names.NODE, "member": names.MEMBER, "directory_root": names.DIGEST}
    for key, form in forms.items():
        if not re.fullmatch(form, getattr(config, key)):
            raise node.wrong(key, f"{key} has not its form; see the exchange protocol, section 1")
    try:
        loopback = config.loopback
    except ValueError:
        raise node.wrong("host", "host must be an IP address") from None
    # A name and number in clear on a network is a leak that no log can take back.
    if not loopback and not (config.certificate and config.certificate_key):
        raise node.wrong("host", "off loopback TLS is mandatory: certificate and certificate_key are missing")
    if config.mode not in ("demonstration", "production"):
        raise node.wrong("mode", "mode must be 'demonstration' or 'production'")


def _place(text: str, folder: Path) -> str:
    return text if not text or "://" in text else str((folder / text).resolve())


def _spark(part: Section, folder: Path) -> Settings:
    usual = Settings(Path(_place(part.text("folder", "spark"), folder)))
    memory_mb = part.integer("memory_mb", usual.memory_mb, low=512)
    return Settings(usual.folder, part.text("master", usual.master), memory_mb)


def _register(name: str, part: Section, folder: Path, spark: Settings) -> RegisterConfig:
    if not re.fullmatch(names.FIELD, name):
        raise part.wrong(name, f"register {name!r} must be called by small letters, digits and _: SQL names it")
    kinds = [kind for kind in ("url", "parquet", "csv", "spark") if part.has(kind)]
    if len(kinds) != 1:
        raise part.wrong(name, f"register {name} needs exactly one of url, parquet, csv, spark")
    location = part.text(kinds[0])
    if kinds[0] == "url" and location.startswith("postgres"):
        return _of_server(name, location, part, folder)
    part.done()
    if kinds[0] == "url":
        head, slashes, tail = location.partition("sqlite:///")
        location = f"sqlite:///{(folder / tail).resolve()}" if slashes and not head else location
    else:
        location = _place(location, folder)
    return RegisterConfig(name, kinds[0], location, spark=spark if kinds[0] == "spark" else None)


def _of_server(name: str, url: str, part: Section, folder: Path) -> RegisterConfig:
    if not url.startswith(SCHEME):
        raise part.wrong("url", f"the url of {name} must begin with {SCHEME}")
    try:
        server = read_address(url, folder)
    except ValueError as error:
        raise part.wrong("url", f"register {name}: {error}") from None
    file, variable = part.text("password_file", ""), part.text("password_env", "")
    if file and variable:
        raise part.wrong("password_env", f"register {name} has one password: password_file or password_env")
    server = replace(
        server,
        password_file=_place(file, folder),
        password_env=variable,
        connections=part.integer("connections", server.connections, low=1, high=100),
    )
    part.done()
    return RegisterConfig(name, "postgresql", url, server)


def _resource(name: str, part: Section, registers: Mapping[str, RegisterConfig]) -> ResourceConfig:
    register = part.text("register")
    if register not in registers:
        raise part.wrong(register, f"resource {name} names register {register!r}, which is not in this file")
    if registers[register].kind == "spark" and part.has("point"):
        # A look would take Spark some seconds, and the caller's time is over by then.
        raise part.wrong("point", f"register {register!r} lies in Spark, which answers no query: leave point out")
    masks = part.section("masks", {})
    found = ResourceConfig(
        id=name,
        register=register,
        point=part.text("point", ""),
        fields=part.texts("fields", []),
        masks=_masks(name, part, masks),
        facts=_facts(name, part.section("facts"), register, registers) if part.has("facts") else None,
        exact=_exact(name, part),
    )
    masks.done()
    part.done()
    return found


def _exact(name: str, part: Section) -> bool:
    """`spelling = "exact"`; where there are facts, what they counted decides, and nobody's word."""
    if not part.has("spelling"):
        return False
    if part.text("spelling") != "exact":
        raise part.wrong("spelling", f"spelling of {name} can only be 'exact': every number in its one spelling")
    if part.has("facts"):
        raise part.wrong("spelling", f"resource {name} has facts, which count its spellings: leave spelling out")
    return True


def _masks(name: str, part: Section, masks: Section) -> dict[str, str]:
    """Mask by field. A misspelt field or mask would let a value leave whole, or hide one that is granted."""
    found: dict[str, str] = {field: masks.text(field) for field in part.texts("masked", [])}
    for field_, mask in found.items():
        if field_ not in part.texts("fields", []):
            raise part.wrong(field_, f"resource {name} masks {field_!r}, which is none of its fields")
        if mask not in Mask.__members__.values():
            raise masks.wrong(field_, f"mask {mask!r} of {field_} must be one of {', '.join(Mask)}")
    return found


def _facts(name: str, part: Section, register: str, registers: Mapping[str, RegisterConfig]) -> FactsConfig:
    rows: dict[str, str] = {}
    columns: dict[str, tuple[RawColumn, ...]] = {}
    require: dict[str, str] = {}
    for source in part.sections("source"):
        of = source.text("register", register)
        if of not in registers:
            raise source.wrong(of, f"facts of {name} name register {of!r}, which is not in this file")
        rows[of] = source.text("rows")
        columns[of] = tuple(_raw_column(source, spec) for spec in source.texts("columns"))
        if source.has("require"):
            require[of] = source.text("require")
        source.done()
    if not rows:
        raise part.wrong("facts", f"facts of {name} need at least one [[…facts.source]]")
    domain, document = part.text("domain", ""), part.text("document", "")
    if bool(domain) == bool(document):
        raise part.wrong("facts", f"facts of {name} need either domain or document")
    if domain and domain not in names.DOMAINS:
        raise part.wrong(domain, f"facts of {name}: domain must be one of {', '.join(sorted(names.DOMAINS))}")
    found = FactsConfig(rows, part.text("number"), domain, document, columns, part.text("merge", "one_row"), require)
    part.done()
    return found


def _raw_column(part: Section, spec: str) -> RawColumn:
    """`"status code 正常|死亡"`, `"valid_until date"`."""
    words = spec.split(" ", 2)
    if len(words) < 2 or words[1] not in RAW_KINDS or (words[1] == "code") != (len(words) == 3):
        raise part.wrong(
            f'"{spec}"', f"column {spec!r} must be 'name kind' with kind one of {', '.join(sorted(RAW_KINDS))}"
        )
    return RawColumn(words[0], words[1], tuple(words[2].split("|")) if len(words) == 3 else ())


def _system(part: Section) -> DoorSystem:
    uid = part.integer("uid", None) if part.has("uid") else None
    found = DoorSystem(
        name=part.text("name"),
        uid=uid,
        token_sha256=part.text("token_sha256", ""),
        grants=frozenset(part.texts("grants")),
        operators=frozenset(part.texts("operators")),
        rounds=part.flag("rounds", False),
    )
    part.done()
    if found.uid is None and not found.token_sha256:
        raise part.wrong(found.name, f"door system {found.name} needs a uid or a token_sha256")
    if found.token_sha256 and not re.fullmatch(names.DIGEST, found.token_sha256):
        raise part.wrong("token_sha256", f"token_sha256 of {found.name} must be 64 small hexadecimal digits")
    return found


def _limits(part: Section) -> Limits:
    standard = Limits()
    values = {name: part.integer(name, getattr(standard, name), low=1) for name in Limits.__dataclass_fields__}
    part.done()
    return Limits(**values)
