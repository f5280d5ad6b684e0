"""Where a PostgreSQL server is: what the `url` of a register in node.toml may say, and what it may not.

It never holds a password, and never leads over a network without TLS that knows whom it speaks to.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME = "postgresql://"
#: Modes of libpq under which the server's certificate is checked; the second also compares its name.
CHECKED = ("verify-ca", "verify-full")
_OPTIONS = ("host", "sslmode", "sslrootcert")


@dataclass(frozen=True, slots=True)
class Server:
    """One database, as one account sees it."""

    host: str  #: a name, an IP address, or the folder of a Unix socket
    port: int
    user: str
    database: str
    sslmode: str  #: "" (no TLS) or one of CHECKED
    authority: str  #: PEM file of the authority that signed the server's certificate; empty: the system's
    password_file: str = ""
    password_env: str = ""
    connections: int = 8  #: that look-ups may hold open


def read_address(url: str, folder: Path) -> Server:
    """Raises ValueError in words for whoever wrote it, which repeat nothing of the text."""
    try:
        parts = urlsplit(url)
        port, given = parts.port or 5432, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("the url cannot be read") from None
    if parts.password is not None:
        raise ValueError("the url holds a password: name a file with password_file, or a variable with password_env")
    if unknown := sorted(set(given) - set(_OPTIONS)):
        raise ValueError(f"the url knows only {', '.join(_OPTIONS)} after ?, and not {unknown[0]!r}")
    host, database = given.get("host") or unquote(parts.hostname or ""), unquote(parts.path.lstrip("/"))
    if not (host and parts.username and database):
        raise ValueError("the url must be postgresql://ACCOUNT@HOST:PORT/DATABASE")
    sslmode, authority = given.get("sslmode", ""), given.get("sslrootcert", "")
    if sslmode and sslmode not in CHECKED:
        raise ValueError(f"sslmode must be one of {', '.join(CHECKED)}, or left out on this machine")
    if not sslmode and not _on_this_machine(host):
        raise ValueError(f"off this machine TLS is mandatory: add ?sslmode={CHECKED[-1]}")
    place = str((folder / authority).resolve()) if authority else ""
    return Server(host, port, unquote(parts.username), database, sslmode, place)


def _on_this_machine(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
