"""How many connections one address holds: a stranger who only connects must not take the places of all others."""

import ipaddress
from typing import Protocol


class Connection(Protocol):
    """As far as its place is concerned."""

    def displaced(self) -> None:
        """Closed at once: somebody else at the same address takes the place."""


class Connections:
    """The open connections of one server, by address."""

    def __init__(self, most: int) -> None:
        """`most`: of one address."""
        self._most = most
        #: Of each address all that are open, oldest first; True: has sent a whole message.
        self._open: dict[str, dict[Connection, bool]] = {}

    def take(self, address: str, one: Connection) -> bool:
        """Find a place for `one`; False if there is none.

        Where the address has its number, the oldest that never sent a whole message gives way. Who has asked
        something stays: else a newcomer could cut off the answers of others behind the same gateway.
        """
        there = self._open.setdefault(address, {})
        if len(there) >= self._most:
            silent = next((other for other, heard in there.items() if not heard), None)
            if silent is None:
                return False
            # Gone from here now, not when the loop tells of its end: two newcomers must not close the same one.
            del there[silent]
            silent.displaced()
        there[one] = False
        return True

    def heard(self, address: str, one: Connection) -> None:
        """`one` has sent a whole message."""
        if one in (there := self._open.get(address, {})):
            there[one] = True

    def leave(self, address: str, one: Connection) -> None:
        """`one` is closed, whether it had a place or not."""
        there = self._open.get(address, {})
        there.pop(one, None)
        if not there:
            self._open.pop(address, None)


def address_of(host: str) -> str:
    """What counts as one address: for IPv6 the /64, which a single customer holds whole."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    # A socket for both versions shows IPv4 peers like this; one /64 would hold them all.
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
