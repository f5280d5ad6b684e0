"""Every look at one person from both sides, proved; and what hides one at one side is found."""

import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tests.node.asking import Got, Request, a_column, numbers
from tests.node.place import AT, CONSUMER, PROVIDER, Place, grant_id
from tests.node.running import Inside, inside, leaf_of
from tests.node.test_door import HEADERS, QUERY, at_door
from tests.world import APPLICANT, HUSBAND
from tongban.calendar.day import BEIJING, day_of
from tongban.cli.main import main
from tongban.exchange import bulk
from tongban.identity.identifiers import unpack
from tongban.node import tally
from tongban.tlog import person_table
from tongban.tlog.day_file import DayFile
from tongban.tlog.day_tree import person, to_json

WHO = (f"uid:{os.getuid()}", 0)


@dataclass
class Both:
    """The asking node and the asked one, with clocks that move together."""

    place: Place
    asking: Inside
    asked: Inside
    folder: Path

    def look(self, number: str = APPLICANT) -> None:
        body = QUERY | {"subject": {"domain": "citizen", "key": number}}
        got = at_door(
            self.asking,
            "/call/query",
            WHO,
            body=json.dumps(body).encode(),
            **HEADERS,
            tongban_grant=grant_id("marriage"),
        )
        assert got.status == 200, got

    def batch(self, *numbers: str) -> None:
        stage = {"round": "proof", "stage": "opened", "digest": "0" * 64, "at": AT}
        assert at_door(self.asking, "/round", WHO, body=orjson.dumps(stage), **HEADERS).status == 200
        keys = a_column(numbers)
        body = bulk.write_keys(pa.table({"k": keys, "since": pa.nulls(len(keys), pa.int64())}))
        about = {"tongban-round": "proof", "tongban-part": "0", "tongban-domain": "citizen"}
        got = at_door(self.asking, "/call/match", WHO, body=body, **HEADERS, **about, tongban_grant=grant_id("batch"))
        assert got.status == 200, got

    def midnight(self) -> None:
        day = day_of(self.asked.clock.seconds()) + timedelta(days=1)
        for one in (self.asking, self.asked):
            one.clock.now = datetime.combine(day, time(0, 30), BEIJING).timestamp()

    def publish(self) -> None:
        for one in (self.asking, self.asked):
            assert one.run(one.node.days.publish()) == 1
            one.node.log.checkpoint()

    def proof(self, of: Inside, number: str) -> Path:
        key, file = self.folder / "number", self.folder / f"{of.node.config.folder.name}.json"
        key.write_text(number)
        words = ["log", "person", of.node.config.folder, "--domain", "citizen", "--key-file", key, "--proof", file]
        assert main([str(word) for word in words]) == 0
        return file

    def proofs(self, number: str = APPLICANT) -> list[Path]:
        return [self.proof(one, number) for one in (self.asking, self.asked)]


@contextmanager
def both(place: Place, name: str, folder: Path) -> Iterator[Both]:
    with ExitStack() as stack:
        asked = stack.enter_context(inside(place, f"{name}-asked", PROVIDER))
        asking = stack.enter_context(inside(place, f"{name}-asking", CONSUMER, start=asked.clock.now))

        async def send(address: str, certificate: str | None, prepared: Any) -> Any:
            got: Got = await asked.answer(Request(prepared, prepared.signed.headers, prepared.body))
            return got.status, got.headers, got.body

        asking.node.outlet._send = send  # type: ignore[method-assign]
        yield Both(place, asking, asked, folder)


def judged(capsys: pytest.CaptureFixture[str], place: Place, *files: Path) -> tuple[int, dict[str, Any], str]:
    """Status, what a machine is told, and what a person reads."""
    words = ["log", "proof", *map(str, files), "--directory", str(place.published)]
    capsys.readouterr()
    status = main([*words, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert main(words) == status
    return status, told, capsys.readouterr().out


def codes(told: dict[str, Any]) -> set[str]:
    return {one["code"] for file in told["files"] for one in file["problems"]} | {one["code"] for one in told["hidden"]}


def test_every_look_and_every_day_without_one_is_proved_from_both_sides(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with both(place, "proof-whole", tmp_path) as two:
        two.look()
        two.look(HUSBAND)
        two.batch(APPLICANT, HUSBAND)
        two.midnight()
        two.publish()
        two.midnight()
        two.publish()
        status, told, said = judged(capsys, place, *two.proofs())
        assert (status, codes(told)) == (0, set())
        assert [[day["count"] for day in file["days"]] for file in told["files"]] == [[2, 0], [2, 0]]
        assert [[look["call"] for look in file["looks"]] for file in told["files"]] == [["query", "match"]] * 2
        # The batch's record names nobody, but could be tried out: her own place in it is what she is shown.
        assert [[look["opened"] for look in file["looks"]] for file in told["files"]] == [[True, False], [True, True]]
        for words in ("其余 1 天证明未被查询", "takes both departments, and lasts until a sample hits", "一方有"):
            assert (words in said) == (words != "一方有")
        assert not any(number in file.read_text() for number in (APPLICANT, HUSBAND) for file in two.proofs())
        _, stranger, _ = judged(capsys, place, *two.proofs(unpack(numbers(1)[0])))
        assert [[day["count"] for day in file["days"]] for file in stranger["files"]] == [[0, 0], [0, 0]]


def dropped(of: Inside, monkeypatch: pytest.MonkeyPatch, index: int = 0) -> None:
    """This node's day leaves the look at `index` to nobody, so that the sum is still right."""
    real, log = tally._Reading._look, of.node.log.directory

    def look(self: Any, at: int, leaf: Any, record: Any, hashed: bytes, count: int) -> None:
        lying = self._log == log and leaf["kind"] in ("call", "request") and at == index
        real(self, at, leaf, {} if lying else record, hashed, count)

    monkeypatch.setattr(tally._Reading, "_look", look)


def in_process(of: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count is made in this process, where a test can make it lie."""

    async def tallied(self: Any, first: int, since: Any, through: Any) -> list[dict[str, Any]]:
        made = tally.counted(self._log.directory, first, self._log.tree.size, since, through)
        return [json.loads(json.dumps(one.body())) for one in made]

    monkeypatch.setattr(type(of.node.days), "_tallied", tallied)


def without(file: Path, entry: int) -> None:
    """The file without that look, as a department would give it that hides it."""
    held = orjson.loads(file.read_bytes())
    held["looks"] = [one for one in held["looks"] if one["entry"] != entry]
    file.write_bytes(orjson.dumps(held))


@pytest.mark.parametrize("side", ["asking", "asked"])
def test_a_look_hidden_before_the_count_at_one_side_is_found_by_comparing(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    with both(place, f"proof-hidden-{side}", tmp_path) as two:
        two.look()
        liar = getattr(two, side)
        in_process(liar, monkeypatch)
        dropped(liar, monkeypatch)
        two.midnight()
        two.publish()
        files = two.proofs()
        own = files[0 if side == "asking" else 1]
        # It cannot even list the look: its own day does not count it.
        assert codes(judged(capsys, place, *files)[1]) == {"tlog.person_miscounted"}
        without(own, 0)
        assert judged(capsys, place, own)[0] == 0
        status, told, said = judged(capsys, place, *files)
        assert (status, codes(told)) == (1, {"tlog.look_hidden"})
        assert told["hidden"][0]["at"] == liar.node.log.origin
        assert "一方有而另一方无" in said


def changed_look(held: Any) -> None:
    held["looks"][0]["shown"]["operator"] = "T-0001"


def changed_record(held: Any) -> None:
    opening = held["looks"][0]["opening"]
    opening["record"] = opening["record"].replace("T-0417", "T-0001")


def changed_count(held: Any) -> None:
    held["days"][0]["ways"][0]["leaf"]["count"] = 0


def changed_head(held: Any) -> None:
    held["days"][0]["ways"][0]["leaf"]["head"] = "0" * 64


def without_look(held: Any) -> None:
    del held["looks"][0]


def without_day(held: Any) -> None:
    del held["days"][0]


def other_person(held: Any) -> None:
    held["pseudonym"] = "A" * 22


def other_place(held: Any) -> None:
    held["looks"][0]["entry"] += 1


def unsigned(held: Any) -> None:
    held["checkpoint"] = held["checkpoint"].partition("\n\n")[0] + "\n\n"


def nothing(held: Any) -> None:
    del held["checkpoint"]


LIES: list[Callable[[Any], None]] = [
    changed_look, changed_record, changed_count, changed_head, without_look, without_day, other_person, other_place,
    unsigned, nothing,
]  # fmt: skip


def test_no_lie_in_a_file_passes(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with both(place, "proof-lies", tmp_path) as two:
        two.look()
        two.midnight()
        two.publish()
        two.midnight()
        two.publish()
        file = two.proofs()[1]
        honest = file.read_bytes()
        assert judged(capsys, place, file)[0] == 0
        for lie in LIES:
            held = orjson.loads(honest)
            lie(held)
            file.write_bytes(orjson.dumps(held))
            status, told, said = judged(capsys, place, file)
            assert (status, bool(codes(told))) == (1, True), lie.__name__
            assert "证明不成立" in said, lie.__name__


def test_a_file_that_ends_before_the_other_is_told(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with both(place, "proof-short", tmp_path) as two:
        for _ in range(2):
            two.midnight()
            two.publish()
        files = two.proofs()
        assert judged(capsys, place, *files)[0] == 0
        held = orjson.loads(files[1].read_bytes())
        del held["days"][-1]
        files[1].write_bytes(orjson.dumps(held))
        status, told, _ = judged(capsys, place, *files)
        assert (status, codes(told), told["hidden"][0]["at"]) == (1, {"tlog.days_missing"}, two.asked.node.log.origin)
        # Alone it proves what it says, and says that nothing was compared.
        status, _, said = judged(capsys, place, files[1])
        assert (status, "仅一方的文件" in said) == (0, True)


def test_two_trees_of_one_day_to_two_askers_cannot_both_stand_under_the_one_root(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with both(place, "proof-two", tmp_path) as two:
        two.look()
        two.midnight()
        two.publish()
        file = two.proofs()[1]
        held = orjson.loads(file.read_bytes())
        # Another tree of the same entries, in which nobody was looked at by name: same sum, another root.
        in_process(two.asked, monkeypatch)
        dropped(two.asked, monkeypatch)
        log = two.asked.node.log.directory
        day = day_of(two.asked.clock.seconds()) - timedelta(days=1)
        [other] = tally.counted(log, 0, two.asked.node.log.tree.size, day, day)
        tree = DayFile(log, other.day, other.root.hex())
        who = person(other.salt, urlsafe_b64decode(held["pseudonym"] + "=="))
        held["days"][0] |= {"salt": other.salt.hex(), "ways": [to_json(one) for one in tree.paths(who.name)]}
        held["looks"] = []
        file.write_bytes(orjson.dumps(held))
        assert codes(judged(capsys, place, file)[1]) == {"tlog.proof_invalid"}


def test_a_person_of_a_batch_whose_table_is_lost_is_told_no_less_than_her_count(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with both(place, "proof-lost", tmp_path) as two:
        two.batch(APPLICANT, HUSBAND)
        two.midnight()
        two.publish()
        log = two.asked.node.log
        batch = next(one.index for one in log.entries() if leaf_of(one)["kind"] == "batch")
        person_table.place(log.directory, batch).unlink()
        assert codes(judged(capsys, place, two.proofs()[1])[1]) == {"tlog.person_miscounted"}
