"""The rules this node answers, compiled from what its own approval key signed in the directory."""

from dataclasses import dataclass
from datetime import date

import orjson

from tongban.exchange import grant as grants
from tongban.exchange.directory import Directory
from tongban.exchange.grant import Grant
from tongban.kit.errors import Invalid, Refused
from tongban.node.config import ResourceConfig
from tongban.rules.compile import CompiledRule, from_directory
from tongban.rules.rule import is_stale
from tongban.rules.verdict import unknown

STALE = unknown("stale_snapshot")
#: Type of an asked column in a rule → its word on the wire.
WORDS = {"text": "text", "code": "text", "int": "integer", "date": "date", "bool": "boolean"}
_NOT_SERVED = Refused("exchange.rule_not_served", "this node does not answer that rule")
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
    """Compiles once a digest; what does not come out as the approved digest is not run."""

    def __init__(self, resources: dict[str, ResourceConfig]) -> None:
        self._resources = resources
        self._compiled: dict[str, Question | Refused] = {}

    def question(self, grant: Grant, directory: Directory) -> Question | Refused:
        assert grant.rule is not None
        entry = directory.rules.get(grant.rule)
        if entry is None:
            return _NOT_SERVED
        if refused := grants.rule_refusal(grant, entry.digest):
            return refused
        found = self._compiled.get(entry.digest)
        if found is None:
            found = self._compiled[entry.digest] = self._compile(entry.digest, grant.rule, directory)
        return found

    def _compile(self, digest: str, id: str, directory: Directory) -> Question | Refused:
        entry = directory.rules[id]
        config, resource = self._resources.get(entry.resource), directory.resources.get(entry.resource)
        if config is None or config.facts is None or resource is None:
            return _NOT_SERVED
        complete = date.fromisoformat(resource.complete.as_of) if resource.complete else None
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
        return Question(id, entry.resource, compiled) if compiled.digest == digest else _NOT_COMPILED
