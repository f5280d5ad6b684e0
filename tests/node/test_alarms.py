"""What the operator is told before it hurts, on both sides of each boundary; and that a promised leaf is missed."""

import json
import logging
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.node.place import CONSUMER, PROVIDER, Place
from tests.node.running import Inside, NodeProcess, inside, until
from tests.node.test_door import asked
from tongban.kit.clock import stamp
from tongban.kit.config import FileInvalid
from tongban.node import setup
from tongban.node.alarms import DAY, of_directory, of_keys, of_log
from tongban.node.operation import COLUMNS, NAMES, number, read
from tongban.node.program import _alarms
from tongban.node.proving import Proving

TODAY = date(2026, 11, 24)
NOW = 1_795_500_000.0


def test_every_number_has_a_source_and_holds_today() -> None:
    assert {one.name for one in read()} == NAMES
    assert all(one.source and number(one.name, TODAY) == one.number for one in read())


def test_a_number_changes_on_its_day_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "operation.csv"
    rows = ["key_warning_days,30,2026-11-24,2027-01-01,示例", "key_warning_days,60,2027-01-01,,示例"]
    file.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    numbers = read(file)
    assert number("key_warning_days", date(2026, 12, 31), numbers) == 30
    assert number("key_warning_days", date(2027, 1, 1), numbers) == 60


@pytest.mark.parametrize(
    "row", ["key_wraning_days,30,2026-11-24,,示例", "key_days,0,2026-11-24,,示例", "key_days,1,,,"]
)
def test_a_row_that_does_not_hold_is_refused_with_its_line(tmp_path: Path, row: str) -> None:
    file = tmp_path / "operation.csv"
    file.write_text(f"{','.join(COLUMNS)}\n{row}\n")
    with pytest.raises(FileInvalid) as refused:
        read(file)
    assert refused.value.facts["line"] == 2


@pytest.mark.parametrize(
    ("end", "codes"),
    [
        (NOW + 30 * DAY, []),
        (NOW + 30 * DAY - 1, ["node.key_ends"]),
        (NOW, ["node.key_ended"]),
        (None, ["node.key_unlisted"]),
    ],
)
def test_a_key_is_told_of_a_month_before_its_end(end: float | None, codes: list[str]) -> None:
    assert [one.code for one in of_keys({"online": ("X.online.1", end)}, NOW)] == codes


@pytest.mark.parametrize(
    ("left", "root_left", "codes"),
    [
        (43_200, 30 * DAY, []),
        (43_199, 30 * DAY, ["node.directory_ends"]),
        (43_200, 30 * DAY - 1, ["node.root_ends"]),
    ],
)
def test_a_directory_is_told_of_half_a_day_before_its_end(left: int, root_left: int, codes: list[str]) -> None:
    found: Any = SimpleNamespace(
        head=SimpleNamespace(expires_at=NOW + left), root=SimpleNamespace(expires_at=NOW + root_left)
    )
    assert [one.code for one in of_directory(found, NOW)] == codes


@pytest.mark.parametrize(
    ("unproven", "broken", "age", "wanted", "codes"),
    [
        (0, 0, 180, 2, []),
        (0, 0, 181, 2, ["node.log_unwitnessed"]),
        (0, 0, 181, 0, []),
        (1, 0, 0, 2, ["node.receipt_unproven"]),
        (0, 1, 0, 2, ["node.receipt_broken"]),
    ],
)
def test_a_log_is_told_of_when_nobody_sees_it_and_when_a_promise_is_not_kept(
    unproven: int, broken: int, age: float, wanted: int, codes: list[str]
) -> None:
    assert [one.code for one in of_log(unproven, broken, age, wanted, TODAY)] == codes


def test_node_check_says_that_a_key_has_ended(place: Place) -> None:
    ended, _ = place.online_key(900_002)
    with inside(place, "twin-ended", CONSUMER) as twin:
        folder = twin.node.config.folder
        assert "node.key_ended" not in {one.where for one in setup.check(folder)}
        (folder / "keys" / "online.json").unlink()
        ended.write(folder / "keys" / "online.json")
        found = {one.where: one for one in setup.check(folder)}
    assert (found["node.key_ended"].holds, "rotate-key" in found["node.key_ended"].remedy) == (False, True)


# --- promised leaves -------------------------------------------------------------------------------


def test_every_receipt_is_proven_once_the_provider_has_shown_its_head(
    consumer: NodeProcess, provider: NodeProcess
) -> None:
    for _ in range(2):
        got = asked(consumer)
        own = json.loads(got.header("tongban-receipt") or "")["own_entry"]
        until(lambda own=own: looked_after(consumer) > own, "the receipt is proven")
    assert (consumer.health()["unproven"], consumer.health()["alarms"]) == (0, [])


def looked_after(node: NodeProcess) -> int:
    """Own entries before this one need no further look."""
    return int(json.loads((node.folder / "proven.json").read_bytes())["from"])


def promised(twin: Inside, place: Place, leaf: str) -> None:
    """An answer of the running provider's first entry, in the twin's own log."""
    twin.run(twin.node.proving.turn())
    origin = f"{place.member(PROVIDER)}/{PROVIDER}"
    record = {"at": stamp(twin.clock.now), "origin": origin, "entry": 0, "leaf": leaf}
    own = twin.run(twin.node.log.append({"kind": "answer", "n": 1}, record)).index
    twin.node.proving.promised(own, origin, 0, leaf, int(twin.clock.now))


def test_a_leaf_that_does_not_come_is_missed_after_two_minutes(place: Place, caplog: Any) -> None:
    with inside(place, "twin-unproven", CONSUMER, start=float(int(time.time()))) as twin:

        async def silent(*_: Any) -> None:
            return None

        twin.node.proving._get = silent  # type: ignore[assignment,method-assign]
        promised(twin, place, "0" * 64)
        for seconds, codes in ((120, []), (1, ["node.receipt_unproven"])):
            twin.clock.forward(seconds)
            twin.run(twin.node.proving.turn())
            assert [one.code for one in twin.node.alarms()] == codes
        told: dict[str, float] = {}
        with caplog.at_level(logging.WARNING, "tongban.node"):
            for _ in range(3):
                twin.run(_alarms(twin.node, told))
        # Told once, and again when an hour is over.
        assert caplog.text.count("node.receipt_unproven") == 1
        assert "1 receipts lie under no witnessed head after 120 s" in caplog.text


def test_a_receipt_is_not_forgotten_by_a_restart(place: Place) -> None:
    with inside(place, "twin-alarmed", CONSUMER) as twin:

        async def silent(*_: Any) -> None:
            return None

        twin.node.proving._get = silent  # type: ignore[assignment,method-assign]
        promised(twin, place, "0" * 64)
        twin.run(twin.node.proving.turn())
        own, place_of = twin.node.proving.open[0].own_entry, twin.node.config.folder / "proven.json"
        assert place_of.exists()
        again = Proving(twin.node.log, twin.node.config.folder, twin.node.source, twin.clock)
        again._get = silent  # type: ignore[assignment,method-assign]
        twin.run(again.turn())
        assert [one.own_entry for one in again.open] == [own]


def test_another_leaf_in_the_promised_place_is_told_at_once(
    place: Place, provider: NodeProcess, consumer: NodeProcess
) -> None:
    assert asked(consumer).status == 200
    with inside(place, "twin-broken", CONSUMER) as twin:
        promised(twin, place, "0" * 64)

        def broken() -> bool:
            twin.run(twin.node.proving.turn())
            return twin.node.proving.broken == 1

        until(broken, "the provider's head covers its first entry")
        assert [one.code for one in twin.node.alarms()] == ["node.receipt_broken"]
        assert twin.node.proving.open == []
        twin.run(twin.node.proving.close())
