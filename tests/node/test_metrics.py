"""The operator's monitor reads numbers; nobody else reads them, and no number names a person."""

import re
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.node.asking import Asker
from tests.node.place import Place
from tests.node.running import NodeProcess, UnixConnection
from tests.node.test_door import asked
from tests.world import APPLICANT, HUSBAND, STRANGER
from tongban.node.app import code_in

LABELS = r'\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\}'
#: The grammar of Prometheus's text format 0.0.4, as far as we write it.
LINE = re.compile(
    rf"# (?:HELP [a-z_]+ [^\n]+|TYPE [a-z_]+ (?:gauge|counter|histogram))|[a-z_]+(?:{LABELS})? [-+0-9.e]+"
)


def read(node: NodeProcess, path: str = "/metrics") -> tuple[int, str]:
    connection = UnixConnection(node.folder / "door.sock")
    try:
        connection.request("GET", path)
        got = connection.getresponse()
        return got.status, got.read().decode()
    finally:
        connection.close()


def value(text: str, line: str) -> float:
    return float(next(one for one in text.splitlines() if one.startswith(line)).rpartition(" ")[2])


def test_calls_are_counted_by_kind_and_outcome(place: Place, provider: NodeProcess, consumer: NodeProcess) -> None:
    answered = 'tongban_calls_total{side="in",call="query",outcome="answered"}'
    refused = 'tongban_calls_total{side="in",call="query",outcome="exchange.no_grant"}'
    asker = Asker(place)
    assert provider.send(asker.query()).status == 200
    assert provider.send(asker.query(grant="A" * 22)).status == 403
    before = read(provider)[1]
    assert provider.send(asker.query()).status == 200
    assert provider.send(asker.query(grant="A" * 22)).status == 403
    after = read(provider)[1]
    for line in (answered, refused):
        assert value(after, line) == value(before, line) + 1
    assert asked(consumer).status == 200
    assert value(read(consumer)[1], 'tongban_calls_total{side="out",call="query",outcome="answered"}') >= 1


def test_every_line_is_in_the_format_and_every_histogram_adds_up(provider: NodeProcess, place: Place) -> None:
    assert provider.send(Asker(place).query()).status == 200
    status, text = read(provider)
    assert status == 200
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    labels = '{side="in",call="query"'
    buckets = [value(text, line.rpartition(" ")[0]) for line in text.splitlines() if f"seconds_bucket{labels}" in line]
    assert buckets == sorted(buckets)
    assert buckets[-1] == value(text, f"tongban_call_seconds_count{labels}")
    for name in ("log_entries", "directory_age_seconds", "key_days_left", "quota_used", "snapshot_age_seconds"):
        assert f"tongban_{name}" in text


def test_no_person_and_no_staff_number_is_in_them(provider: NodeProcess, consumer: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    for request in (asker.query(), asker.verify(), asker.query(subject=("citizen", STRANGER))):
        provider.send(request)
    assert asked(consumer).status == 200
    for node in (provider, consumer):
        text = read(node)[1]
        assert [word for word in (APPLICANT, HUSBAND, STRANGER, "T-0417", "KC-") if word in text] == []


def test_strangers_read_none_of_them(provider: NodeProcess) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://127.0.0.1:{provider.port}/metrics", timeout=20)
    assert (refused.value.code, b"tongban_" in refused.value.read()) == (404, False)
    assert provider.strangers_health() == (200, {"answers": True})


def test_what_another_department_says_is_no_label() -> None:
    assert code_in(b'{"code":"exchange.no_grant"}') == "exchange.no_grant"
    for body in (b'{"code":"evil\\"} 1"}', b"[]", b"", b'{"code":7}', b'{"code":""}'):
        assert code_in(body) in ("other", "")
