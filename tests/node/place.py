"""Where the node's tests happen: the demonstration's smallest city, with a register and grants of our own in it.

Civil Affairs (民政局) answers, Transport (交通委) asks, Public Security (公安局) stands by with its real registers.
What Civil Affairs keeps here is `PERSONS`; what Transport may ask of it is `GRANTS`.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.world import APPLICANT, HUSBAND
from tongban.cli.root import checkout
from tongban.demo import city
from tongban.demo.foundation import Foundation, lay
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, Office
from tongban.exchange.directory import Directory, adopt
from tongban.kit import canonical
from tongban.kit.clock import Clock, MachineClock, stamp
from tongban.kit.keys import SigningKey, read_key
from tongban.kit.statement import Statement
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.config import NodeConfig
from tongban.rules.compile import CompiledRule, compile
from tongban.rules.facts import Column, FactTable, Type
from tongban.rules.rule import read_rule
from tongban.rules.vocabulary import VOCABULARY_VERSION
from tongban.solution.package import load

WORLD = date(2014, 6, 9)
AT = "2014-06-08"
DAY = 86_400
PROVIDER, CONSUMER, POLICE = "civil-affairs", "transport", "public-security"
MARRIAGE, MARRIED = "civil_affairs/marriage", "married@2014-01-01"
PURPOSE = "car-lottery"

#: Somebody with more records than an answer may hold, and one whose record no text can hold.
CROWDED, BINARY = "990101199001013017", "990101199001013025"
#: A passport number that Civil Affairs knows; and the citizen number that a clever caller calls a passport's.
PASSPORT = "E12345678"

_COLUMNS = ("document_type", "id_number", "name", "phone", "status", "district", "children")
PERSONS: tuple[tuple[Any, ...], ...] = (
    ("身份证", APPLICANT, "张三", "13800138000", "已婚", "东区", 1),
    ("身份证", HUSBAND, "李四", None, "已婚", "西区", None),
    ("护照", PASSPORT, "SMITH", "12345", "离婚", "东区", 0),
    *(("身份证", CROWDED, "王五", None, "未婚", "东区" if n % 7 else "西区", n) for n in range(210)),
    ("身份证", BINARY, "赵六", None, "未婚", b"\xff\xfe", 0),
)

#: Added to Civil Affairs's node.toml, which the demonstration wrote.
NODE_TOML = """
[limits]
body_seconds = 2
read_seconds = 1
header_seconds = 1
refused_an_hour = 100000

[register.persons]
url = "sqlite:///{registers}/civil-affairs/persons.db"

[register.moving]
url = "sqlite:///{registers}/civil-affairs/moving.db"

[resource."civil_affairs/marriage"]
register = "persons"
point = "SELECT document_type, name, phone, status, district, children FROM persons WHERE id_number = :key"
fields = ["name", "phone", "status", "district", "children"]
masked = ["name", "phone"]
masks = {{name = "name", phone = "phone"}}

[resource."civil_affairs/marriage".facts]
number = "id_number"
document = "document_type"

[[resource."civil_affairs/marriage".facts.source]]
rows = "SELECT document_type, id_number, status FROM persons"
columns = ["status code 已婚|离婚|未婚"]

[resource."civil_affairs/moving"]
register = "moving"
point = "SELECT status FROM moving WHERE id_number = :key"
fields = ["status"]

[resource."civil_affairs/slow"]
register = "moving"
point = "SELECT status FROM slow WHERE id_number = :key"
fields = ["status"]

[resource."civil_affairs/odd"]
register = "persons"
point = "SELECT status FROM persons WHERE id_number = :key"
fields = ["status"]
"""

#: Nothing but counting: some hundred years of it.
_SLOW_VIEW = """
CREATE VIEW slow AS SELECT id_number, status FROM moving WHERE
(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000000) SELECT max(i) FROM n) > 0
"""

RULE: Mapping[str, Any] = {
    "rule": "married",
    "title": "已婚",
    "title_en": "Married",
    "resource": MARRIAGE,
    "article": {"text": "申请人已婚", "source": "示例办法第九条"},
    "asks": [{"name": "since", "type": "int"}],
    "state_on": "at",
    "max_snapshot_days": 40,
    "met": "status = '已婚'",
    "no_record": "unknown",
    "reasons": [],
    "default_reason": {"code": "unmarried", "say": "未婚", "say_en": "Not married"},
    "situations": [],
}
TABLE = FactTable(MARRIAGE, ("citizen", "passport"), (Column("status", Type.CODE, codes=("已婚", "离婚", "未婚")),))


@dataclass
class Place:
    """The city, laid out and signed; nothing runs yet."""

    folder: Path
    clock: Clock = field(default_factory=MachineClock)

    @property
    def foundation(self) -> Foundation:
        return Foundation(self.folder, WORLD)

    @property
    def bureau(self) -> Bureau:
        return Bureau(self.foundation.hub, self.clock)

    def node(self, name: str) -> Path:
        return self.foundation.node(name)

    def member(self, name: str) -> str:
        return next(one.code for one in self.foundation.members() if one.node == name)

    def office(self, name: str) -> Office:
        return Office(self.foundation.office(name), self.member(name))

    def key(self, name: str, role: str) -> SigningKey:
        return read_key(self.node(name) / "keys" / f"{role}.json")

    @property
    def register(self) -> Path:
        return self.foundation.registers / PROVIDER

    @property
    def published(self) -> Path:
        return self.bureau.public

    # --- what is listed -------------------------------------------------------------------------------

    def put(self, *entries: Statement) -> int:
        """List entries and publish; the directory's new version."""
        bureau = self.bureau
        bureau.put(*entries)
        return bureau.publish().version

    def withdraw(self, kind: str, id: str) -> int:
        bureau = self.bureau
        assert bureau.remove(kind, id)
        return bureau.publish().version

    def grant(self, name: str, **change: Any) -> Statement:
        """A grant of Civil Affairs to Transport, signed by both who must. Times may be given in seconds."""
        now = self.clock.seconds()
        body = {
            "id": grant_id(name), "consumer": self.member(CONSUMER), "provider": self.member(PROVIDER),
            "node": PROVIDER, "resource": MARRIAGE, "call": "query", "fields": ["name", "phone", "status", "district"],
            "rule": None, "rule_digest": None, "rows": [], "purpose": PURPOSE, "basis": "示例",
            "quota": {"calls": 100_000, "persons": 1_000_000, "window_seconds": 366 * DAY},
            "max_directory_age": 3 * DAY, "not_before": now - 60, "expires_at": now + 300 * DAY, "issued_at": now,
        }  # fmt: skip
        body |= change
        body |= {
            key: stamp(body[key]) for key in ("not_before", "expires_at", "issued_at") if not isinstance(body[key], str)
        }
        return self.bureau.countersign(self.office(PROVIDER).approve(listing.compose("grant", **body)))

    def resource(self, id: str, fields: Iterable[str], **change: Any) -> Statement:
        masks = {"name": "name", "phone": "phone"}
        listed = [{"name": name, "type": "text", "grade": "general-2", "mask": masks.get(name)} for name in fields]
        body = {
            "id": id, "version": 1, "member": self.member(PROVIDER), "node": PROVIDER, "title": "示例",
            "domains": ["citizen", "passport"], "fields": listed, "sharing": "conditional", "basis": "示例",
            "complete": None,
        }  # fmt: skip
        return self.office(PROVIDER).approve(listing.compose("resource", **(body | change)))

    def rule(self, compiled: CompiledRule, **change: Any) -> Statement:
        body = {
            "id": compiled.rule.id, "version": 1, "member": self.member(PROVIDER), "node": PROVIDER,
            "resource": compiled.rule.resource, "digest": compiled.digest,
            "text": canonical.encode(dict(compiled.text)).decode(), "parameters": dict(compiled.parameters),
            "facts": compiled.facts.to_json(), "vocabulary": VOCABULARY_VERSION,
        }  # fmt: skip
        return self.office(PROVIDER).approve(listing.compose("rule", **(body | change)))

    def online_key(self, number: int, node: str = CONSUMER, **change: Any) -> tuple[SigningKey, Statement]:
        """A further online key of a member, the same in every run, and its entry."""
        id = f"{self.member(node)}.online.{number}"
        key, office, now = SigningKey(id, hashlib.sha256(id.encode()).digest()), self.office(node), self.clock.seconds()
        times = {"since": stamp(now - DAY), "until": stamp(now + 300 * DAY), "revoked_at": None} | change
        return key, office.key_entry(key, "online", **times)

    def compiled(self) -> CompiledRule:
        facts = configs.read(self.node(PROVIDER)).resources[MARRIAGE].facts
        assert facts is not None
        return compiled_rule(self.folder, facts.digest())

    # --- nodes ----------------------------------------------------------------------------------------

    def refresh(self, name: str, day: date = WORLD, only: str | None = None) -> None:
        """Read a node's registers into facts, as `node refresh` does."""
        config = configs.read(self.node(name))
        assert [*setup.refresh(config, self.directory(config), day, only)]

    def config(self, name: str) -> NodeConfig:
        return configs.read(self.node(name))

    def directory(self, config: NodeConfig) -> Directory:
        found = adopt(None, self.published.read_bytes(), config.directory_root, self.clock.seconds())
        assert isinstance(found, Directory), found
        return found


def grant_id(name: str) -> str:
    return canonical.digest(name)[:22]


@cache
def compiled_rule(folder: Path, facts_digest: str) -> CompiledRule:
    path = folder / f"{MARRIED}.yaml"
    path.write_text(yaml.safe_dump(dict(RULE), allow_unicode=True))
    return compile(read_rule(path), TABLE, facts_digest=facts_digest)


@contextmanager
def office(path: Path) -> Iterator[sqlite3.Connection]:
    """A register as the office writes it that keeps it."""
    with closing(sqlite3.connect(path)) as register, register:
        yield register


def write_persons(path: Path) -> None:
    """The register of Civil Affairs, as its office keeps it."""
    with office(path) as register:
        register.execute(f"CREATE TABLE persons ({', '.join(_COLUMNS)})")
        register.execute("CREATE INDEX by_number ON persons (id_number)")
        register.executemany(f"INSERT INTO persons VALUES ({', '.join('?' * len(_COLUMNS))})", PERSONS)


def write_moving(path: Path) -> None:
    """A register that tests take away, change and slow down."""
    with office(path) as register:
        register.execute("CREATE TABLE moving (id_number TEXT PRIMARY KEY, status)")
        register.execute("INSERT INTO moving VALUES (?, '在')", (APPLICANT,))
        register.execute(_SLOW_VIEW)


def lay_out(folder: Path, ports: Mapping[str, int], witnessed: bool = False) -> Place:
    """Generate, sign, publish."""
    city.generate(folder, "hamlet")
    place = Place(folder)
    foundation = place.foundation
    lay(foundation, load(checkout() / "solutions" / "car_lottery", date(2014, 6, 8)), ports, place.clock)
    write_persons(place.register / "persons.db")
    write_moving(place.register / "moving.db")
    for member in foundation.members():
        file = place.node(member.node) / "node.toml"
        text = file.read_text().replace("pull_seconds = 20", "pull_seconds = 1")
        registers = Path("..", "..", "registers")
        file.write_text(text + NODE_TOML.format(registers=registers) if member.node == PROVIDER else text)
    # Copies of one node, each with a log of its own under the same name, are what witnesses are there to find.
    assert witnessed or place.bureau.remove("witnessing", "witnessing")
    place.put(*entries(place))
    return place


def entries(place: Place) -> list[Statement]:
    """What our own part of the city needs in the directory."""
    rule = place.compiled()
    asked = {"call": "verify", "fields": [], "rule": MARRIED, "rule_digest": rule.digest}
    now = place.clock.seconds()
    return [
        place.resource(MARRIAGE, ("name", "phone", "status", "district", "children")),
        *(place.resource(f"civil_affairs/{name}", ["status"]) for name in ("moving", "slow", "unserved")),
        place.resource("civil_affairs/odd", ["status", "ward"]),
        place.rule(rule),
        place.rule(rule, id="unserved@2014-01-01", resource="civil_affairs/unserved"),
        place.online_key(900_001, revoked_at=stamp(now - 10))[1],
        place.online_key(900_002, until=stamp(now - 10))[1],
        place.online_key(900_003, since=stamp(now + DAY))[1],
        place.grant("marriage"),
        place.grant("status", fields=["status"]),
        place.grant("east", rows=[{"column": "district", "in": ["东区"]}]),
        place.grant("one_child", rows=[{"column": "children", "in": [1]}]),
        place.grant("two_calls", quota={"calls": 2, "persons": 100, "window_seconds": 366 * DAY}),
        place.grant("ended", expires_at=now - 1),
        place.grant("to_come", not_before=now + DAY),
        place.grant("young", max_directory_age=1),
        place.grant("statistics", purpose="statistics"),
        place.grant("of_police", consumer=place.member(POLICE)),
        place.grant("moving", resource="civil_affairs/moving", fields=["status"]),
        place.grant("slow", resource="civil_affairs/slow", fields=["status"]),
        place.grant("unserved", resource="civil_affairs/unserved", fields=["status"]),
        place.grant("odd", resource="civil_affairs/odd", fields=["status", "ward"]),
        place.grant("withdrawn"),
        place.grant("married", **asked),
        place.grant("married_east", **asked, rows=[{"column": "district", "in": ["东区"]}]),
        place.grant("other_rule", **(asked | {"rule_digest": "0" * 64})),
        place.grant(
            "rule_unserved", **(asked | {"rule": "unserved@2014-01-01"}), resource="civil_affairs/unserved"
        ),
        place.grant("batch", **(asked | {"call": "match"})),
        place.grant(
            "five_persons", **(asked | {"call": "match"}), quota={"calls": 9, "persons": 5, "window_seconds": 366 * DAY}
        ),
    ]  # fmt: skip


def copied(source: Path, to: Path) -> None:
    """A node's folder without its log, spool, directory and doors."""
    to.mkdir()
    for name in ("keys", "facts"):
        if (source / name).exists():
            shutil.copytree(source / name, to / name)
    shutil.copy(source / "node.toml", to / "node.toml")
