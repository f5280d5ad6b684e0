"""`./tongban node init|check|refresh|run`: what an operator meets first."""

import json
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.node.place import MARRIAGE, POLICE, PROVIDER, Place, copied, office
from tests.node.running import spare, until
from tongban.cli.main import main
from tongban.kit.config import FileInvalid
from tongban.node import config as configs
from tongban.node import setup
from tongban.node.config import NodeConfig
from tongban.node.facts import RegisterShrunk
from tongban.node.program import SocketPathTooLong, UnsafeInProduction, door_socket, refuse_unsafe
from tongban.node.server import listening_at
from tongban.node.snapshots import MAKING
from tongban.tlog.verify import verify

MEMBER = "11990100TB000001XB"


def ran(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[Any]]:
    """Exit status and the lines of JSON that were said."""
    capsys.readouterr()
    status = main([*map(str, words), "--json"])
    said = capsys.readouterr()
    return status, [json.loads(line) for line in (said.out + said.err).splitlines() if line.startswith("{")]


# init


def test_a_folder_is_laid_out_with_keys_for_its_owner_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tax-1"
    assert ran(capsys, "node", "init", folder, "--id", "tax-1", "--member", MEMBER)[0] == 0
    config = configs.read(folder)
    assert (config.id, config.member, config.loopback) == ("tax-1", MEMBER, True)
    secret = [*(folder / "keys").iterdir(), folder / "log" / "subject.key"]
    assert len(secret) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert verify(folder / "log", {}).entries == 0


def test_a_folder_is_laid_out_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("node", "init", tmp_path / "n", "--id", "tax-1", "--member", MEMBER)
    assert ran(capsys, *words)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "n" / "keys").iterdir()}
    status, said = ran(capsys, *words)
    assert (status, said[-1]["code"]) == (2, "node.folder_taken")
    assert {path: path.read_bytes() for path in (tmp_path / "n" / "keys").iterdir()} == before


@pytest.mark.parametrize(
    ("id", "member"),
    [("Tax 1", MEMBER), ("tax-1", "1199"), ('tax"1', MEMBER), ("tax-1", "../../etc"), ("", MEMBER)],
)
def test_a_wrong_name_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], id: str, member: str
) -> None:
    status, said = ran(capsys, "node", "init", tmp_path / "n", "--id", id, "--member", member)
    assert (status, said[-1]["code"]) == (2, "kit.file_invalid")
    assert [*(tmp_path / "n").iterdir()] == []
    assert ran(capsys, "node", "init", tmp_path / "n", "--id", "tax-1", "--member", MEMBER)[0] == 0


def test_a_file_that_was_there_is_kept_and_not_overruled(tmp_path: Path) -> None:
    setup.init(tmp_path / "a", "tax-1", MEMBER, "", 0)
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "node.toml", tmp_path / "b" / "node.toml")
    setup.init(tmp_path / "b", "other", "11990100TB0000028B", "", 0)
    assert json.loads((tmp_path / "b" / "keys" / "online.json").read_text())["id"].startswith(f"{MEMBER}.online.")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "node.toml").write_text("[node]\n")
    with pytest.raises(FileInvalid):
        setup.init(tmp_path / "c", "tax-1", MEMBER, "", 0)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["node.toml"]


def test_what_a_laying_that_was_cut_off_has_made_is_kept_and_completed(tmp_path: Path) -> None:
    setup.init(tmp_path / "n", "tax-1", MEMBER, "", 0)
    kept = (tmp_path / "n" / "keys" / "online.json").read_bytes()
    (tmp_path / "n" / "keys" / "witness.json").unlink()
    shutil.rmtree(tmp_path / "n" / "log")
    setup.complete(tmp_path / "n")
    assert (tmp_path / "n" / "keys" / "online.json").read_bytes() == kept
    assert (tmp_path / "n" / "keys" / "witness.json").exists()
    assert verify(tmp_path / "n" / "log", {}).entries == 0


def test_sealed_keys_need_their_pass_phrase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBAN_PASS_PHRASE", "correct horse")
    assert ran(capsys, "node", "init", tmp_path / "n", "--id", "tax-1", "--member", MEMBER)[0] == 0
    assert "private" not in (tmp_path / "n" / "keys" / "online.json").read_text()
    monkeypatch.setenv("TONGBAN_PASS_PHRASE", "wrong")
    _, said = ran(capsys, "node", "check", tmp_path / "n")
    assert {one["where"]: one["holds"] for one in said}["keys"] is False


def test_open_keys_are_good_enough_to_show_and_not_to_serve(place: Place) -> None:
    config = configs.read(place.node(PROVIDER))
    refuse_unsafe(config, None)
    in_earnest = type(config)(**{**{f: getattr(config, f) for f in config.__slots__}, "mode": "production"})
    with pytest.raises(UnsafeInProduction):
        refuse_unsafe(in_earnest, None)
    refuse_unsafe(in_earnest, "pass phrase")


# check

UNSERVED = "it asks civil_affairs/unserved, which node.toml does not serve"


@pytest.fixture
def folder(place: Place, request: pytest.FixtureRequest) -> Path:
    """A node's folder to be spoiled, with a directory that it has kept."""
    found = place.node(f"check-{abs(hash(request.node.name)) % 10**8}")
    copied(place.node(PROVIDER), found)
    (found / "directory.json").write_bytes(place.published.read_bytes())
    return found


def findings(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, str]]:
    """Exit status, and what was found wrong by where it was found."""
    status, said = ran(capsys, "node", "check", folder)
    return status, {one["where"]: one["what"] for one in said if not one["holds"]}


def spoilt(folder: Path, before: str, after: str) -> None:
    file = folder / "node.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_a_good_node_has_nothing_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The directory of these tests lists one rule that nobody serves, for others to be refused.
    assert findings(capsys, folder) == (1, {"rule unserved@2014-01-01": UNSERVED})


def test_the_demonstration_s_own_nodes_have_nothing_found(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    found = place.node("check-police")
    copied(place.node(POLICE), found)
    (found / "directory.json").write_bytes(place.published.read_bytes())
    assert findings(capsys, found) == (0, {})


@pytest.mark.parametrize(
    ("before", "after", "where", "what"),
    [
        ("port = ", "prot = ", "node.toml", "port"),
        ("persons.db", "gone.db", f"resource {MARRIAGE}", "cannot be read"),
        ("SELECT document_type, name", "SELECT document_type, nome", f"resource {MARRIAGE}", "nome"),
        ("SELECT document_type, name", "SELECT *, name", f"resource {MARRIAGE}", "must be named"),
        ("FROM persons WHERE id_number = :key", "FROM persons; DROP TABLE x", f"resource {MARRIAGE}", "one SELECT"),
        ("phone, status, district, children FROM", "phone, status, district FROM", f"resource {MARRIAGE}", "children"),
    ],
)  # fmt: skip
def test_what_would_keep_a_node_from_answering_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, where: str, what: str
) -> None:
    spoilt(folder, before, after)
    status, wrong = findings(capsys, folder)
    assert status == 1
    assert what in wrong[where]


def test_missing_keys_and_directories_are_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "keys" / "ticket.json").unlink()
    (folder / "directory.json").write_bytes(b"{}")
    status, wrong = findings(capsys, folder)
    assert status == 1
    assert {"keys", "directory"} <= wrong.keys()
    (folder / "directory.json").unlink()
    assert "none was pulled yet" in findings(capsys, folder)[1]["directory"]


def test_a_check_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    findings(capsys, folder)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in after.keys() - before.keys()} <= {"directory-memory.json"}
    assert {path: after[path] for path in before} == before


def socket_of(config: NodeConfig, length: int) -> NodeConfig:
    """The same node with a door at a path of so many bytes, in a folder that is there."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    return replace(config, door_socket=f"{folder}/{'s' * (length - len(str(folder)) - 1)}")


def test_a_door_s_socket_may_have_as_long_a_path_as_the_kernel_binds_and_no_longer(place: Place) -> None:
    config = configs.read(place.node(PROVIDER))
    longest, beyond = socket_of(config, 107), socket_of(config, 108)
    at_door = door_socket(longest)
    assert at_door == Path(longest.door_socket)
    listening_at(at_door).close()
    shutil.rmtree(at_door.parent)
    with pytest.raises(OSError, match="too long"):
        listening_at(Path(beyond.door_socket))
    Path(beyond.door_socket).parent.rmdir()
    with pytest.raises(SocketPathTooLong) as refused:
        door_socket(beyond)
    assert "108 bytes; a Unix socket takes at most 107" in str(refused.value)


def test_a_door_s_path_is_counted_in_bytes_not_in_characters(place: Place) -> None:
    config = configs.read(place.node(PROVIDER))
    with pytest.raises(SocketPathTooLong):
        door_socket(replace(config, door_socket="/run/" + "入" * 35))


def test_a_node_without_a_socket_has_none(place: Place) -> None:
    assert door_socket(replace(configs.read(place.node(PROVIDER)), door_socket="")) is None


def test_a_door_s_path_that_is_too_long_is_found_and_refused_before_anything_is_served(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_long_door(text: str) -> str:
        return re.sub(r"^\[door\]\n(socket = .*\n)?", f'[door]\nsocket = "{"s" * 108}"\n', text, flags=re.MULTILINE)

    node = spare(place, "long-door", toml=with_long_door, start=False)
    assert "a Unix socket takes at most 107" in findings(capsys, node.folder)[1]["door"]
    status = until(node.start().ended, "the node refuses to start")
    assert status == [2]
    assert "a Unix socket takes at most 107" in node.said()
    assert "[door] socket in node.toml" in node.said()
    assert not (node.folder / "address.json").exists()


# refresh


def test_registers_are_read_into_facts_and_what_was_rejected_is_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / "facts")
    status, said = ran(capsys, "node", "refresh", folder, "--as-of", "2014-06-09", "--resource", MARRIAGE)
    assert status == 0
    [told] = said
    assert (told["resource"], told["rows"]) == (MARRIAGE, {"citizen": 4, "passport": 1})
    assert (told["rejected"], told["doubts"], told["nameless"]) == (0, 0, 0)
    rejects = [*(folder / "facts").rglob("rejects.*.parquet")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in rejects} == {0o600}
    again = ran(capsys, "node", "refresh", folder, "--as-of", "2014-06-09", "--resource", MARRIAGE)[1]
    assert again == said


def test_facts_published_before_stay_when_a_refresh_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], place: Place
) -> None:
    store = folder / "facts" / MARRIAGE.replace("/", ".")
    before = (store / "current").read_text()
    for change in (("persons.db", "gone.db"), ("id_number, status FROM", "id_number FROM")):
        spoilt(folder, *change)
        status, said = ran(capsys, "node", "refresh", folder, "--as-of", "2014-06-10", "--resource", MARRIAGE)
        assert (status, said[-1]["code"][:14]) == (3, "node.register_")
        spoilt(folder, *change[::-1])
    assert (store / "current").read_text() == before
    assert [path for path in store.iterdir() if path.name.startswith(".making")] == []
    assert place.config(PROVIDER).resources[MARRIAGE].facts is not None


def test_a_refresh_over_an_endless_view_ends_at_its_bound_and_leaves_the_facts_in_force(
    folder: Path, capsys: pytest.CaptureFixture[str], place: Place
) -> None:
    shutil.copy(place.register / "persons.db", folder / "persons.db")
    with office(folder / "persons.db") as register:
        register.execute("ALTER TABLE persons RENAME TO kept")
        count = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)"
        register.execute(f"CREATE VIEW persons AS SELECT kept.* FROM {count} CROSS JOIN kept")
    spoilt(folder, "sqlite:///../../registers/civil-affairs/persons.db", "sqlite:///persons.db")
    store = folder / "facts" / MARRIAGE.replace("/", ".")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    for limit, value in (("refresh_rows", 100_000), ("refresh_seconds", 1)):
        spoilt(folder, "[limits]", f"[limits]\n{limit} = {value}")
        status, [told] = ran(capsys, "node", "refresh", folder, "--as-of", "2014-06-10", "--resource", MARRIAGE)
        assert (status, told["code"]) == (3, "node.register_endless")
        assert limit in json.dumps(told)
        assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
        assert not [*store.glob(f"{MAKING}*")]
        spoilt(folder, f"[limits]\n{limit} = {value}", "[limits]")


def test_no_cell_of_a_register_is_told_when_facts_cannot_be_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merge = '\nmerge = "SELECT k, CAST(status AS BIGINT) AS status FROM persons"\n'
    spoilt(
        folder,
        'number = "id_number"\ndocument = "document_type"\n',
        f'number = "id_number"\ndocument = "document_type"{merge}',
    )
    status, said = ran(capsys, "node", "refresh", folder, "--as-of", "2014-06-10", "--resource", MARRIAGE)
    assert (status, said[-1]["code"]) == (2, "node.facts_invalid")
    assert "已婚" not in json.dumps(said, ensure_ascii=False)


def test_a_refresh_without_a_directory_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "directory.json").unlink()
    spoilt(folder, "../../hub/public/directory.json", "nowhere.json")
    status, said = ran(capsys, "node", "refresh", folder)
    assert (status, said[-1]["code"]) == (3, "node.no_directory")


def test_a_resource_without_a_rule_has_no_fact_table(place: Place, folder: Path) -> None:
    facts = '\n[resource."civil_affairs/moving".facts]\nnumber = "id_number"\ndomain = "citizen"\n'
    source = """[[resource."civil_affairs/moving".facts.source]]
rows = "SELECT id_number, status FROM moving"
columns = ["status text"]
"""
    (folder / "node.toml").write_text((folder / "node.toml").read_text() + facts + source)
    config = configs.read(folder)
    with pytest.raises(setup.NoTable):
        [*setup.refresh(config, place.directory(config), date(2014, 6, 9), "civil_affairs/moving")]


def test_a_register_without_rows_makes_facts_without_rows(place: Place, folder: Path) -> None:
    empty = folder / "persons.db"
    with office(empty) as register:
        register.execute("CREATE TABLE persons (document_type, id_number, name, phone, status, district, children)")
    spoilt(folder, "sqlite:///../../registers/civil-affairs/persons.db", "sqlite:///persons.db")
    config = configs.read(folder)
    # Of a register that held people yesterday nobody believes that it is empty.
    with pytest.raises(RegisterShrunk):
        [*setup.refresh(config, place.directory(config), date(2014, 6, 9), MARRIAGE)]
    [snapshot] = setup.refresh(config, place.directory(config), date(2014, 6, 9), MARRIAGE, fewer=True)
    assert snapshot.rows == {"citizen": 0, "passport": 0}


@pytest.fixture
def lost(folder: Path, place: Place) -> Iterator[Path]:
    """A node whose register has two rows without a number."""
    register = folder / "persons.db"
    shutil.copy(place.register / "persons.db", register)
    with office(register) as persons:
        persons.executemany("INSERT INTO persons (document_type, id_number, status) VALUES (?, ?, '离婚')",
                           [("身份证", None), ("护照", "不详")])  # fmt: skip
    spoilt(folder, "sqlite:///../../registers/civil-affairs/persons.db", "sqlite:///persons.db")
    yield folder
    place.put(place.resource(MARRIAGE, FIELDS))


FIELDS = ("name", "phone", "status", "district", "children")
REFRESH = ("--as-of", "2014-06-09", "--resource", MARRIAGE)


def remarks(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, str]:
    """What should be known although it holds."""
    said = ran(capsys, "node", "check", folder)[1]
    return {one["where"]: one["what"] for one in said if one["holds"] and one["what"] and one["where"][:5] == "facts"}


def test_rows_that_name_nobody_are_told_by_refresh_and_by_check(lost: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert remarks(capsys, lost) == {}
    status, [told] = ran(capsys, "node", "refresh", lost, *REFRESH)
    assert (status, told["nameless"]) == (0, 2)
    [(where, what)] = remarks(capsys, lost).items()
    assert where == f"facts {MARRIAGE}"
    assert "2行认不出是谁的。 2 rows name nobody." in what
    assert "complete" not in what
    main(["node", "refresh", str(lost), *REFRESH])
    assert "rejects." in capsys.readouterr().out


def test_a_register_called_complete_with_rows_that_name_nobody_is_warned_of(
    lost: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(capsys, "node", "refresh", lost, *REFRESH)
    place.put(place.resource(MARRIAGE, FIELDS, complete={"as_of": "2012-01-01", "statement": "全部在库"}))
    (lost / "directory.json").write_bytes(place.published.read_bytes())
    said = ran(capsys, "node", "check", lost)[1]
    [warned] = [one for one in said if one["where"] == f"facts {MARRIAGE}"]
    assert "silence may be answered as a no" in warned["what"]
    assert "complete as of 2012-01-01" in warned["what"]
    assert "statement of completeness" in warned["remedy"]
    main(["node", "check", str(lost)])
    assert f"! facts {MARRIAGE}: 2行" in capsys.readouterr().out


# run


def test_a_node_that_runs_already_is_not_run_twice(
    place: Place, running: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = ran(capsys, "node", "run", place.node(PROVIDER))
    assert (status, said[-1]["code"]) == (3, "tlog.in_use")
    assert running[PROVIDER].alive
