"""node.toml: each mistake is told with its file and line, before anything is opened."""

from pathlib import Path

import pytest

from tongban.kit.config import FileInvalid
from tongban.node import config as configs

GOOD = """[node]
id = "civil-affairs"
member = "11990100TB000001XB"
host = "127.0.0.1"
port = 8001
directory = "directory-source.json"
directory_root = "0000000000000000000000000000000000000000000000000000000000000000"

[door]
socket = "door.sock"

[[door.system]]
name = "window"
uid = 1000
grants = ["*"]
operators = ["*"]

[register.persons]
url = "sqlite:///persons.db"

[resource."civil_affairs/marriage"]
register = "persons"
point = "SELECT name, status FROM persons WHERE id_number = :key"
fields = ["name", "status"]
masked = ["name"]
masks = {name = "name"}

[resource."civil_affairs/marriage".facts]
number = "id_number"
domain = "citizen"

[[resource."civil_affairs/marriage".facts.source]]
rows = "SELECT id_number, status FROM persons"
columns = ["status code 已婚|离婚"]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text)
    return folder


def test_a_good_file_is_read_with_its_places_relative_to_its_folder(tmp_path: Path) -> None:
    config = configs.read(written(tmp_path, GOOD.replace("port = 8001", 'port = 8001\ncertificate = "tls.pem"')))
    assert config.registers["persons"].location == f"sqlite:///{tmp_path / 'persons.db'}"
    assert config.directory == str(tmp_path / "directory-source.json")
    assert config.door_socket == str(tmp_path / "door.sock")
    assert config.certificate == str(tmp_path / "tls.pem")
    assert config.resources["civil_affairs/marriage"].masks == {"name": "name"}
    assert config.limits == configs.Limits()


#: What is written instead of what, the line that is told, and a word of what is said.
MISTAKES = [
    ("[node]", "[node", 1, "Expected"),
    ('id = "civil-affairs"', "", 1, "node.id is missing"),
    ('id = "civil-affairs"', "id = 7", 2, "must be a text"),
    ('id = "civil-affairs"', 'id = "Civil Affairs"', 2, "has not its form"),
    ('id = "civil-affairs"', 'id = "civil-affairs"\nid = "b"', 3, "Cannot overwrite"),
    ("11990100TB000001XB", "1199", 3, "member has not its form"),
    ('host = "127.0.0.1"', 'host = "localhost"', 4, "must be an IP address"),
    ('host = "127.0.0.1"', 'host = "192.0.2.1"', 4, "TLS is mandatory"),
    ('host = "127.0.0.1"', 'host = "0.0.0.0"', 4, "TLS is mandatory"),
    ('host = "127.0.0.1"', 'hosts = "127.0.0.1"', 4, "unknown key 'hosts'"),
    ("port = 8001", "port = 70000", 5, "between 0 and 65535"),
    ("port = 8001", 'port = "8001"', 5, "whole number"),
    ("port = 8001", "port = true", 5, "whole number"),
    ("port = 8001", 'port = 8001\nmode = "testing"', 6, "mode must be"),
    ("port = 8001", "port = 8001\npull_seconds = 0", 6, "between 1 and 3600"),
    ('directory = "directory-source.json"\n', "", 1, "node.directory is missing"),
    ('directory_root = "0', 'directory_root = "x', 7, "directory_root has not its form"),
    ("[door]", "[doors]", 9, "unknown key 'doors'"),
    ('socket = "door.sock"', 'sokcet = "door.sock"', 10, "unknown key 'sokcet'"),
    ("uid = 1000\n", "", 13, "needs a uid or a token_sha256"),
    ("uid = 1000", 'token_sha256 = "secret"', 14, "64 small hexadecimal"),
    ("uid = 1000", "uid = -1", 14, "between 0"),
    ('grants = ["*"]', "grants = [1]", 15, "list of texts"),
    ('operators = ["*"]\n', "", 12, "operators is missing"),
    ("[register.persons]", '[register."persons-2014"]', 18, "small letters, digits and _"),
    ('url = "sqlite:///persons.db"', 'url = "sqlite:///persons.db"\ncsv = "persons.csv"', 18, "exactly one of"),
    ('url = "sqlite:///persons.db"', 'xlsx = "persons.xlsx"', 18, "exactly one of"),
    ('register = "persons"', 'register = "person"', 22, "not in this file"),
    ("point =", "piont =", 23, "unknown key 'piont'"),
    ('masked = ["name"]', 'masked = ["nome"]', 26, "is missing"),
    ('masked = ["name"]\nmasks = {', 'masked = ["phone"]\nmasks = {phone = "phone", ', 25, "none of its fields"),
    ('masks = {name = "name"}', 'masks = {name = "veil"}', 26, "must be one of"),
    ('masks = {name = "name"}', 'masks = {name = "name", status = "whole"}', 26, "unknown key 'status'"),
    ('domain = "citizen"', 'domain = "citizen"\ndocument = "document_type"', 28, "either domain or document"),
    ('domain = "citizen"', 'domain = "citizens"', 30, "domain must be one of"),
    ('domain = "citizen"', "", 28, "either domain or document"),
    ('number = "id_number"\n', "", 28, "facts.number is missing"),
    ("[[resource", "[[resources", 28, "at least one [[…facts.source]]"),
    ("status code 已婚|离婚", "status", 34, "must be 'name kind'"),
    ("status code 已婚|离婚", "status code", 34, "must be 'name kind'"),
    ("status code 已婚|离婚", "status colour", 34, "must be 'name kind'"),
    ("columns = [", 'colums = [', 32, "columns is missing"),
    ('rows = "SELECT', 'register = "other"\nrows = "SELECT', 33, "not in this file"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "line", "said"), MISTAKES, ids=[bad or good for good, bad, _, _ in MISTAKES])
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, good: str, bad: str, line: int, said: str) -> None:
    text = GOOD.replace(good, bad)
    assert text != GOOD
    with pytest.raises(FileInvalid) as raised:
        configs.read(written(tmp_path, text))
    assert said in str(raised.value)
    assert (raised.value.facts["path"], raised.value.facts["line"]) == (tmp_path / "node.toml", line)


def test_only_a_resource_without_facts_says_of_its_numbers_that_they_are_exact(tmp_path: Path) -> None:
    bare = GOOD[: GOOD.index('[resource."civil_affairs/marriage".facts]')]
    one = next(iter(configs.read(written(tmp_path, bare)).resources.values()))
    assert (one.facts, one.exact) == (None, False)
    said = bare.replace('masked = ["name"]', 'masked = ["name"]\nspelling = "exact"')
    assert next(iter(configs.read(written(tmp_path, said)).resources.values())).exact
    for text, why in (
        (said.replace("exact", "loose"), "can only be 'exact'"),
        (GOOD.replace('masked = ["name"]', 'masked = ["name"]\nspelling = "exact"'), "which count its spellings"),
    ):
        with pytest.raises(FileInvalid, match=why):
            configs.read(written(tmp_path, text))


@pytest.mark.parametrize("limit", configs.Limits.__dataclass_fields__)
def test_a_limit_is_a_whole_number_above_nothing(tmp_path: Path, limit: str) -> None:
    assert getattr(configs.read(written(tmp_path, f"{GOOD}\n[limits]\n{limit} = 7\n")).limits, limit) == 7
    for bad in ("0", '"7"', "7.5"):
        with pytest.raises(FileInvalid) as raised:
            configs.read(written(tmp_path, f"{GOOD}\n[limits]\n{limit} = {bad}\n"))
        assert raised.value.facts["line"] == len(GOOD.splitlines()) + 3


def test_a_misspelt_limit_is_not_a_missing_limit(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="unknown key 'body_second'"):
        configs.read(written(tmp_path, f"{GOOD}\n[limits]\nbody_second = 7\n"))


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="cannot be read"):
        configs.read(tmp_path)
    (tmp_path / "node.toml").write_bytes(b'[node]\nid = "\xff"\n')
    with pytest.raises(FileInvalid, match="2: not UTF-8"):
        configs.read(tmp_path)


def test_other_sql_is_another_question(tmp_path: Path) -> None:
    """What the owner approved holds for exactly the facts it was approved for."""
    digests = set()
    for before, after in [
        ("", ""),
        ("SELECT id_number, status FROM persons", "SELECT id_number, status FROM persons WHERE 1 = 1"),
        ("已婚|离婚", "已婚|离婚|未婚"),
        ('domain = "citizen"', 'domain = "citizen"\nmerge = "SELECT k, min(status) AS status FROM persons GROUP BY k"'),
        ('number = "id_number"', 'number = "number"'),
        ("columns = [", 'require = "status IS NOT NULL"\ncolumns = ['),
    ]:
        facts = configs.read(written(tmp_path, GOOD.replace(before, after))).resources["civil_affairs/marriage"].facts
        assert facts is not None
        digests.add(facts.digest())
    assert len(digests) == 6
