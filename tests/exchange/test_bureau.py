"""The bureau's folder: what is published follows what was published, whatever came between."""

import base64
from pathlib import Path

import orjson
import pytest

from tests.exchange.city import BUREAU, a_key_entry
from tests.world import CIVIL_AFFAIRS, DAY, NOON, a_grant_statement, a_key
from tongban.exchange import bureau as bureaus
from tongban.exchange.bureau import Bureau, BureauExists, BureauInvalid, GrantWithdrawn, Office
from tongban.exchange.directory import Directory, adopt
from tongban.exchange.listing import EntryInvalid, compose
from tongban.kit import statement
from tongban.kit.clock import MovedClock, stamp
from tongban.kit.keys import read_key
from tongban.kit.statement import Statement
from tongban.tlog.folder import LogInUse
from tongban.tlog.log import Log


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOON)


@pytest.fixture
def bureau(tmp_path: Path, clock: MovedClock) -> Bureau:
    return Bureau.create(tmp_path / "hub", "示例市", BUREAU, clock)


def a_member(bureau: Bureau, office: Office) -> Statement:
    root = {"id": office.root.id, "public": base64.b64encode(office.root.public.public).decode()}
    body = compose(
        "member", code=office.code, name="民政局", name_en="Civil Affairs", root=root, predecessors=[], successors=[],
        since=stamp(NOON - DAY), until=None,
    )  # fmt: skip
    return statement.sign(body, *bureau.root_keys()[:2])


@pytest.fixture
def office(bureau: Bureau, tmp_path: Path) -> Office:
    """Civil Affairs, listed with its approval key."""
    office = Office(tmp_path / "office", CIVIL_AFFAIRS)
    key = office.key_entry(office.approval, "approval", stamp(NOON - DAY), stamp(NOON + DAY))
    bureau.put(a_member(bureau, office), key)
    return office


def a_grant(bureau: Bureau, office: Office, id: str = "G" * 22) -> list[Statement]:
    """A grant to the member itself, with the node and the resource that it needs."""
    node = compose(
        "node", id="civil-affairs", member=CIVIL_AFFAIRS, address="http://127.0.0.1:1", certificate=None,
        origin=f"{CIVIL_AFFAIRS}/civil-affairs",
    )  # fmt: skip
    fields = [{"name": name, "type": "text", "grade": "2", "mask": None} for name in ("status", "registered_on")]
    resource = compose(
        "resource", id="civil_affairs/marriage", version=1, member=CIVIL_AFFAIRS, node="civil-affairs", title="婚姻",
        domains=["citizen"], fields=fields, sharing="conditional", basis="示例", complete=None,
    )  # fmt: skip
    body = {**a_grant_statement(id=id, issued_at=NOON).body, "consumer": CIVIL_AFFAIRS}
    return [
        statement.sign(node, office.root),
        office.approve(resource),
        bureau.countersign(office.approve(body)),
    ]


def adopted(bureau: Bureau, current: Directory | None, clock: MovedClock) -> Directory:
    found = adopt(current, bureau.public.read_bytes(), bureau.root.digest, clock.seconds())
    assert isinstance(found, Directory), found
    return found


def log_of(bureau: Bureau, clock: MovedClock) -> list[dict[str, object]]:
    """Leaves of the hub's log."""
    log = Log.open(bureau.folder / "log", bureau.root.log_origin, read_key(bureau.folder / "keys/log.json"), clock)
    try:
        return [orjson.loads(one.leaf) for one in log.entries()]
    finally:
        log.close()


def versions_in(bureau: Bureau, clock: MovedClock) -> list[object]:
    leaves = log_of(bureau, clock)
    return [one["body"]["version"] for one in leaves if one["kind"] == "directory"]  # type: ignore[index]


def test_a_node_adopts_each_directory_after_the_one_before(bureau, office, clock):
    first = bureau.publish()
    held = adopted(bureau, None, clock)
    clock.forward(20)
    second = bureau.publish()
    again = adopted(bureau, held, clock)
    assert (first.version, second.version, held.version, again.version) == (1, 2, 1, 2)
    assert again.head.previous == first.digest
    assert again.head.digest == second.digest


def test_a_folder_is_opened_again_with_what_was_listed(bureau, office, clock):
    bureau.publish()
    opened = Bureau(bureau.folder, clock)
    assert opened.publish().version == 2
    assert {one.kind for one in opened.entries()} == {"member", "key"}


def test_keys_are_never_overwritten(bureau, clock):
    with pytest.raises(BureauExists):
        Bureau.create(bureau.folder, "示例市", BUREAU, clock)


@pytest.mark.parametrize("at", range(7))
def test_a_bureau_whose_making_was_cut_off_at_any_key_or_at_its_log_is_made_the_next_time(
    tmp_path, clock, monkeypatch, at
):
    """Three root keys, three others, the log."""
    steps = iter(range(100))

    def cut_off(works):
        def step(*given, **named):
            if next(steps) == at:
                raise KeyboardInterrupt
            return works(*given, **named)

        return step

    with monkeypatch.context() as cut:
        cut.setattr(bureaus, "new_key", cut_off(bureaus.new_key))
        cut.setattr(bureaus.Log, "create", cut_off(bureaus.Log.create))
        with pytest.raises(KeyboardInterrupt):
            Bureau.create(tmp_path / "hub", "a city", BUREAU, clock)
    made = {path: path.read_bytes() for path in (tmp_path / "hub" / "keys").glob("*")}
    assert len(made) == min(at, 6)
    bureau = Bureau.create(tmp_path / "hub", "a city", BUREAU, clock)
    assert {path: path.read_bytes() for path in made} == made
    assert bureau.publish().version == 1


def test_a_grant_is_in_the_log_when_it_is_first_published_and_when_it_is_withdrawn(bureau, office, clock):
    entries = a_grant(bureau, office)
    bureau.put(*entries)
    bureau.publish()
    bureau.publish()
    assert bureau.remove("grant", "G" * 22)
    assert not bureau.remove("grant", "G" * 22)
    bureau.publish()
    digest = entries[-1].digest()
    signed_by = sorted([office.approval.id, f"{BUREAU}.hub.1"])
    assert [one["body"] for one in log_of(bureau, clock) if one["kind"] == "grant"] == [
        {"grant": "G" * 22, "digest": digest, "signed_by": signed_by},
        {"grant": "", "digest": digest, "signed_by": []},
    ]
    assert versions_in(bureau, clock) == [1, 2, 3]


def test_a_withdrawn_grant_is_not_listed_again_under_its_id(bureau, office, clock):
    *others, grant = a_grant(bureau, office)
    bureau.put(*others, grant)
    bureau.publish()
    bureau.remove("grant", "G" * 22)
    bureau.publish()
    anew = bureau.countersign(office.approve({**grant.body, "fields": ["status"]}))
    for again in (grant, anew):
        with pytest.raises(GrantWithdrawn) as raised:
            bureau.put(again)
        assert raised.value.code == "exchange.grant_listed_again"
        assert bureau.listed("grant", "G" * 22) is None
    bureau.put(a_grant(bureau, office, "H" * 22)[-1])
    assert bureau.publish().version == 3


def test_a_grant_that_is_listed_may_be_signed_anew_under_its_id(bureau, office, clock):
    *others, grant = a_grant(bureau, office)
    bureau.put(*others, grant)
    bureau.publish()
    bureau.put(bureau.countersign(office.approve({**grant.body, "fields": ["status"]})))
    assert bureau.publish().version == 2


def test_a_withdrawn_grant_that_was_copied_back_is_not_published(bureau, office, clock):
    bureau.put(*a_grant(bureau, office))
    bureau.publish()
    bureau.remove("grant", "G" * 22)
    bureau.publish()
    before = bureau.public.read_bytes()
    (copy,) = (bureau.folder / "struck").iterdir()
    (bureau.folder / "entries" / copy.name).write_bytes(copy.read_bytes())
    with pytest.raises(GrantWithdrawn):
        bureau.publish()
    assert bureau.public.read_bytes() == before


def test_nothing_is_published_with_an_entry_that_would_have_no_effect(bureau, office, clock):
    bureau.publish()
    before = bureau.public.read_bytes()
    # Signed by the root that the fixed cast has, which is not this member's.
    bureau.put(a_key_entry(a_key(CIVIL_AFFAIRS, "online")))
    assert [why.code for why in bureau.without_effect().values()] == ["exchange.entry_unsigned"]
    with pytest.raises(EntryInvalid):
        bureau.publish()
    assert bureau.public.read_bytes() == before
    assert versions_in(bureau, clock) == [1]


def test_a_publication_cut_off_after_its_head_was_logged_does_not_make_a_fork(bureau, office, clock, monkeypatch):
    bureau.publish()
    held = adopted(bureau, None, clock)

    def cut(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(bureaus.publish, "published", cut)
        with pytest.raises(KeyboardInterrupt):
            bureau.publish()
    clock.forward(60)
    assert bureau.publish().version == 3
    assert adopted(bureau, held, clock).version == 3
    assert versions_in(bureau, clock) == [1, 2, 3]


def test_a_grant_whose_publication_was_cut_off_before_the_log_is_logged_the_next_time(
    bureau, office, clock, monkeypatch
):
    bureau.put(*a_grant(bureau, office))

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(Log, "append_many", cut)
        with pytest.raises(KeyboardInterrupt):
            bureau.publish()
    bureau.publish()
    assert [one["kind"] for one in log_of(bureau, clock)] == ["grant", "key", "directory"]


def test_two_cannot_publish_at_once(bureau, office, clock):
    bureau.publish()
    log = Log.open(bureau.folder / "log", bureau.root.log_origin, read_key(bureau.folder / "keys/log.json"), clock)
    try:
        with pytest.raises(LogInUse):
            bureau.publish()
    finally:
        log.close()
    assert bureau.publish().version == 2


def test_a_published_directory_that_is_gone_does_not_begin_the_versions_anew(bureau, office, clock):
    bureau.publish()
    held = adopted(bureau, None, clock)
    bureau.publish()
    bureau.public.unlink()
    clock.forward(20)
    assert bureau.publish().version == 3
    assert adopted(bureau, held, clock).version == 3


@pytest.mark.parametrize("place", ["public/directory.json", "granted.json", "drafted.json"])
@pytest.mark.parametrize("held", [b"", b"{", b"\xff\xfe"])
def test_a_file_of_the_bureau_that_is_spoilt_is_named(bureau, office, place, held):
    bureau.publish()
    (bureau.folder / place).write_bytes(held)
    with pytest.raises(BureauInvalid, match=Path(place).name):
        bureau.publish()


@pytest.mark.parametrize("held", [b"", b"{}", b'{"body": {}}', b"\xff"])
def test_a_root_that_is_spoilt_is_named(bureau, clock, held):
    (bureau.folder / "root.json").write_bytes(held)
    with pytest.raises(BureauInvalid, match=r"root\.json"):
        Bureau(bureau.folder, clock)


def test_the_log_tells_when_a_key_began_when_it_was_revoked_and_when_it_was_struck(bureau, office, clock):
    bureau.publish()
    bureau.publish()
    id, begins, ends = office.approval.id, stamp(NOON - DAY), stamp(NOON + DAY)
    bureau.put(office.key_entry(office.approval, "approval", begins, ends, stamp(NOON - 5)))
    bureau.publish()
    bureau.remove("key", id)
    clock.forward(60)
    bureau.publish()
    told = [one["body"] for one in log_of(bureau, clock) if one["kind"] == "key"]
    same = {"key": id, "member": CIVIL_AFFAIRS, "role": "approval"}
    assert told == [
        same | {"change": "begun", "at": begins},
        same | {"change": "revoked", "at": stamp(NOON - 5)},
        same | {"change": "ended", "at": stamp(NOON + 60)},
    ]
