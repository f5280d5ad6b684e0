"""The command line: finds the noun, loads its one file, and turns what happens into an exit status.

    0  done, or the answer is yes
    1  the answer is no
    2  something the caller wrote does not hold
    3  it could not be done

Every command takes `--json` and `--trace`, before or after its verb. Only the noun's own file is
imported, so `node run` loads neither the demo city nor the test tools.
"""

import argparse
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from tongban import __version__
from tongban.cli import console
from tongban.kit.errors import TongbanError


@dataclass(frozen=True, slots=True)
class Noun:
    """A word after `./tongban`: its file in this folder, and what it is for."""

    file: str
    purpose: str


#: The closed table of nouns, in the order a newcomer meets them.
NOUNS = {
    "up": Noun("up", "start a whole city on this machine"),
    "doctor": Noun("doctor", "look at this machine and say what would get in the way"),
    "node": Noun("node", "a department's node: make, check, refresh, run"),
    "directory": Noun("directory", "the signed list of members, keys, resources and grants"),
    "solution": Noun("solution", "check a folder that describes a matter"),
    "round": Noun("round", "many applicants at once: verify, decide, re-check, freeze, publish"),
    "draw": Noun("draw", "check a published draw from its bundle alone"),
    "log": Noun("log", "check a log; show who looked at a person's data"),
    "test": Noun("testing", "run every check of the project"),
    "bench": Noun("bench", "measure a published figure on this machine"),
}


def offered() -> dict[str, Noun]:
    """The nouns whose file is here: a package may leave some out."""
    here = Path(__file__).parent
    return {name: noun for name, noun in NOUNS.items() if (here / f"{noun.file}.py").exists()}


#: What a shell reports for a program ended by Ctrl-C, and by a reader that went away.
INTERRUPTED, READER_GONE = 130, 141


class NounFile(Protocol):
    """What a noun's file must offer. Nothing is heavy to import before `run`."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        """Describe the noun's verbs and options, each with an example in its epilog."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""


class Usage(Exception):
    """The command line itself does not hold."""


class Parser(argparse.ArgumentParser):
    """Keeps line breaks in examples, gives every verb `--json` and `--trace`, and raises instead of exiting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # A noun may say more about its own --json; the later definition wins.
        kwargs.setdefault("conflict_handler", "resolve")
        super().__init__(*args, **kwargs)
        # SUPPRESS: a verb that was not given the option must not undo what the noun was given.
        self.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer for machines")
        self.add_argument("--trace", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\n{self.format_usage().rstrip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Applications, findings, registers and logs are personal data: nobody else on this machine reads them.
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show 通办 gets question marks, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = words[: words.index("--")] if "--" in words else words
    as_json, trace = "--json" in options, "--trace" in options or bool(os.environ.get("TONGBAN_TRACE"))
    try:
        return _run(words)
    except Usage as error:
        said, _, usage = str(error).partition("\n")
        return _refuse("cli.usage", said, usage, 2, as_json)
    except TongbanError as error:
        if trace:
            traceback.print_exc()
        return _refuse(error.code, error.said(), error.advice(), error.exit_status, as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `./tongban log verify … | head`: nobody reads on; keep the interpreter from saying so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except Exception as error:
        return _unplanned(error, trace, as_json)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        console.say(overview())
        return 0
    if words[0] == "--version":
        console.say(f"tongban {__version__}")
        return 0
    noun, rest = _noun(words)
    module = load(noun)
    try:
        args = parser(noun, module).parse_args(rest, argparse.Namespace(json=False, trace=False))
    except SystemExit as leaving:  # --help has been printed
        return int(leaving.code or 0)
    return module.run(args)


def _noun(words: list[str]) -> tuple[str, list[str]]:
    """The noun and what follows; options for every command may stand before it. Raises Usage."""
    place = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    if place is None:
        raise Usage(f"no command in {' '.join(words)}\nCommands: {', '.join(offered())}")
    if words[place] not in offered():
        near = difflib.get_close_matches(words[place], offered(), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise Usage(f"there is no command {words[place]!r}.{hint}\nCommands: {', '.join(offered())}")
    return words[place], words[:place] + words[place + 1 :]


def load(noun: str) -> NounFile:
    """Import the noun's file, and nothing else."""
    return cast(NounFile, importlib.import_module(f"tongban.cli.{NOUNS[noun].file}"))


def parser(noun: str, module: NounFile) -> argparse.ArgumentParser:
    """The noun's command line; without an example of its own, it shows those of its verbs."""
    made = Parser(prog=f"./tongban {noun}", description=f"{NOUNS[noun].purpose[0].upper()}{NOUNS[noun].purpose[1:]}.")
    module.add(made)
    if not made.epilog:
        told = [line for verb in verbs(made) for line in (verb.epilog or "").splitlines() if "./tongban" in line]
        made.epilog = "\n".join(["examples:", *told])
    return made


def verbs(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Every verb below a noun, however deep."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                found += [verb, *verbs(verb)]
    return found


def overview() -> str:
    """What `./tongban` alone prints."""
    nouns = "\n".join(f"  {name:<11}{noun.purpose}" for name, noun in offered().items())
    return f"""Tongban {__version__} (通办): let data run errands instead of people.

usage: ./tongban COMMAND [--json] …

{nouns}

Each command explains itself with an example: ./tongban COMMAND --help
Exit status: 0 done or yes, 1 the answer is no, 2 wrong usage, 3 could not be done.

example:
  ./tongban up --once      a small city, every department asked, a lottery round decided"""


def _refuse(code: str, said: str, advice: str, status: int, as_json: bool) -> int:
    if as_json:
        console.emit({"code": code, "said": said, "advice": advice})
    else:
        console.note(f"{said}\n{advice}".rstrip())
    return status


def _unplanned(error: Exception, trace: bool, as_json: bool) -> int:
    """Say that nobody planned this, without the exception's own text: it may quote a person's data."""
    if trace:
        traceback.print_exception(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"
    advice = (
        "This is a mistake of the program, not yours. Run the same command with --trace and report what it prints; "
        "read it first: it may contain data."
    )
    return _refuse("cli.unplanned", f"Stopped by {type(error).__name__} at {place}.", advice, 3, as_json)


if __name__ == "__main__":
    sys.exit(main())
