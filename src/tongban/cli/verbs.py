"""The verbs of a noun, each with what it is for and an example."""

import argparse
from collections.abc import Mapping


def add_verbs(
    parser: argparse.ArgumentParser, verbs: Mapping[str, tuple[str, str]]
) -> dict[str, argparse.ArgumentParser]:
    """A parser for each verb, by name; `verbs` says of each its purpose and one whole command."""
    action = parser.add_subparsers(dest="verb", required=True, metavar="|".join(verbs))
    return {
        verb: action.add_parser(verb, help=purpose, description=purpose, epilog=f"example:\n  {example}")
        for verb, (purpose, example) in verbs.items()
    }
