"""The rules this node answers, compiled from what its own approval key signed in the directory."""

from dataclasses import dataclass
from datetime import date

import orjson

from tongban.exchange import grant as grants
from tongban.exchange.directory import Directory
from tongban.exchange.grant import Grant
from tongban.exchange.listing import Rule
from tongban.kit.errors import Invalid, Refused
from tongban.node.config import ResourceConfig
from tongban.rules.compile import CompiledRule, from_directory
from tongban.rules.rule import is_stale
from tongban.rules.verdict import unknown

STALE = unknown("stale_snapshot")
#: Type of an asked column in a rule → its word on the wire.
WORDS = {"text": "text", "code": "text", "int": "integer", "date": "date", "bool": "boolean"}
_NOT_SERVED = Refused("exchange.rule_not_served", "this node does not answer that rule")
_ROWS = Refused("exchange.rule_not_served", "facts have no rows: no rule is answered under a condition on rows")
_NOT_COMPILED = Refused("exchange.rule_not_granted", "the rule in the directory is not the one that was approved")


@dataclass(frozen=True, slots=True)
class Question:
    """A rule that may be answered."""

    id: str
    resource: str
    compiled: CompiledRule

    def stale(self, snapshot: date, at: date, today: date) -> bool:
        return is_stale(self.compiled.rule, snapshot, at, today)


class Questions:
    """Compiles once a digest and statement of completeness; what comes out with another digest is not run."""

    def __init__(self, resources: dict[str, ResourceConfig]) -> None:
        self._resources = resources
        self._compiled: dict[tuple[str, int, str, str | None], Question | Refused] = {}

    def question(self, grant: Grant, directory: Directory) -> Question | Refused:
        assert grant.rule is not None
        entry = directory.rules.get(grant.rule)
        if entry is None:
            return _NOT_SERVED
        if refused := grants.rule_refusal(grant, entry.digest):
            return refused
        if grant.rows:
            return _ROWS
        resource = directory.resources.get(entry.resource)
        if resource is None:
            return _NOT_SERVED
        # The owner may take his statement of completeness back: a silence that was a no is unknown from then on.
        complete = resource.complete.as_of if resource.complete else None
        place = (entry.digest, entry.version, entry.resource, complete)
        found = self._compiled.get(place)
        if found is None:
            found = self._compiled[place] = self._compile(entry, complete)
        return found

    def _compile(self, entry: Rule, as_of: str | None) -> Question | Refused:
        config = self._resources.get(entry.resource)
        if config is None or config.facts is None:
            return _NOT_SERVED
        complete = date.fromisoformat(as_of) if as_of else None
        try:
            compiled = from_directory(
                orjson.loads(entry.text),
                entry.parameters,
                entry.facts,
                facts_digest=config.facts.digest(),
                complete=complete,
            )
        except (Invalid, ValueError):
            return _NOT_COMPILED
        # Other facts, other parameters or another vocabulary make another digest: the owner approved none of them.
        return Question(entry.id, entry.resource, compiled) if compiled.digest == entry.digest else _NOT_COMPILED
