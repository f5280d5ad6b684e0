"""Members and seed parties of the demonstration."""

from datetime import date

import pytest
from stdnum.cn import uscc

from tongban.demo.parties import members, members_on, seed_parties
from tongban.demo.registers import registers
from tongban.demo.sizes import WORLDS
from tongban.identity.identifiers import Domain, normalise


def test_credit_codes_are_good_and_of_state_organs():
    for member in members():
        assert normalise(Domain.CREDIT_CODE, member.code) == member.code
        assert member.code.startswith("11")
        assert uscc.is_valid(member.code)


def test_credit_codes_belong_to_nobody():
    for member in members():
        assert member.code[2:8] == "110199"  # a division that was never assigned
        assert member.code[8:14] == "YYYY00"
    assert len({member.code for member in members()}) == len(members())


@pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: str(world.day))
def test_every_register_has_a_member_on_the_day(world):
    nodes = {member.node for member in members_on(world.day)}
    needed = {register.node for register in registers(world).values()}
    assert needed | {"transport"} <= nodes


def test_the_tax_bureaus_became_one_on_the_day_the_old_ones_ended():
    before = {member.node for member in members_on(date(2018, 6, 14))}
    after = {member.node for member in members_on(date(2018, 6, 15))}
    assert {"local-tax", "state-tax"} <= before
    assert before - after == {"local-tax", "state-tax"}
    assert after - before == {"tax"}


def test_who_follows_whom_is_said_on_both_sides():
    by_code = {member.code: member for member in members()}
    for member in members():
        assert all(member.code in by_code[code].successors for code in member.predecessors)
        assert all(member.code in by_code[code].predecessors for code in member.successors)
        assert all(by_code[code].since == member.until for code in member.successors)


def test_seed_parties_are_marked_as_a_demonstration():
    assert [one.party for one in seed_parties()] == sorted(one.party for one in seed_parties())
    assert all("演示" in one.name and "demonstration" in one.name_en for one in seed_parties())
