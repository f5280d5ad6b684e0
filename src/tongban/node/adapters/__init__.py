"""Registers of every kind a department has: a closed table of adapters."""

from collections.abc import Callable
from importlib import import_module

from tongban.node.adapters.register import Bounds, Register
from tongban.node.config import RegisterConfig

#: kind in node.toml → module of this package with `connect(config, bounds) -> Register`
ADAPTERS = {"url": "sql", "postgresql": "postgres", "parquet": "files", "csv": "files", "spark": "spark"}


def connect(config: RegisterConfig, bounds: Bounds) -> Register:
    """Open a register read-only. Raises RegisterUnavailable."""
    opened: Callable[[RegisterConfig, Bounds], Register] = import_module(f"{__name__}.{ADAPTERS[config.kind]}").connect
    return opened(config, bounds)
