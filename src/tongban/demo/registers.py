"""The registers as their offices keep them: store, columns, and what a column holds.

`Frame` is a register being made: its columns, and whom each row is about (which the register itself
does not say once a number is mistyped).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

from tongban.demo.columns import Ints
from tongban.demo.sizes import World

CARS = ("小型轿车", "小型普通客车", "微型轿车")
DOCUMENT_TYPE = "document_type"
MOTORCYCLE = "摩托车"
LORRIES = ("轻型货车", "重型货车")
INVESTORS = ("制造业", "信息传输、软件和信息技术服务业")  #: whose investment may stand in place of tax
OTHER_INDUSTRIES = ("批发和零售业", "建筑业", "租赁和商务服务业", "其他")


class Holds(Enum):
    """What a column holds, and so how it can be spoiled."""

    NUMBER = "number"  #: identifier of the person or body
    NAME = "name"  #: of a person
    DAY = "day"
    MONTH = "month"
    AMOUNT = "amount"  #: fen
    CODE = "code"
    DIVISION = "division"
    IDLE = "idle"  #: no rule reads it


class Store(Enum):
    SQLITE = "SQLite"
    PARQUET = "Parquet"
    CSV = "CSV"


class Rows(Enum):
    """How a reader makes one fact of several rows of a key."""

    ONE = "one row a key; contradictions cancel each other"
    SET = "what any row says"
    SUM = "added up"
    THINGS = "each thing by its plate"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    holds: Holds
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Register:
    name: str
    node: str
    store: Store
    rows: Rows
    silence_decides: bool  #: a key without a row gets a definite answer, met or not met
    columns: tuple[Column, ...]

    @property
    def number(self) -> str:
        return next(column.name for column in self.columns if column.holds is Holds.NUMBER)

    def read(self) -> tuple[Column, ...]:
        """Columns that rules read, the identifier apart."""
        return tuple(column for column in self.columns if column.holds not in (Holds.NUMBER, Holds.IDLE))


@dataclass(slots=True)
class Frame:
    register: Register
    columns: dict[str, Any]  #: Arrow text arrays, all of one length
    subjects: Ints  #: whom each row is about


_POLICE, _INSURERS = "public-security", "human-resources"
_LOCAL_TAX, _STATE_TAX, _CIVIL = "local-tax", "state-tax", "civil-affairs"
_TRADE, _QUALITY = "industry-commerce", "quality-supervision"
#: Departments that became one: first day, successor.
_MERGED = {
    _LOCAL_TAX: (date(2018, 6, 15), "tax"),
    _STATE_TAX: (date(2018, 6, 15), "tax"),
    _TRADE: (date(2018, 11, 16), "market-regulation"),
}
_VALID = ("有效", "注销")

#: Name, node, store, how rows merge, whether silence decides, columns (name:what it holds; nothing said: idle).
_REGISTERS = (
    (
        *("population", _POLICE, Store.SQLITE, Rows.ONE, False),
        "id_number:number name:name sex birth_date household_division:division status:code",
    ),
    (
        *("driving_licence", _POLICE, Store.PARQUET, Rows.ONE, True),
        "id_number:number document_type licence_class:code status:code issued_on valid_until:day",
    ),
    (
        *("vehicle", _POLICE, Store.SQLITE, Rows.THINGS, True),
        "plate owner_number:number document_type vehicle_type:code status:code registered_on scrap_due_on:day",
    ),
    (
        *("residence_permit", _POLICE, Store.SQLITE, Rows.ONE, True),
        "id_number:number permit_number valid_from:day valid_until:day status:code",
    ),
    (
        *("exit_entry", _POLICE, Store.CSV, Rows.ONE, False),
        "document_type document_number:number name:name document_valid_until:day lodging_since:day",
    ),
    (
        *("social_insurance", _INSURERS, Store.PARQUET, Rows.SET, True),
        "id_number:number month_from:month month_to:month paid_on kind",
    ),
    (
        *("work_residence_permit", _INSURERS, Store.CSV, Rows.ONE, True),
        "id_number:number holder:code valid_from:day valid_until:day status:code",
    ),
    (
        *("income_tax", _LOCAL_TAX, Store.CSV, Rows.SUM, True),
        "id_number:number tax_year amount:amount treasury_date:day",
    ),
    (
        *("vat", _STATE_TAX, Store.SQLITE, Rows.SUM, True),
        "organisation_code:number amount:amount treasury_date:day",
    ),
    (
        *("taxpayer", _STATE_TAX, Store.SQLITE, Rows.ONE, False),
        "organisation_code:number name registered_on:day state:code industry:code",
    ),
    (
        *("fixed_investment", _STATE_TAX, Store.SQLITE, Rows.SUM, True),
        "organisation_code:number amount:amount invested_on:day",
    ),
    (
        *("credit_code", _TRADE, Store.PARQUET, Rows.ONE, False),
        "credit_code:number name status:code registered_division:division registered_on",
    ),
    (
        *("business_licence", _TRADE, Store.PARQUET, Rows.ONE, False),
        "organisation_code:number licence_number name status:code registered_division:division registered_on",
    ),
    (
        *("organisation_code", _QUALITY, Store.CSV, Rows.ONE, False),
        "organisation_code:number name status:code valid_until:day",
    ),
    (
        *("social_body", _CIVIL, Store.SQLITE, Rows.ONE, False),
        "organisation_code:number name body_kind status:code valid_until:day",
    ),
)

#: Code tables by register and column.
CODES = {
    ("population", "status"): ("正常", "死亡", "注销"),
    ("driving_licence", "licence_class"): (
        *("A1", "A2", "A3", "B1", "B2", "C1", "C2", "C3", "C4", "C5"),
        *("C6", "D", "E", "F", "M", "N", "P"),
    ),
    ("driving_licence", "status"): (
        *("正常", "超分", "逾期未换证", "逾期未体检", "停止使用"),
        *("暂扣", "扣留", "撤销", "吊销", "注销"),
    ),
    ("vehicle", "vehicle_type"): (*CARS, *LORRIES, MOTORCYCLE),
    ("vehicle", "status"): ("正常", "逾期未检验", "查封", "注销", "转出"),
    ("residence_permit", "status"): _VALID,
    ("work_residence_permit", "status"): _VALID,
    ("work_residence_permit", "holder"): ("本人", "随员"),
    ("taxpayer", "state"): ("正常", "非正常", "注销"),
    ("taxpayer", "industry"): (*INVESTORS, *OTHER_INDUSTRIES),
    ("business_licence", "status"): ("存续", "吊销", "注销", "迁出"),
    ("credit_code", "status"): ("存续", "吊销", "注销", "迁出"),
    ("organisation_code", "status"): _VALID,
    ("social_body", "status"): ("正常", "注销", "撤销"),
}


#: Registers that offices keep for the sake of one kind of certificate, or of one version of the rules.
_OF_THREE_CERTIFICATES = ("business_licence", "organisation_code")


def registers(world: World) -> dict[str, Register]:
    """Every register of the world's day by name."""
    return {
        name: Register(name, _node(node, world.at), store, rows, decides, tuple(_columns(name, columns, world)))
        for name, node, store, rows, decides, columns in _REGISTERS
        if _kept(name, world)
    }


def _kept(register: str, world: World) -> bool:
    if register in _OF_THREE_CERTIFICATES:
        return not world.one_certificate
    if register == "credit_code":
        return world.one_certificate
    return register != "fixed_investment" or world.investment_counts


def _node(node: str, at: date) -> str:
    since, successor = _MERGED.get(node, (date.max, ""))
    return successor if at >= since else node


def _columns(register: str, text: str, world: World) -> Iterator[Column]:
    for column in text.split():
        name, _, holds = column.partition(":")
        if (register, name) != ("taxpayer", "industry") or world.investment_counts:
            yield Column(name, Holds(holds or "idle"), CODES.get((register, name), ()))


_PERSONS_CONSULTED: dict[str, tuple[str, ...]] = {
    "resident": ("population", "driving_licence", "vehicle"),
    "work_permit": ("population", "work_residence_permit", "driving_licence", "vehicle"),
    "residence_permit": (
        *("population", "residence_permit", "social_insurance", "income_tax"),
        *("driving_licence", "vehicle"),
    ),
    "foreign": ("exit_entry", "driving_licence", "vehicle"),
}


def consulted(world: World) -> dict[str, tuple[str, ...]]:
    """Registers by what is asked: who must be found clean in which."""
    kept = registers(world)
    units = {
        "enterprise": ("business_licence", "organisation_code", "credit_code", "vat", "taxpayer", "fixed_investment"),
        "social_body": ("social_body", "organisation_code"),
    }
    return _PERSONS_CONSULTED | {kind: tuple(name for name in names if name in kept) for kind, names in units.items()}
