"""The noun `solution`: what an author is told of a folder, and the text that an owner signs."""

import json
from pathlib import Path

import pytest

from tongban.cli import main
from tongban.node import config as node_config

SOLUTION = """
matter: parking
title: 停车证
title_en: Parking permit
kinds: [{kind: tenant, title: 承租人, title_en: Tenant}]
application: {columns: [{name: kind, type: code, codes: [tenant]}]}
subjects: [{name: subject, title: 申请人, title_en: Applicant, domains: [citizen]}]
decisions: [{kind: tenant, valid_from: 2014-01-01, all: [no_permit]}]
"""
RESOURCE = """
id: transport/permit
title: 停车证登记
title_en: Permits
domains: [citizen]
sharing: conditional
basis: 示例办法第二条
fields: [{name: permits, type: int, grade: general-2, title: 数量}]
facts: {columns: [{name: permits, type: int, low: 0, high: 9, title: 数量, title_en: Number}]}
"""
RULE = """
rule: no_permit
title: 名下没有停车证
title_en: No permit yet
resource: transport/permit
article: {text: 每人限一证, source: 示例办法第二条}
state_on: latest
max_snapshot_days: 8
met: permits = 0
no_record: unknown
reasons: []
default_reason: {code: has_permit, say: 已有, say_en: There is one}
situations:
  - {name: 没有, at: 2014-06-01, permits: 0, then: met}
  - {name: 已有一张, at: 2014-06-01, permits: 1, then: not_met, reason: has_permit}
  - {name: 不可知, at: 2014-06-01, permits: null, then: unknown, reason: missing_value}
"""
NODE = """
[node]
id = "transport"
member = "11990100TB0000028B"
port = 0
directory = "directory.json"
directory_root = "0000000000000000000000000000000000000000000000000000000000000000"
[register.permit]
csv = "permit.csv"
[resource."{resource}"]
register = "permit"
[resource."{resource}".facts]
number = "id_number"
domain = "citizen"
[[resource."{resource}".facts.source]]
rows = "SELECT id_number, permits FROM permit"
columns = ["permits amount"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "parking"
    texts = {
        "solution.yaml": SOLUTION,
        "resources/transport.permit.yaml": RESOURCE,
        "rules/no_permit@2014-01-01.yaml": RULE,
        "rules/no_permit@2021-01-01.yaml": RULE.replace("名下没有停车证", "没有有效停车证"),
    }
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text.lstrip(), encoding="utf-8")
    return place


def a_node(place: Path, resource: str = "transport/permit") -> Path:
    place.mkdir(exist_ok=True)
    (place / "node.toml").write_text(NODE.replace("{resource}", resource), encoding="utf-8")
    return place


def rule_file(folder: Path, day: str = "2014-01-01") -> Path:
    return folder / "rules" / f"no_permit@{day}.yaml"


def change(path: Path, old: str, new: str) -> int:
    """Replace `old` in a file; the number of the line where it stood."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


# -- check


def test_a_folder_that_holds_is_status_0_and_says_how_much_was_tried(folder, capsys):
    assert main.main(["solution", "check", str(folder)]) == 0
    told = capsys.readouterr().out
    assert told == f"{folder}: nothing is wrong (2 rule files, 6 situations as expected in every engine).\n"


def test_a_problem_is_told_with_its_place_and_what_to_do(folder, capsys):
    line = change(rule_file(folder), "permits: 0, then: met", "permits: 2, then: met")
    assert main.main(["solution", "check", str(folder)]) == 1
    boundary, _, place, remedy, closing = capsys.readouterr().out.splitlines()
    # The situation that guarded the boundary no longer does, and that is told too.
    assert "no situation notices if 0 becomes -1" in boundary
    assert place.startswith(f"{rule_file(folder)}:{line}: situation '没有' expects met")
    assert remedy == "  Correct the rule, or what is expected of it."
    assert closing == f"{folder}: 2 problems in 1 file."


def test_all_problems_are_told_at_once_in_the_order_of_the_files(folder, capsys):
    change(rule_file(folder, "2021-01-01"), "met: permits = 0", "met: permitz = 0")
    change(rule_file(folder), "transport/permit", "transport/licence")
    change(folder / "solution.yaml", "kind: tenant, valid_from", "kind: owner, valid_from")
    assert main.main(["solution", "check", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    places = [(problem["file"], problem["line"]) for problem in told["problems"]]
    assert {Path(file).name for file, _ in places} == {
        "no_permit@2014-01-01.yaml", "no_permit@2021-01-01.yaml", "solution.yaml",
    }  # fmt: skip
    assert places == sorted(places)


def test_a_machine_gets_one_object_also_when_nothing_is_wrong(folder, capsys):
    assert main.main(["solution", "check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(folder), "ok": True, "problems": []}


def test_every_problem_for_a_machine_has_file_line_what_and_remedy(folder, capsys):
    change(rule_file(folder), "met: permits = 0", "met: permits = 1.5")
    assert main.main(["solution", "check", str(folder), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem.keys() == {"file", "line", "what", "remedy"}


def test_a_file_that_is_no_yaml_is_a_problem_and_no_traceback(folder, capsys):
    (folder / "solution.yaml").write_text("matter: [", encoding="utf-8")
    assert main.main(["solution", "check", str(folder)]) == 1
    assert f"{folder / 'solution.yaml'}:" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_folder_without_a_solution_is_wrong_usage_and_not_a_no(tmp_path, capsys, verb):
    assert main.main(["solution", verb, str(tmp_path / "nowhere")]) == 2
    assert "There is no solution.yaml in" in capsys.readouterr().err


# -- show


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, str | None]]:
    assert main.main(["solution", "show", *words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_text_for_the_approver_holds_rule_article_reasons_and_situations(folder, capsys):
    assert main.main(["solution", "show", str(folder), "--at", "2014-06-01"]) == 0
    told = capsys.readouterr().out
    for part in ("名下没有停车证", "每人限一证", "permits = 0", "There is one", "已有一张"):
        assert part in told


@pytest.mark.parametrize(
    ("day", "version"), [("2014-01-01", "2014-01-01"), ("2020-12-31", "2014-01-01"), ("2021-01-01", "2021-01-01")]
)
def test_the_version_in_force_on_the_day_is_shown(folder, capsys, day, version):
    assert [one["rule"] for one in shown(capsys, str(folder), "--at", day)] == [f"no_permit@{version}"]


def test_without_a_day_it_is_today_s_version(folder, capsys):
    assert [one["rule"] for one in shown(capsys, str(folder))] == ["no_permit@2021-01-01"]


def test_a_misspelt_rule_is_refused_with_the_nearest_name(folder, capsys):
    assert main.main(["solution", "show", str(folder), "--rule", "no_permits"]) == 2
    assert "Did you mean 'no_permit'?" in capsys.readouterr().err


def test_a_day_on_which_nothing_is_in_force_is_refused(folder, capsys):
    assert main.main(["solution", "show", str(folder), "--at", "2013-12-31"]) == 2
    assert f"{folder} has no rule in force on 2013-12-31." in capsys.readouterr().err


def test_a_day_that_is_none_is_wrong_usage(folder, capsys):
    assert main.main(["solution", "show", str(folder), "--at", "2014-02-30"]) == 2
    assert "--at" in capsys.readouterr().err


def test_a_digest_that_leaves_out_the_node_s_facts_is_never_passed_off_as_the_signed_one(folder, capsys):
    main.main(["solution", "show", str(folder)])
    assert "不是所签的摘要" in capsys.readouterr().out
    assert [one["facts_digest"] for one in shown(capsys, str(folder))] == [None]


def test_with_the_node_s_folder_the_digest_covers_how_the_node_makes_its_facts(folder, tmp_path, capsys):
    node = a_node(tmp_path / "node")
    (without,) = shown(capsys, str(folder))
    (first,) = shown(capsys, str(folder), "--node", str(node))
    change(node / "node.toml", "permits FROM permit", "2 * permits FROM permit")
    (second,) = shown(capsys, str(folder), "--node", str(node))
    assert len({without["digest"], first["digest"], second["digest"]}) == 3
    assert str(first["digest"]) in str(first["text"])
    made = node_config.read(node).resources["transport/permit"].facts
    assert made
    assert made.digest() == second["facts_digest"] != first["facts_digest"]
    main.main(["solution", "show", str(folder), "--node", str(node)])
    assert "不是所签的摘要" not in capsys.readouterr().out


def test_a_node_s_owner_sees_only_what_that_node_answers(folder, tmp_path, capsys):
    node = a_node(tmp_path / "node", resource="transport/licence")
    assert main.main(["solution", "show", str(folder), "--node", str(node)]) == 2
    assert f"{node} has no rule in force" in capsys.readouterr().err
