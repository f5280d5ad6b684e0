"""A matter in which nothing is drawn: its list is shorter, and its findings are the result."""

import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.rounds import world
from tests.rounds.world import a_line, a_raw_list, a_round, decided, freeze_it, the_policy
from tongban.kit.config import FileInvalid
from tongban.rounds.applications import UNDRAWN, ListInvalid, normalised, read_raw
from tongban.rounds.folder import Stage
from tongban.rounds.policy import from_json, read_policy
from tongban.rounds.round import NotARound

HOMES = Path(__file__).parents[2] / "solutions" / "house_purchase" / "policy"
WITHOUT = {"quotas": {}, "ladder": (), "scale": "city"}


def undrawn():
    return the_policy(**WITHOUT)


def a_short_list():
    return a_raw_list([a_line(1), a_line(2)]).drop_columns(list(UNDRAWN))


def test_a_policy_without_quota_and_ladder_draws_nothing():
    policy = read_policy(HOMES, date(2026, 10, 8))
    assert (policy.draws, policy.pools, policy.limits["answer_working_days"]) == (False, (), 5)
    assert from_json(policy.to_json()) == policy
    assert the_policy().draws


@pytest.mark.parametrize("lost", ["quota.csv", "ladder.csv"])
def test_a_policy_that_lost_one_of_the_two_is_not_taken_for_one_without_a_draw(tmp_path, lost):
    folder = Path(shutil.copytree(world.POLICY, tmp_path / "policy"))
    (folder / lost).unlink()
    with pytest.raises(FileInvalid):
        read_policy(folder, world.AT)


def test_a_scale_that_has_no_quota_is_still_refused_where_something_is_drawn():
    with pytest.raises(NotARound, match="no quota"):
        a_round(policy=the_policy(quotas={}))


def test_a_round_without_a_draw_needs_no_seed_parties():
    assert a_round(policy=undrawn(), parties={}).parties == {}
    with pytest.raises(NotARound, match="two seed parties"):
        a_round(parties={})


def test_a_list_may_lack_what_nothing_is_drawn_from(tmp_path):
    pq.write_table(a_short_list(), tmp_path / "list.parquet")
    listed = read_raw(tmp_path / "list.parquet", undrawn())
    assert listed.column("failed_draws").to_pylist() == [0, 0]
    assert listed.column("handler").to_pylist() == [None, None]


@pytest.mark.parametrize("column", ["name", "document_number"])
def test_a_list_that_lacks_anything_else_is_refused(column):
    with pytest.raises(ListInvalid, match=column):
        normalised(a_short_list().drop_columns([column]), undrawn())


@pytest.mark.parametrize("column", UNDRAWN)
def test_where_something_is_drawn_no_column_may_be_missing(tmp_path, column):
    pq.write_table(a_raw_list([a_line(1)]).drop_columns([column]), tmp_path / "list.parquet")
    with pytest.raises(ListInvalid):
        read_raw(tmp_path / "list.parquet", the_policy())


def test_its_findings_are_decided_and_signed_and_there_is_no_freeze(tmp_path):
    folder = decided(tmp_path / "r", [a_line(1), a_line(2)], policy=undrawn(), parties={})
    assert freeze_it(folder, commitments={}).code == "rounds.no_draw"
    assert folder.stage is Stage.DECIDED
