"""The command line at a node's local door: a Unix socket that only its owner may open."""

import json
from pathlib import Path
from typing import Any

import aiohttp

from tongban.kit.errors import Refused, Unavailable
from tongban.rounds.runner import Reply

_HOST = "http://door/door/v1"
_ANSWER_SECONDS = 900


class DoorClosed(Unavailable):
    """The node behind the door does not run, or refuses this system."""

    code = "cli.door_closed"
    message = "The node's local door {socket} does not open ({what})."
    remedy = "Start the city with `./tongban up`, or the node with `./tongban node run DIR`."


class NodeDoor:
    """One opened door. `operator` is the staff number of the person who answers for every look."""

    def __init__(self, socket: Path, operator: str) -> None:
        self._socket, self._operator = socket, operator
        self._session: aiohttp.ClientSession | None = None
        self.member = ""
        self.rules: dict[str, tuple[str, str]] = {}  #: rule → digest that its owner approved, digest of its text
        self._grants: dict[tuple[str, str], str] = {}

    async def __aenter__(self) -> "NodeDoor":
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS, sock_connect=5)
        connector = aiohttp.UnixConnector(path=str(self._socket), limit=64)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        try:
            listed = await self._json("GET", "/grants")
        except BaseException:
            await self._session.close()
            raise
        self.member = listed["member"]
        self._grants = {(one["call"], one["rule"] or one["resource"]): one["id"] for one in listed["grants"]}
        matched = [one for one in listed["grants"] if one["call"] == "match"]
        self.rules = {one["rule"]: (one["rule_digest"], one["rule_text"]) for one in matched}
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def match(
        self, *, rule: str, round: str, part: str, at: str, domain: str, idempotency: str, body: bytes
    ) -> Reply | Refused:
        """Put one part of a round to the department behind `rule`."""
        grant = self._grants.get(("match", rule))
        if grant is None:
            return Refused("exchange.no_grant", f"this node has no grant to match {rule}")
        headers = {
            "tongban-grant": grant,
            "tongban-round": round,
            "tongban-part": part,
            "tongban-at": at,
            "tongban-domain": domain,
            "tongban-idempotency": idempotency,
        }
        assert self._session is not None
        try:
            async with self._session.post(f"{_HOST}/call/match", data=body, headers=self._with(headers)) as got:
                answer = await got.read()
                if got.status != 200:
                    return _refused(answer)
                return Reply(answer, json.loads(got.headers["tongban-receipt"]))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Refused("exchange.no_answer", f"the node did not answer ({type(error).__name__})")

    async def ask(self, call: str, of: str, body: dict[str, Any], *, case: str, at: str) -> tuple[int, dict[str, Any]]:
        """One `query` or `verify`: status and answer."""
        grant = self._grants.get((call, of))
        if grant is None:
            return 403, {"code": "exchange.no_grant", "reason": f"this node has no grant to {call} {of}"}
        headers = self._with({"tongban-grant": grant, "tongban-case": case, "tongban-at": at})
        assert self._session is not None
        async with self._session.post(f"{_HOST}/call/{call}", json=body, headers=headers) as got:
            return got.status, json.loads(await got.read())

    async def round_entry(self, body: dict[str, str]) -> dict[str, Any]:
        """Put a stage of a round into the node's log: origin, entry and leaf. Raises DoorClosed."""
        return await self._json("POST", "/round", body)

    def _with(self, headers: dict[str, str]) -> dict[str, str]:
        return {"tongban-operator": self._operator, **headers}

    async def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        assert self._session is not None
        try:
            async with self._session.request(method, _HOST + path, json=body, headers=self._with({})) as got:
                answer = await got.read()
                if got.status != 200:
                    raise DoorClosed(socket=self._socket.name, what=_refused(answer).reason)
                return dict(json.loads(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DoorClosed(socket=self._socket.name, what=type(error).__name__) from None


def _refused(answer: bytes) -> Refused:
    try:
        said = json.loads(answer)
        return Refused(str(said["code"]), str(said["reason"]))
    except (ValueError, KeyError, TypeError):
        return Refused("exchange.no_answer", "the node gave no readable answer")
