"""What leaves by a query: granted fields of granted rows, masked where the owner says so, of nobody else."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.node.asking import Asker
from tests.node.place import PASSPORT, PROVIDER, Place, office, write_moving
from tests.node.running import Inside, NodeProcess, inside, records, spare, until
from tests.node.test_door import asked as at_the_door
from tests.world import APPLICANT, HUSBAND
from tongban.exchange.client import Answer
from tongban.exchange.envelope import LONGEST_ANSWER
from tongban.node import setup
from tongban.node.adapters import connect
from tongban.node.adapters.register import Bounds, RegisterUnavailable, reviewed
from tongban.node.config import RegisterConfig

MOVING = {"grant": "moving", "resource": "civil_affairs/moving"}
SLOW = {"grant": "slow", "resource": "civil_affairs/slow"}


def said(twin: Inside, asker: Asker, **asked: object) -> object:
    return twin.send(asker.query(**asked)).said


@pytest.fixture
def asker(place: Place, twin: Inside) -> Asker:
    return Asker(place, now=twin.clock.seconds)


def test_only_the_fields_asked_for_leave_in_their_order(twin: Inside, asker: Asker) -> None:
    assert said(twin, asker, fields=["district", "status"]) == {
        "records": [{"district": "东区", "status": "已婚"}],
        "masked": [],
        "directory": twin.node.source.current.version,  # type: ignore[union-attr]
    }


def test_masked_fields_say_that_they_are_masked(twin: Inside, asker: Asker) -> None:
    told = said(twin, asker, fields=["name", "phone", "status"])
    assert told["records"] == [{"name": "张*", "phone": "138****8000", "status": "已婚"}]  # type: ignore[index]
    assert told["masked"] == ["name", "phone"]  # type: ignore[index]


def test_what_the_catalogue_calls_masked_is_masked_though_node_toml_forgot_it(place: Place) -> None:
    def forgetful(text: str) -> str:
        masks = 'masked = ["name", "phone"]\nmasks = {name = "name", phone = "phone"}\n'
        assert masks in text
        return text.replace(masks, "")

    with inside(place, "twin-forgetful", PROVIDER, toml=forgetful) as found:
        told = found.send(Asker(place, now=found.clock.seconds).query(fields=["name", "status"])).said
    assert (told["records"], told["masked"]) == ([{"name": "张*", "status": "已婚"}], ["name"])


def test_a_missing_value_stays_missing_under_its_mask(twin: Inside, asker: Asker) -> None:
    told = said(twin, asker, subject=("citizen", HUSBAND), fields=["phone"])
    assert told["records"] == [{"phone": None}]  # type: ignore[index]


def test_a_value_that_does_not_fit_its_mask_is_hidden_whole(twin: Inside, asker: Asker) -> None:
    asked = {"subject": ("passport", PASSPORT), "ticket": asker.ticket(("passport", PASSPORT)), "fields": ["phone"]}
    assert said(twin, asker, **asked)["records"] == [{"phone": "***"}]  # type: ignore[index]


@pytest.mark.parametrize(("subject", "found"), [(APPLICANT, 1), (HUSBAND, 0)])
def test_a_row_outside_the_grant_s_condition_is_as_if_it_were_not_there(
    twin: Inside, asker: Asker, subject: str, found: int
) -> None:
    told = said(twin, asker, grant="east", subject=("citizen", subject))
    assert len(told["records"]) == found  # type: ignore[arg-type,index]


@pytest.mark.parametrize(("subject", "found"), [(APPLICANT, 1), (HUSBAND, 0)])
def test_a_condition_compares_numbers_as_numbers_and_a_missing_one_with_nothing(
    twin: Inside, asker: Asker, subject: str, found: int
) -> None:
    told = said(twin, asker, grant="one_child", subject=("citizen", subject))
    assert len(told["records"]) == found  # type: ignore[arg-type,index]


def test_a_passport_s_number_finds_no_citizen_and_a_citizen_s_no_passport(twin: Inside, asker: Asker) -> None:
    for domain in ("passport", "citizen"):
        asked = {"subject": (domain, PASSPORT), "ticket": asker.ticket((domain, PASSPORT))}
        got = twin.send(asker.query(**asked))
        assert (got.code, len(got.said.get("records", []))) == (("", 1) if domain == "passport" else (BAD, 0))


BAD = "exchange.bad_subject"


def test_a_ticket_with_another_s_id_names_nobody_more(twin: Inside, asker: Asker) -> None:
    """Ids are chosen by whoever issues a ticket: what was proved of one proves nothing of its namesake."""
    mine, yours = (asker.ticket(one, id="I" * 22) for one in (APPLICANT, HUSBAND))
    assert twin.send(asker.query(ticket=mine)).status == 200
    assert twin.send(asker.query(ticket=yours)).code == "exchange.subject_outside_ticket"


def test_the_log_names_the_person_the_fields_and_the_operator(twin: Inside, asker: Asker) -> None:
    from tongban.tlog.pseudonym import pseudonym

    twin.send(asker.query(fields=["status", "name"]))
    record = twin.records("call")[-1]
    assert record["subjects"] == [pseudonym(twin.node.log.subject_key, "citizen", APPLICANT)]
    assert (record["fields"], record["operator"], record["rows"]) == (["status", "name"], "T-0417", 1)
    assert APPLICANT not in str(record)


# Registers that fail


@contextmanager
def away(register: Path) -> Iterator[None]:
    """The register's file, taken away and brought back."""
    hidden = register.with_suffix(".away")
    register.rename(hidden)
    try:
        yield
    finally:
        register.unlink(missing_ok=True)
        hidden.rename(register)


@pytest.fixture
def moving(place: Place) -> Path:
    return place.register / "moving.db"


@pytest.mark.parametrize("url", ["registers-of-2014", "", "postgresql://reader:secret@db:port/persons", "mysql://db/p"])
def test_an_address_that_no_adapter_can_open_is_a_register_that_does_not_answer_and_is_not_repeated(url: str) -> None:
    with pytest.raises(RegisterUnavailable) as raised:
        connect(RegisterConfig("persons", "url", url), Bounds(1, 1))
    assert "secret" not in str(raised.value)


def test_a_register_that_is_gone_is_no_no_and_works_again_when_it_is_back(
    provider: NodeProcess, place: Place, moving: Path
) -> None:
    asker = Asker(place)
    assert provider.send(asker.query(**MOVING)).said["records"] == [{"status": "在"}]
    with away(moving):
        asked = asker.query(**MOVING)
        got = provider.send(asked)
        assert (got.code, got.status) == ("exchange.register_unavailable", 503)
        assert isinstance(asker.judged(asked, got), Answer)
        assert provider.send(asker.query()).status == 200
    assert provider.send(asker.query(**MOVING)).status == 200
    assert records(provider.log, "refused")[-1]["code"] == "exchange.register_unavailable"


def test_a_register_that_lost_a_column_is_said_and_works_again_when_it_is_mended(
    provider: NodeProcess, place: Place, moving: Path
) -> None:
    asker = Asker(place)
    with away(moving):
        with office(moving) as register:
            register.execute("CREATE TABLE moving (id_number TEXT, state TEXT)")
        got = provider.send(asker.query(**MOVING))
        assert (got.code, got.status) == ("exchange.register_changed", 503)
    assert provider.send(asker.query(**MOVING)).status == 200


def test_another_register_in_the_place_of_the_first_is_the_one_that_is_read(
    provider: NodeProcess, place: Place, moving: Path
) -> None:
    """Offices replace their export by night: by renaming, or by copying over it."""
    asker = Asker(place)
    assert provider.send(asker.query(**MOVING)).said["records"] == [{"status": "在"}]
    with away(moving):
        beside = moving.with_suffix(".next")
        for status, put in (("改", beside.rename), ("再改", lambda to: to.write_bytes(beside.read_bytes()))):
            beside.unlink(missing_ok=True)
            write_moving(beside)
            with office(beside) as register:
                register.execute("UPDATE moving SET status = ?", (status,))
            put(moving)
            assert provider.send(asker.query(**MOVING)).said["records"] == [{"status": status}]


def test_a_register_that_is_cut_short_while_it_is_open_ends_no_node(
    provider: NodeProcess, place: Place, moving: Path
) -> None:
    asker, process = Asker(place), provider.pid
    assert provider.send(asker.query(**MOVING)).status == 200
    with away(moving):
        whole = moving.with_suffix(".away").read_bytes()
        moving.write_bytes(whole)
        assert provider.send(asker.query(**MOVING)).status == 200
        with moving.open("r+b") as file:
            file.truncate(len(whole) // 2)
        assert provider.send(asker.query(**MOVING)).code.startswith("exchange.register_")
    assert provider.send(asker.query(**MOVING)).status == 200
    assert (provider.alive, provider.pid) == (True, process)


def test_a_slow_register_is_given_up_and_takes_no_other_call_with_it(provider: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    began = time.monotonic()
    slow: list[object] = []
    threads = [threading.Thread(target=lambda: slow.append(provider.send(asker.query(**SLOW)))) for _ in range(4)]
    for one in threads:
        one.start()
    quick = 0
    while any(one.is_alive() for one in threads):
        assert provider.send(asker.query()).status == 200
        quick += 1
    assert {(got.code, got.status) for got in slow} == {("exchange.register_slow", 504)}  # type: ignore[attr-defined]
    assert quick > 5
    assert time.monotonic() - began < 30
    assert provider.send(asker.query(**MOVING)).status == 200


def test_a_register_that_is_being_written_is_waited_for_and_takes_no_other_call_with_it(
    provider: NodeProcess, place: Place, moving: Path
) -> None:
    asker = Asker(place)
    writer = sqlite3.connect(moving, isolation_level=None, check_same_thread=False)
    try:
        writer.execute("BEGIN EXCLUSIVE")
        locked: list[object] = []
        waiting = threading.Thread(target=lambda: locked.append(provider.send(asker.query(**MOVING))))
        waiting.start()
        assert provider.send(asker.query()).status == 200
        writer.execute("ROLLBACK")
        waiting.join()
        assert [got.status for got in locked] == [200]  # type: ignore[attr-defined]
        writer.execute("BEGIN EXCLUSIVE")
        assert provider.send(asker.query(**MOVING)).code in ("exchange.register_slow", "exchange.register_unavailable")
        writer.execute("ROLLBACK")
    finally:
        writer.close()
    until(lambda: provider.send(asker.query(**MOVING)).status == 200, "the register is free again")


# Answers that are too long


def written_at_length(moving: Path, characters: int, character: str = "x") -> None:
    """The register anew, with a record so long."""
    moving.unlink(missing_ok=True)
    write_moving(moving)
    with sqlite3.connect(moving) as register:
        register.execute("UPDATE moving SET status = ?", (character * characters,))
    register.close()


def test_the_longest_answer_that_a_consumer_takes_is_given_and_a_longer_one_is_refused_before_it_counts_as_given(
    provider: NodeProcess, consumer: NodeProcess, moving: Path
) -> None:
    """Through two real nodes, so that both hold to one limit."""
    most = LONGEST_ANSWER["query"]
    with away(moving):
        written_at_length(moving, 1)
        rest = len(at_the_door(consumer, "moving").body) - 1
        written_at_length(moving, most - rest)
        longest = at_the_door(consumer, "moving")
        assert (longest.status, len(longest.body)) == (200, most)
        given, taken = len(records(provider.log, "call")), len(records(consumer.log, "answer"))
        written_at_length(moving, most - rest + 1)
        refused = at_the_door(consumer, "moving")
    assert (refused.status, refused.code) == (422, "exchange.too_many_records")
    assert len(records(provider.log, "call")) == given
    assert records(provider.log, "refused")[-1]["code"] == "exchange.too_many_records"
    # A signed no, that the consumer's log holds as any other.
    assert records(consumer.log, "answer")[taken]["code"] == "exchange.too_many_records"


def test_an_answer_is_measured_in_the_bytes_that_leave(provider: NodeProcess, place: Place, moving: Path) -> None:
    with away(moving):
        written_at_length(moving, LONGEST_ANSWER["query"] // 3, "汉")
        got = provider.send(Asker(place).query(**MOVING))
    assert (got.status, got.code) == (422, "exchange.too_many_records")


def test_a_real_register_of_the_demonstration_answers(running: dict[str, NodeProcess], place: Place) -> None:
    register = sqlite3.connect(place.foundation.registers / "public-security" / "register.db")
    number, status = register.execute(
        "SELECT id_number, status FROM population WHERE id_number GLOB '[1-9]*X' AND length(id_number) = 18 LIMIT 1"
    ).fetchone()
    register.close()
    asker = Asker(place, "public-security")
    grants = [entry.body for entry in place.bureau.entries() if entry.kind == "grant"]
    granted = next(
        one["id"] for one in grants if (one["resource"], one["call"]) == ("public_security/population", "query")
    )
    asked = asker.query(
        grant=granted, resource="public_security/population", subject=("citizen", number),
        ticket=asker.ticket(number), fields=["status", "name"],
    )  # fmt: skip
    got = running["public-security"].send(asked)
    assert isinstance(asker.judged(asked, got), Answer)
    assert [one["status"] for one in got.said["records"]] == [status]
    assert got.said["masked"] == ["name"]


@pytest.mark.parametrize("resource", ["driving_licence", "vehicle", "exit_entry"])
def test_numbers_of_two_kinds_of_document_are_told_apart_in_the_demonstration(place: Place, resource: str) -> None:
    found = place.config("public-security").resources[f"public_security/{resource}"]
    assert found.facts is not None
    assert found.facts.document in reviewed(found.point, found.register, "sqlite")


def test_a_select_that_does_not_tell_kinds_of_document_apart_answers_nobody(place: Place) -> None:
    node = spare(place, "no-document", toml=lambda text: text.replace("SELECT document_type, name,", "SELECT name,"))
    said = {one.what for one in setup.check(node.folder) if not one.holds}
    assert any("gives no document_type" in what for what in said)
    got = node.ready().send(Asker(place).query())
    assert (got.code, got.status) == ("exchange.register_changed", 503)
    assert node.stop() == 0


def test_a_parquet_register_that_goes_and_changes_is_said(place: Place) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = place.register / "files.parquet"

    def write(**columns: list[str]) -> None:
        parquet.write_table(pa.table(columns), file)

    write(id_number=[APPLICANT], status=["在"])
    place.put(
        place.resource("civil_affairs/file", ["status"]),
        place.grant("file", resource="civil_affairs/file", fields=["status"]),
    )
    more = '\n[register.files]\nparquet = "../../registers/civil-affairs/files.parquet"\n' + RESOURCE
    with inside(place, "twin-files", PROVIDER, toml=lambda text: text + more) as found:
        asker = Asker(place, now=found.clock.seconds)
        ask = {"grant": "file", "resource": "civil_affairs/file"}
        codes = [found.send(asker.query(**ask)).code]
        file.rename(file.with_suffix(".away"))
        codes.append(found.send(asker.query(**ask)).code)
        write(id_number=[APPLICANT], state=["在"])
        codes.append(found.send(asker.query(**ask)).code)
        write(id_number=[APPLICANT], status=["又在"])
        assert found.send(asker.query(**ask)).said["records"] == [{"status": "又在"}]
    assert codes == ["", "exchange.register_unavailable", "exchange.register_changed"]


RESOURCE = """
[resource."civil_affairs/file"]
register = "files"
point = "SELECT status FROM files WHERE id_number = :key"
fields = ["status"]
"""
