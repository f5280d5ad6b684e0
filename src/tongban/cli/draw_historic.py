"""`./tongban draw historic POOL`: draw a round of the past again, with the generator that was published then.

It only re-checks history. A new round is drawn under a seed that nobody could know before the freeze.
"""

import argparse
from pathlib import Path
from typing import Any

from tongban.cli import console
from tongban.kit.errors import Invalid

_EXAMPLE = """examples:
  ./tongban draw historic pool.txt --quota 17600 --seed 123456
  ./tongban draw historic pool.txt --quota 17600 --seed 123456 --code 1234567890123
pool.txt has a 13-digit code a line, in the published order; a code with several balls stands in several lines.
Exit status 1 if a code that was asked for did not win. This generator only re-checks history, it never draws:
a million seeds can be tried out beforehand."""


class HistoricPool(Invalid):
    code = "cli.historic_pool"
    message = "This is nothing that the historic program could draw from: {what}."
    remedy = "Give the published pool with a 13-digit code a line, its quota, and the six digits of the seed."


def add(verbs: Any) -> None:
    purpose = "draw a round of the past again, with the generator published then; never for a new round"
    form = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("historic", help=purpose, description=purpose, epilog=_EXAMPLE, formatter_class=form)
    parser.add_argument("pool", type=Path, metavar="POOL", help="text file of the codes, in the published order")
    parser.add_argument("--quota", type=int, required=True, help="how many win")
    parser.add_argument("--seed", required=True, help="the six digits that were drawn in public")
    parser.add_argument("--code", action="append", default=[], help="say what became of this code (repeatable)")


def run(args: argparse.Namespace) -> int:
    from tongban.rounds import historic_draw

    try:
        pool = historic_draw.read_pool(args.pool)
        drawn = historic_draw.draw(pool, args.quota, historic_draw.read_seed(args.seed))
    except OSError as error:
        raise HistoricPool(what=f"the file cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise HistoricPool(what=error) from None
    told = {code: drawn.status(code) for code in args.code}
    if args.json:
        counts = {"lines": len(pool), "codes": len(set(pool)), "quota": args.quota, "gave_up": drawn.gave_up}
        console.emit({**counts, "numbers": list(drawn.numbers), "winners": list(drawn.winners), "asked": told})
    else:
        _show(drawn, told)
    return 0 if all(status == historic_draw.WON for status in told.values()) else 1


def _show(drawn: Any, told: dict[str, str]) -> None:
    lines = [f"{code}  {status}" for code, status in told.items()]
    if not told:
        lines = [f"{rank},{code}" for rank, code in enumerate(drawn.winners, 1)]
    for line in lines:
        console.say(line)
    if drawn.gave_up:
        console.note("The program of that time gave up here: ten numbers for each line were used up before the quota.")
