"""The live board of a round: one line a department, moving while it answers."""

import time
from types import TracebackType
from typing import Any

from tongban.cli import console
from tongban.rounds.runner import Told


class Board:
    """Shows what `tell` is told: a moving table when a person watches, plain lines otherwise, nothing for machines."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._parts: dict[tuple[str, str, str], Told] = {}
        self._began = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> "Board":
        if not self._quiet and console.watched():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self._table(), console=Console(stderr=True), refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self._table())
            self._live.stop()

    def tell(self, told: Told) -> None:
        self._parts[told.department, told.rule, told.part] = told
        if self._live is not None:
            self._live.update(self._table())
        elif not self._quiet and told.state in ("answered", "silent"):
            why = f" {told.code}" if told.code else ""
            console.note(
                f"{told.department:>20}  {told.rule:<38} {told.keys:>9,} keys  {told.state}{why}  {told.seconds:6.2f} s"
            )

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(title=f"departments asked at the same time · {time.monotonic() - self._began:.1f} s")
        for name in ("department", "asked", "answered", "keys", "seconds", ""):
            table.add_column(name, justify="left" if name in ("department", "") else "right")
        for department in sorted({key[0] for key in self._parts}):
            parts = [told for key, told in self._parts.items() if key[0] == department]
            done = [told for told in parts if told.state in ("answered", "kept")]
            silent = [told.code for told in parts if told.state == "silent"]
            slowest = max((told.seconds for told in parts), default=0.0)
            bar = "█" * round(20 * len(done) / len(parts)) if parts else ""
            table.add_row(
                department, str(len(parts)), str(len(done)), f"{sum(t.keys for t in parts):,}", f"{slowest:.2f}",
                f"[red]{silent[0]}[/red]" if silent else f"[green]{bar}[/green]",
            )  # fmt: skip
        return table
