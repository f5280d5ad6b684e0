"""The list with its families: each person a line, read from the two raw tables."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tongban.identity.identifiers import Domain
from tongban.rounds.families import (
    ALONE,
    ASKED_ABOUT,
    COLUMNS,
    MAIN,
    RAW_MEMBERS,
    good_number,
    line_code,
    persons_of,
    related,
)
from tongban.rounds.policy import Policy
from tongban.rounds.raw import ListInvalid, counts, plain, texts, whole

_RELATIONS = ("role", "member", "spouse", "of_member", "failed_draws_to_2020")


def together(raw: Any, members: Any, policy: Policy, name: str) -> Any:
    """One raw table of lines from that of applications and that of members. Raises ListInvalid.

    Shape
        returns: the columns of `raw`, and role, member (0: applies alone), spouse, of_member, failed_draws_to_2020.
            The lines of members bear the code of their application and its day.
    """
    rows = raw.num_rows
    family = _is_family(raw)
    if not policy.points and pc.any(family, min_count=0).as_py():
        raise ListInvalid(path=name, what=f"holds families, and on {policy.at} none may apply")
    raw = raw.append_column("role", pc.if_else(family, MAIN, ALONE))
    raw = raw.append_column("member", pc.if_else(family, pa.scalar(1, pa.int32()), pa.scalar(0, pa.int32())))
    for column in ("spouse", "of_member"):
        raw = raw.append_column(column, pa.nulls(rows, pa.int32()))
    if "failed_draws_to_2020" not in raw.column_names:
        raw = raw.append_column("failed_draws_to_2020", pa.nulls(rows, pa.int32()))
    if members is None or not members.num_rows:
        return raw
    further = _members(members, raw, family, name)
    fields = [field.with_type(raw.schema.field(field.name).type) for field in raw.schema]
    named = {field.name: further.get(field.name, pa.nulls(members.num_rows, field.type)) for field in fields}
    return pa.concat_tables([raw, pa.table(named).cast(pa.schema(fields))]).combine_chunks()


def _is_family(raw: Any) -> Any:
    if "family" not in raw.column_names:
        return pa.array(np.zeros(raw.num_rows, np.bool_))
    return pc.not_equal(plain(raw["family"]), "")


def _members(members: Any, raw: Any, family: Any, name: str) -> dict[str, Any]:
    """The columns of the members' lines."""
    if missing := [column for column in RAW_MEMBERS if column not in members.column_names]:
        raise ListInvalid(path=name, what=f"its members have no column {', '.join(missing)}")
    try:
        found = {column: whole(members[column].cast(kind)) for column, kind in RAW_MEMBERS.items()}
        if "failed_draws_to_2020" in members.column_names:
            found["failed_draws_to_2020"] = whole(members["failed_draws_to_2020"].cast(pa.int32()))
    except pa.ArrowInvalid:
        raise ListInvalid(path=name, what="a member's row holds something that is not a whole number") from None
    if not all(map(good_number, found["member"].to_pylist())):
        raise ListInvalid(path=name, what="a member's number is not within 2 to 99")
    heads = raw.filter(family)
    place = pc.index_in(found["application"], texts(heads["application"]))
    if place.null_count:
        raise ListInvalid(path=name, what="a member belongs to no family in it")
    found["role"] = plain(found["role"])
    found["submitted_on"] = whole(texts(heads["submitted_on"])).take(place)
    return found


def with_families(raw: Any, table: Any, policy: Policy, name: str = "") -> Any:
    """The normalised list from its raw lines and the columns that everybody has.

    Shape
        raw: as `together` gave it, in the order of the list.
        table: columns of `applications.SCHEMA` at least; `application` still the application's code.
        returns: those columns, and COLUMNS; `application` each line's own code.
    """
    outside = pc.is_in(raw["role"], pa.array(ASKED_ABOUT))
    table = _asked_about(table, outside)
    lines = pa.table({**{column: table[column] for column in ("application", "kind", "domain", "subject")},
                      **{column: raw[column] for column in _RELATIONS}})  # fmt: skip
    rows = np.flatnonzero(whole(pc.greater(raw["member"], 0)).to_numpy(zero_copy_only=False))
    found = related(list(persons_of(lines, rows.tolist())), _kinds_of_persons(policy))
    columns = {column: table[column] for column in table.column_names if column != "handler_document"}
    for column, (kind, value) in COLUMNS.items():
        if column != "failed_draws_to_2020":
            columns[column] = _filled(pa.repeat(pa.scalar(value, kind), len(table)), found, column)
    columns["settled"] = _filled(table["settled"], found, "settled")
    columns["failed_draws_to_2020"] = _to_2020(raw, table, name)
    columns["application"] = _codes(table["application"], raw["member"])
    return pa.table(columns).combine_chunks()


def _asked_about(table: Any, outside: Any) -> Any:
    """Whoever does not apply has no kind; only a citizen's card fits."""
    citizens = pc.fill_null(pc.equal(table["domain"], Domain.CITIZEN.value), False)
    for column, value in (("kind", ""), ("pool", ""), ("fits", citizens)):
        place = table.column_names.index(column)
        table = table.set_column(place, column, pc.if_else(outside, value, table[column]))
    return table


def _kinds_of_persons(policy: Policy) -> frozenset[str]:
    return frozenset(kind.kind for kind in policy.kinds if kind.pool and kind.domain != Domain.ORGANISATION_CODE)


def _filled(column: Any, found: dict[int, dict[str, str | None]], name: str) -> Any:
    """The column with what was found put into the rows of families."""
    flags = np.zeros(len(column), np.bool_)
    flags[list(found)] = True
    values = pa.array([found[row][name] for row in sorted(found)], pa.string())
    return pc.replace_with_mask(whole(column), pa.array(flags), values)


def _to_2020(raw: Any, table: Any, name: str) -> Any:
    """Failed draws in rounds up to 2020; more than all of them is a mistake that would move balls."""
    typed = raw["failed_draws_to_2020"]
    early = counts(pc.fill_null(typed, 0), name)
    if pc.any(pc.greater(early, table["failed_draws"]), min_count=0).as_py():
        raise ListInvalid(path=name, what="failed_draws_to_2020 is more than failed_draws in a line")
    return early


def _codes(applications: Any, members: Any) -> Any:
    numbers = whole(members).to_numpy()
    codes = texts(applications)
    rows = np.flatnonzero(numbers > 1)
    own = codes.take(pa.array(rows)).to_pylist()
    changed = [line_code(code, int(numbers[row])) for code, row in zip(own, rows.tolist(), strict=True)]
    return pc.replace_with_mask(codes, pa.array(numbers > 1), pa.array(changed, pa.string()))
