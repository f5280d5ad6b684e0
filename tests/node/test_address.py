"""The address of a PostgreSQL register: no password in it, no network without TLS, and no word of it repeated."""

from pathlib import Path

import pytest

from tests.node.test_config import GOOD, written
from tongban.kit.config import FileInvalid
from tongban.node import config as configs
from tongban.node.address import Server

LINE = 'url = "sqlite:///persons.db"'


def read(folder: Path, *lines: str) -> Server:
    found = configs.read(written(folder, GOOD.replace(LINE, "\n".join(lines)))).registers["persons"]
    assert found.kind == "postgresql"
    assert found.server is not None
    return found.server


def test_an_address_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    url = "postgresql://reader@127.0.0.1:5433/people"
    assert read(tmp_path, f'url = "{url}"') == Server("127.0.0.1", 5433, "reader", "people", "", "")


def test_an_address_may_be_a_socket_s_folder_and_its_words_may_be_escaped(tmp_path: Path) -> None:
    url = "postgresql://%E7%A4%BA@/%E4%BE%8B?host=/run/postgresql"
    assert read(tmp_path, f'url = "{url}"') == Server("/run/postgresql", 5432, "示", "例", "", "")


def test_places_are_relative_to_the_folder(tmp_path: Path) -> None:
    url = "postgresql://reader@db.example/people?sslmode=verify-full&sslrootcert=ca.pem"
    found = read(tmp_path, f'url = "{url}"', 'password_file = "keys/db"', "connections = 3")
    place = (str(tmp_path / "ca.pem"), str(tmp_path / "keys/db"))
    assert found == Server("db.example", 5432, "reader", "people", "verify-full", *place, "", 3)
    assert read(tmp_path, f'url = "{url}"', 'password_env = "DB"').password_env == "DB"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://reader:secret@127.0.0.1/people", "holds a password"),
        ("postgresql://reader:@127.0.0.1/people", "holds a password"),
        ("postgresql://reader@127.0.0.1/people?password=secret", "not 'password'"),
        ("postgresql://reader@127.0.0.1/people?options=secret", "not 'options'"),
        ("postgresql://reader@127.0.0.1/people?sslmode", "cannot be read"),
        ("postgresql://reader@127.0.0.1:secret/people", "cannot be read"),
        ("postgresql://127.0.0.1/people", "ACCOUNT@HOST:PORT/DATABASE"),
        ("postgresql://reader@/people", "ACCOUNT@HOST:PORT/DATABASE"),
        ("postgresql://reader@127.0.0.1", "ACCOUNT@HOST:PORT/DATABASE"),
        ("postgresql://reader@db.example/people", "TLS is mandatory"),
        ("postgresql://reader@10.0.0.7/people", "TLS is mandatory"),
        ("postgresql://reader@127.0.0.1/people?host=db.example", "TLS is mandatory"),
        ("postgresql://reader@db.example/people?sslmode=require", "sslmode must be one of"),
        ("postgresql://reader@db.example/people?sslmode=prefer", "sslmode must be one of"),
        ("postgresql+asyncpg://reader:secret@127.0.0.1/people", "must begin with postgresql://"),
        ("postgres://reader:secret@127.0.0.1/people", "must begin with postgresql://"),
    ],
)
def test_an_address_that_does_not_hold_is_told_with_its_line_and_not_repeated(
    tmp_path: Path, url: str, said: str
) -> None:
    with pytest.raises(FileInvalid, match=said) as raised:
        read(tmp_path, f'url = "{url}"')
    assert f"node.toml:{GOOD[: GOOD.index(LINE)].count(chr(10)) + 1}:" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "line",
    ['password = "secret"', "connections = 0", "connections = 101", 'password_file = "a"\npassword_env = "B"'],
)
def test_what_a_register_s_block_may_not_say_is_told(tmp_path: Path, line: str) -> None:
    with pytest.raises(FileInvalid) as raised:
        read(tmp_path, 'url = "postgresql://reader@127.0.0.1/people"', line)
    assert "secret" not in str(raised.value)


def test_a_password_s_place_belongs_to_a_server_only(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="unknown key 'password_env'"):
        configs.read(written(tmp_path, GOOD.replace(LINE, f'{LINE}\npassword_env = "DB"')))
