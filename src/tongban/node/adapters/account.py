"""How the node shows itself to a PostgreSQL server, and what the server's refusals mean."""

import os
import ssl
from pathlib import Path

import asyncpg

from tongban.kit.errors import TongbanError
from tongban.node.adapters.register import RegisterChanged, RegisterUnavailable, SelectRefused
from tongban.node.address import CHECKED, Server

#: A longer file holds something else.
_LONGEST = 1024


class PasswordMissing(RegisterUnavailable):
    """The place that node.toml names for a password does not hold one."""

    code = "node.register_password"
    message = "The password for register {register} cannot be used: {what}."
    remedy = "Put it alone into the file that node.toml names (mode 0600), or into the environment of the node."


def password(register: str, server: Server) -> str:
    """Empty where node.toml names none: the server knows the account otherwise. Raises PasswordMissing.

    Read for each connection: one that is changed holds from then on.
    """
    if server.password_env:
        if not (held := os.environ.get(server.password_env, "")):
            raise PasswordMissing(register=register, what=f"the environment has no {server.password_env}")
        return held
    if not server.password_file:
        return ""
    path = Path(server.password_file)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise PasswordMissing(register=register, what=f"{path.name} is open to other accounts")
            text = file.read(_LONGEST + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PasswordMissing(register=register, what=f"{path.name} cannot be read ({type(error).__name__})") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(text) > _LONGEST or "\n" in text:
        raise PasswordMissing(register=register, what=f"{path.name} is not one line with a password")
    return text


def trusted(register: str, server: Server) -> ssl.SSLContext | bool:
    """False: in clear, on this machine only. Raises RegisterUnavailable."""
    if not server.sslmode:
        return False
    try:
        found = ssl.create_default_context(cafile=server.authority or None)
    except (OSError, ssl.SSLError) as error:
        what = f"its sslrootcert cannot be used ({type(error).__name__})"
        raise RegisterUnavailable(register=register, what=what) from None
    found.check_hostname = server.sslmode == CHECKED[-1]
    return found


#: What a connection and a statement can meet; TimeoutError is an OSError.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

#: SQLSTATE or the class of it (PostgreSQL's manual, appendix A) → what is said.
_AWAY = {
    "08": "the connection to it was lost",
    "28": "the server refuses the account or its password",
    "3D000": "the server has no such database",
    "42501": "the account may not read it, or a policy hides rows from it",
    "53300": "the server has no connection left for the account",
    "53": "the server has run out of memory, disk or connections",
    "55P03": "somebody else has locked its table",
    "57014": "the server broke it off",
    "57": "the server is starting or stopping",
}
_OTHERWISE = {
    "22021": "a text in it is not of the database's encoding",
    "22P05": "a text in it cannot be told in UTF-8",
    "22": "a value in it does not fit the SELECT",
}
_NOT_THERE = ("3F", "42703", "42P01", "42883", "42704")
_REFUSED = {
    "0A": "the server does not take it as part of another SELECT",
    "25006": "it writes, and registers are only read",
    "42601": "the server cannot parse it",
}


def failed(register: str, error: Exception) -> TongbanError:
    """What happened, without what stands in the register: a server's own words may quote a value."""
    state = error.sqlstate or "" if isinstance(error, asyncpg.PostgresError) else ""
    if what := _said(_REFUSED, state):
        return SelectRefused(register=register, what=what)
    if state.startswith(_NOT_THERE):
        # These words name a table, column or function of the SELECT, and nothing else.
        return RegisterChanged(register=register, what=str(error.message).split("\n", 1)[0])  # type: ignore[attr-defined]
    if what := _said(_OTHERWISE, state):
        return RegisterChanged(register=register, what=what)
    if state.startswith("42") and state != "42501":
        return RegisterChanged(register=register, what=f"the server does not take it ({state})")
    what = _said(_AWAY, state) or f"the server does not answer ({type(error).__name__})"
    return RegisterUnavailable(register=register, what=what)


def _said(table: dict[str, str], state: str) -> str:
    return table.get(state) or table.get(state[:2], "")
