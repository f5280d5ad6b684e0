"""`./tongban solution check|show DIR`: a matter's folder, for whoever writes it and whoever approves it."""

import argparse
import difflib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tongban.cli import console
from tongban.cli.today import today
from tongban.kit.errors import Invalid

if TYPE_CHECKING:
    from tongban.rules.compile import CompiledRule
    from tongban.solution.package import Problem, Solution

#: Stands under a text whose digest leaves out what only the owner's node knows.
NOT_YET_SIGNED = (
    "此摘要未计入节点如何加工数据，不是所签的摘要；加 --node 节点文件夹。 "
    "This digest leaves out how the node makes the facts, and is not the one that is signed: add --node DIR."
)


class NoSolution(Invalid):
    code = "cli.no_solution"
    message = "There is no solution.yaml in {folder}."
    remedy = "Name the folder of a matter, for instance solutions/car_lottery."


class NoRule(Invalid):
    code = "cli.no_rule"
    message = "{whose} has no rule{named} in force on {at}."
    remedy = "{hint}"


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="check|show")
    check = verbs.add_parser(
        "check",
        help="say everything that is wrong with the folder; every situation runs through every engine",
        epilog="example:\n  ./tongban solution check solutions/car_lottery",
    )
    show = verbs.add_parser(
        "show",
        help="print the text that the owner of a register reads and signs",
        epilog="examples:\n"
        "  ./tongban solution show solutions/car_lottery --at 2014-06-08 --rule identity\n"
        "  ./tongban solution show solutions/car_lottery --node NODE    this node's rules, with the digests it signs",
    )
    for verb in (check, show):
        verb.add_argument("folder", type=Path, metavar="DIR")
    show.add_argument("--at", type=date.fromisoformat, metavar="DATE", help="day in force; today if left out")
    show.add_argument("--rule", metavar="NAME", help="only this one")
    show.add_argument("--node", type=Path, metavar="DIR", help="a node's folder: only what it answers")


def run(args: argparse.Namespace) -> int:
    if not (args.folder / "solution.yaml").is_file():
        raise NoSolution(folder=args.folder)
    return {"check": _check, "show": _show}[args.verb](args)


# -- check


def _check(args: argparse.Namespace) -> int:
    from tongban.solution import package

    found = sorted(package.check(args.folder), key=lambda problem: (problem.file, problem.line))
    if args.json:
        console.emit({"folder": str(args.folder), "ok": not found, "problems": [asdict(one) for one in found]})
    else:
        for problem in found:
            console.say(f"{problem.file}:{problem.line}: {problem.what}\n  {problem.remedy}")
        console.say(_closing(args.folder, found))
    return 1 if found else 0


def _closing(folder: Path, found: "list[Problem]") -> str:
    from tongban.solution.folder import read_folder

    if found:
        files = len({problem.file for problem in found})
        return f"{folder}: {_counted(len(found), 'problem')} in {_counted(files, 'file')}."
    rules = [rule for versions in read_folder(folder).rules.values() for rule in versions]
    situations = sum(len(rule.situations) for rule in rules)
    told = f"{_counted(len(rules), 'rule file')}, {_counted(situations, 'situation')} as expected in every engine"
    return f"{folder}: nothing is wrong ({told})."


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


# -- show


def _show(args: argparse.Namespace) -> int:
    from tongban.rules.render import approval_text
    from tongban.solution import package

    solution = package.load(args.folder, args.at or today())
    for number, compiled in enumerate(_compiled(solution, args)):
        text = approval_text(compiled)
        if args.json:
            facts = compiled.facts_digest or None
            console.emit({"rule": compiled.rule.id, "digest": compiled.digest, "facts_digest": facts, "text": text})
        else:
            console.say(("\n" if number else "") + text + ("" if args.node else f"\n{NOT_YET_SIGNED}\n"))
    return 0


def _compiled(solution: "Solution", args: argparse.Namespace) -> "Iterator[CompiledRule]":
    """The rules to show, in the order of their names. Raises NoRule if there is none."""
    facts = _facts_digests(args.node) if args.node else None
    served = {name: rule for name, rule in solution.rules.items() if facts is None or rule.resource in facts}
    chosen = [name for name in served if args.rule in (None, name)]
    if not chosen:
        named = f" {args.rule}" if args.rule else ""
        raise NoRule(whose=args.node or args.folder, named=named, at=solution.at, hint=_hint(args.rule, list(served)))
    for name in chosen:
        yield solution.compile(name, facts_digest=facts[solution.rules[name].resource] if facts else "")


def _facts_digests(node: Path) -> dict[str, str]:
    """How the node makes its facts, by resource."""
    from tongban.node import config

    resources = config.read(node).resources
    return {id: resource.facts.digest() for id, resource in resources.items() if resource.facts is not None}


def _hint(rule: str | None, names: list[str]) -> str:
    near = difflib.get_close_matches(rule or "", names, 1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"There are: {', '.join(names)}." if names else "Choose another day with --at, or another node."
