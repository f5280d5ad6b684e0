"""`./tongban directory`: what is listed is told as it is, and what is withdrawn or revoked is gone at the next pull."""

import base64

import pytest

from tests.cli.cast import machine, told
from tests.world import CIVIL_AFFAIRS, DAY, HOUR, PROVIDER_NODE, RESOURCE, TRANSPORT
from tongban.exchange import listing
from tongban.exchange.bureau import Bureau, Office
from tongban.exchange.directory import adopt
from tongban.kit import statement
from tongban.kit.clock import MachineClock, stamp
from tongban.kit.keys import new_key

BUREAU = "11110199YYYY00119M"
GRANT = "AAAAAAAAAAAAAAAAAAAAAA"


class City:
    """A bureau's folder with two members, a resource and a grant, made with the machine's own clock."""

    def __init__(self, place, pass_phrase=None):
        self.place, self.hub = place, place / "hub"
        self.bureau = Bureau.create(self.hub, "示例市", BUREAU, MachineClock(), pass_phrase)
        self.now = MachineClock().seconds()
        self.offices = {code: Office(place / code, code, pass_phrase) for code in (CIVIL_AFFAIRS, TRANSPORT)}
        for code, office in self.offices.items():
            self.bureau.put(self.member(code, office), office.key_entry(office.approval, "approval", *self.times()))
        self.online = new_key(f"{CIVIL_AFFAIRS}.online.1")
        office = self.offices[CIVIL_AFFAIRS]
        self.bureau.put(office.key_entry(self.online, "online", *self.times()))
        self.bureau.put(self.node(office), self.resource(office), self.grant(office))
        self.bureau.publish()

    def times(self):
        return stamp(self.now - DAY), stamp(self.now + 300 * DAY)

    def member(self, code, office):
        public = base64.b64encode(office.root.public.public).decode()
        body = listing.compose(
            "member", code=code, name="民政局" if code == CIVIL_AFFAIRS else "交通委", name_en="x",
            root={"id": office.root.id, "public": public}, predecessors=[], successors=[],
            since=stamp(self.now - DAY), until=None,
        )  # fmt: skip
        return statement.sign(body, *self.bureau.root_keys())

    def node(self, office):
        body = listing.compose(
            "node", id=PROVIDER_NODE, member=CIVIL_AFFAIRS, address="http://127.0.0.1:8001", certificate=None,
            origin=f"{CIVIL_AFFAIRS}/{PROVIDER_NODE}",
        )  # fmt: skip
        return statement.sign(body, office.root)

    def resource(self, office):
        field = {"name": "status", "type": "text", "grade": 2, "mask": None}
        body = listing.compose(
            "resource", id=RESOURCE, version=1, member=CIVIL_AFFAIRS, node=PROVIDER_NODE, title="婚姻登记",
            domains=["citizen"], fields=[field], sharing="conditional", basis="婚姻登记条例", complete=None,
        )  # fmt: skip
        return office.approve(body)

    def grant(self, office, **change):
        body = {
            "id": GRANT, "consumer": TRANSPORT, "provider": CIVIL_AFFAIRS, "node": PROVIDER_NODE,
            "resource": RESOURCE, "call": "query", "fields": ["status"], "rule": None, "rule_digest": None, "rows": [],
            "purpose": "car-quota-lottery", "basis": "办法第九条",
            "quota": {"calls": 10, "persons": 10, "window_seconds": DAY}, "max_directory_age": HOUR,
            "not_before": stamp(self.now - HOUR), "expires_at": stamp(self.now + DAY), "issued_at": stamp(self.now),
        }  # fmt: skip
        return self.bureau.countersign(office.approve(listing.compose("grant", **(body | change))))

    def adopted(self, current=None):
        raw = self.bureau.public.read_bytes()
        return adopt(current, raw, self.bureau.root.digest, MachineClock().seconds())


@pytest.fixture
def city(tmp_path):
    return City(tmp_path)


# show, grants


def test_what_is_listed_is_told(city, capsys):
    status, said = told(capsys, "directory", "show", city.hub)
    assert status == 0
    for word in ("示例市", "民政局", f"{CIVIL_AFFAIRS}.online.1", RESOURCE, "grants: 1, 1 in force", "in force  True"):
        assert word in said
    assert "entries without effect: none" in said


def test_a_published_directory_is_read_by_those_who_hold_no_key(city, capsys):
    status, found = machine(capsys, "directory", "show", city.bureau.public)
    assert (status, found[0]["version"], len(found[0]["grants"])) == (0, 1, 1)
    assert "not_yet_published" not in found[0]


def test_entries_without_effect_are_told_with_the_reason(city, capsys):
    city.bureau.put(city.grant(city.offices[TRANSPORT], id="B" * 22))
    _, found = machine(capsys, "directory", "show", city.hub)
    assert found[0]["without_effect"] == [
        {"entry": f"grant {'B' * 22}", "code": "exchange.grant_unsigned_by_provider",
         "why": "the provider's approval key has not signed this grant"}
    ]  # fmt: skip
    assert found[0]["not_yet_published"] == 1


@pytest.mark.parametrize(
    ("change", "state"),
    [({}, "in force"), ({"expires_at": -HOUR / 2}, "expired"), ({"not_before": HOUR}, "not yet")],
)
def test_a_grant_s_state_is_that_of_this_moment(city, capsys, change, state):
    times = {name: stamp(city.now + seconds) for name, seconds in change.items()}
    city.bureau.put(city.grant(city.offices[CIVIL_AFFAIRS], **times))
    city.bureau.publish()
    status, found = machine(capsys, "directory", "grants", city.hub)
    assert (status, [(one["grant"], one["state"]) for one in found]) == (0, [(GRANT, state)])
    assert state in told(capsys, "directory", "grants", city.hub)[1]


def test_a_file_that_is_no_directory_is_wrong_usage(tmp_path, capsys):
    (tmp_path / "d.json").write_text("{}")
    status, found = machine(capsys, "directory", "show", tmp_path / "d.json")
    assert (status, found[0]["code"]) == (2, "cli.directory_unusable")


def test_an_altered_directory_is_not_shown(city, capsys, tmp_path):
    raw = city.bureau.public.read_bytes()
    (tmp_path / "d.json").write_bytes(raw.replace("民政局".encode(), "民族局".encode()))
    status, found = machine(capsys, "directory", "show", tmp_path / "d.json")
    assert (status, "exchange.directory_altered" in found[0]["said"]) == (2, True)


@pytest.mark.parametrize("verb", ["show", "grants", "publish"])
def test_a_folder_without_a_bureau_is_told(tmp_path, capsys, verb):
    status, found = machine(capsys, "directory", verb, tmp_path)
    assert (status, found[0]["code"]) == (2, "cli.no_bureau")


# init, publish


def test_a_bureau_is_made_once_and_publishes_what_it_lists(tmp_path, capsys):
    words = ("directory", "init", tmp_path / "hub", "--city", "示例市", "--member", BUREAU)
    status, found = machine(capsys, *words)
    assert (status, found[0]["log"]) == (0, f"{BUREAU}/hub")
    assert machine(capsys, *words)[1][0]["code"] == "exchange.bureau_exists"
    assert machine(capsys, "directory", "show", tmp_path / "hub")[1][0]["code"] == "cli.not_published"
    assert machine(capsys, "directory", "publish", tmp_path / "hub")[1][0]["version"] == 1
    assert machine(capsys, "directory", "publish", tmp_path / "hub")[1][0]["version"] == 2
    assert machine(capsys, "log", "verify", tmp_path / "hub")[1][0]["holds"] is True


def test_a_code_with_a_slip_leaves_no_half_made_folder(tmp_path, capsys):
    words = ("directory", "init", tmp_path / "hub", "--city", "示例市", "--member")
    status, found = machine(capsys, *words, BUREAU[:-1] + "7")
    assert (status, found[0]["code"]) == (2, "cli.not_a_credit_code")
    assert not (tmp_path / "hub").exists()
    assert machine(capsys, *words, BUREAU)[0] == 0


def test_sealed_keys_need_the_pass_phrase_from_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TONGBAN_PASS_PHRASE", "correct horse")
    told(capsys, "directory", "init", tmp_path / "hub", "--city", "示例市", "--member", BUREAU)
    assert '"sealed"' in (tmp_path / "hub" / "keys" / "hub.json").read_text()
    assert told(capsys, "directory", "publish", tmp_path / "hub")[0] == 0
    monkeypatch.delenv("TONGBAN_PASS_PHRASE")
    assert machine(capsys, "directory", "publish", tmp_path / "hub")[1][0]["code"] == "kit.key_file"


def test_nothing_is_published_while_an_entry_has_no_effect(city, capsys):
    before = city.bureau.public.read_bytes()
    city.bureau.put(city.grant(city.offices[TRANSPORT], id="B" * 22))
    status, found = machine(capsys, "directory", "publish", city.hub)
    assert (status, found[0]["code"]) == (2, "exchange.entry_invalid")
    assert city.bureau.public.read_bytes() == before


# withdraw


def test_a_withdrawn_grant_is_gone_from_what_a_node_adopts_next(city, capsys):
    before = city.adopted()
    assert GRANT in before.grants
    status, found = machine(capsys, "directory", "withdraw", city.hub, GRANT)
    assert (status, found[0]["withdrawn"], found[0]["version"]) == (0, GRANT, 2)
    assert GRANT not in city.adopted(before).grants


def test_a_withdrawn_grant_is_kept_aside_and_stands_in_the_hub_s_log(city, capsys):
    told(capsys, "directory", "withdraw", city.hub, GRANT)
    assert [path.name.partition("-")[0] for path in (city.hub / "struck").iterdir()] == ["grant"]
    _, found = machine(capsys, "log", "show", city.hub, "--kind", "grant")
    assert [one["body"]["grant"] for one in found] == [GRANT, ""]


def test_a_grant_that_is_not_listed_cannot_be_withdrawn(city, capsys):
    status, found = machine(capsys, "directory", "withdraw", city.hub, "C" * 22)
    assert (status, found[0]["code"]) == (2, "cli.no_such_entry")
    assert city.adopted().version == 1


# revoke


def revoke(capsys, city, key, member, *words):
    return machine(capsys, "directory", "revoke", city.hub, key, "--office", city.place / member, *words)


def test_a_revoked_online_key_is_refused_from_the_next_pull_on(city, capsys):
    status, found = revoke(capsys, city, city.online.id, CIVIL_AFFAIRS)
    assert (status, found[0]["struck"]) == (0, [])
    after = city.adopted()
    assert after.answer_key(city.online.id, PROVIDER_NODE, MachineClock().seconds()).code == "exchange.revoked_key"


def test_revoking_an_approval_key_is_published_although_what_it_signed_falls(city, capsys):
    status, found = revoke(capsys, city, f"{CIVIL_AFFAIRS}.approval.1", CIVIL_AFFAIRS)
    assert status == 0
    assert sorted(found[0]["struck"]) == [f"grant {GRANT}", f"resource {RESOURCE}"]
    assert (city.adopted().grants, city.adopted().ignored) == ({}, {})
    assert len(list((city.hub / "struck").iterdir())) == 2


def test_a_revocation_does_not_wait_for_somebody_else_s_entry_without_effect(city, capsys):
    city.bureau.put(city.grant(city.offices[TRANSPORT], id="B" * 22))
    status, found = revoke(capsys, city, city.online.id, CIVIL_AFFAIRS)
    assert (status, found[0]["struck"]) == (0, [f"grant {'B' * 22}"])


def test_an_earlier_instant_may_be_given_and_never_moved_later(city, capsys):
    early = stamp(city.now - HOUR)
    assert revoke(capsys, city, city.online.id, CIVIL_AFFAIRS, "--at", early)[1][0]["revoked_at"] == early
    assert revoke(capsys, city, city.online.id, CIVIL_AFFAIRS)[1][0]["revoked_at"] == early


@pytest.mark.parametrize("at", ["yesterday", "2999-01-01T00:00:00Z", "2014-06-09"])
def test_an_instant_that_is_none_or_lies_ahead_is_refused(city, capsys, at):
    status, found = revoke(capsys, city, city.online.id, CIVIL_AFFAIRS, "--at", at)
    assert (status, found[0]["code"]) == (2, "cli.time_unreadable")
    assert city.adopted().version == 1


def test_only_the_member_s_own_root_can_revoke(city, capsys):
    status, found = revoke(capsys, city, city.online.id, TRANSPORT)
    assert (status, found[0]["code"]) == (2, "cli.office_foreign")


def test_an_office_folder_that_is_empty_gets_no_new_keys(city, capsys):
    status, found = revoke(capsys, city, city.online.id, "nowhere")
    assert (status, found[0]["code"]) == (2, "cli.office_foreign")
    assert not (city.place / "nowhere").exists()


def test_a_key_that_is_not_listed_cannot_be_revoked(city, capsys):
    assert revoke(capsys, city, f"{TRANSPORT}.online.9", TRANSPORT)[1][0]["code"] == "cli.no_such_entry"


def test_people_are_told_what_they_did(city, capsys):
    words = ("directory", "revoke", city.hub, f"{CIVIL_AFFAIRS}.approval.1", "--office", city.place / CIVIL_AFFAIRS)
    _, said = told(capsys, *words)
    assert "2 entries have no effect any more" in said
    assert f"Key {CIVIL_AFFAIRS}.approval.1 is revoked as of" in said
    assert "Directory version 2 is published" in said
