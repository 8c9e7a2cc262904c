"""Symbols by floors, while they run."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trading_assets.defs.assets import STEPS

GROUPS = list(dict.fromkeys(step.group for step in STEPS.values()))
_MARKS = {"cached": "=", "built": "✓", "unchanged": "✓", "not reproduced": "≠", "failed": "✗"}
_STYLES = {"✓": "green", "=": "cyan", "≠": "yellow", "✗": "bold red"}


class Display:
    """A live table on a terminal, one line an event elsewhere.

    Parameters
    ----------
    selections : dict of str to list of str
        The steps each symbol is going to run.
    """

    def __init__(self, selections: dict[str, list[str]]) -> None:
        self.selections = selections
        self.failures: dict[str, str] = {}
        self._outcomes: dict[tuple[str, str], str] = {}
        self._now: dict[str, str] = dict.fromkeys(selections, "waiting")
        self._running: dict[str, str] = {}
        self._started: dict[tuple[str, str], float] = {}
        self._console = Console()
        self._live = Live(self._table(), console=self._console, auto_refresh=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def show(self, symbol: str, step: str, event: str, fraction: float, text: str) -> None:
        """Take up one event of a worker."""
        key = (symbol, step)
        if event == "started":
            self._started[key] = time.monotonic()
            self._running[symbol] = self._now[symbol] = step
        elif event == "waiting":
            self._now[symbol] = text
            if not self._console.is_terminal:
                self._console.print(f"{symbol}  {text}", highlight=False, soft_wrap=True)
        elif event == "running":
            self._now[symbol] = f"{fraction:.0%} {step} {text}"
        else:
            self._outcomes[key] = event
            seconds = time.monotonic() - self._started.get(key, time.monotonic())
            if event == "failed":
                self.failures.setdefault(symbol, text)
                self._now[symbol] = f"{step} failed"
            if not self._console.is_terminal:
                self._console.print(f"{symbol}  {step}  {event}  {seconds:.1f} s  {text}".rstrip())
        self._refresh()

    def finish(self, symbol: str, exit_code: int) -> None:
        """The worker of `symbol` has ended."""
        if exit_code and symbol not in self.failures:
            self.failures[symbol] = f"the worker process ended with exit code {exit_code}"
        self._now[symbol] = "failed" if symbol in self.failures else "done"
        self._refresh()

    def _refresh(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("symbol", no_wrap=True, min_width=max(map(len, self.selections), default=0))
        for group in GROUPS:
            table.add_column(group.split("_")[1][:4], justify="center", no_wrap=True, min_width=4)
        table.add_column("now", no_wrap=True)
        for symbol, now in self._now.items():
            table.add_row(symbol, *(self._cell(symbol, group) for group in GROUPS), now)
        return table

    def _cell(self, symbol: str, group: str) -> Text:
        """The floor's worst outcome once all its steps are through; `…` while they run."""
        names = [name for name in self.selections[symbol] if STEPS[name].group == group]
        if not names:
            return Text("-", "dim")
        outcomes = [self._outcomes.get((symbol, name)) for name in names]
        if "failed" in outcomes:
            mark = "✗"
        elif self._running.get(symbol) in names and None in outcomes:
            mark = "…"
        elif None in outcomes:
            mark = "·"
        else:
            marks = {_MARKS[outcome] for outcome in outcomes if outcome}
            mark = next(m for m in ("≠", "✓", "=") if m in marks)
        return Text(mark, _STYLES.get(mark, ""))
