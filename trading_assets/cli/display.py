"""Symbols and the groups of their assets, while they run."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trading_assets.cli.remaining import clock, seconds_left
from trading_assets.defs.assets import PIPELINE

GROUPS = list(dict.fromkeys(asset.group for asset in PIPELINE.values()))
_MARKS = {"cached": "=", "built": "✓", "unchanged": "✓", "not reproduced": "≠", "failed": "✗"}
_STYLES = {"✓": "green", "=": "cyan", "≠": "yellow", "✗": "bold red"}


def group_label(group: str) -> str:
    """The name of a group without the letter that keeps groups in the order of the flow."""
    return group.partition("_")[2]


class Display:
    """A live table on a terminal, one line an event elsewhere.

    Parameters
    ----------
    selections : dict of str to list of str
        The assets each symbol is going to run.
    at_once : int
        Symbols that run at the same time.
    """

    def __init__(self, selections: dict[str, list[str]], at_once: int) -> None:
        self.selections, self.at_once = selections, at_once
        self.failures: dict[str, str] = {}
        self._outcomes: dict[tuple[str, str], str] = {}
        self._now: dict[str, str] = dict.fromkeys(selections, "waiting")
        self._running: dict[str, tuple[str, float, float]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._ended: set[str] = set()
        self._began = time.monotonic()
        self._console = Console()
        self._live = Live(get_renderable=self._picture, console=self._console)

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
            self._live.stop()

    def show(self, symbol: str, asset: str, event: str, fraction: float, text: str) -> None:
        """Take up one event of a worker."""
        now = time.monotonic()
        name, began, _ = self._running.get(symbol, (asset, now, 0.0))
        if event == "started":
            self._running[symbol], self._now[symbol] = (asset, now, 0.0), asset
        elif event == "waiting":
            self._now[symbol] = text
            self._say(f"{symbol}  {text}")
        elif event == "running":
            self._running[symbol] = (name, began, fraction)
            self._now[symbol] = f"{fraction:.0%} {asset} {text}"
        else:
            self._running.pop(symbol, None)
            self._outcomes[symbol, asset] = event
            self._seconds[symbol, asset] = 0.0 if event == "cached" else now - began
            if event == "failed":
                self.failures.setdefault(symbol, text)
                self._now[symbol] = f"{asset} failed"
            self._say(f"{symbol}  {asset}  {event}  {now - began:.1f} s")

    def finish(self, symbol: str, failure: str) -> None:
        """The worker of `symbol` has ended, with a failure where it is not empty."""
        if failure:
            self.failures.setdefault(symbol, failure)
        self._now[symbol] = "failed" if symbol in self.failures else "done"
        self._ended.add(symbol)
        self._running.pop(symbol, None)
        self._say(f"{symbol}  {self._now[symbol]}  {self._times()}")

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _times(self) -> str:
        now = time.monotonic()
        elapsed = f"{clock(now - self._began)} elapsed"
        selections = {s: names for s, names in self.selections.items() if s not in self._ended}
        running = {
            s: (asset, now - began, share) for s, (asset, began, share) in self._running.copy().items()
        }
        left = seconds_left(selections, self._seconds.copy(), running, self.at_once) if selections else None
        return elapsed if left is None else f"{elapsed}, about {clock(left)} left"

    def _picture(self) -> Group:
        return Group(self._table(), Text(self._times(), "dim"))

    def _table(self) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("symbol", no_wrap=True, min_width=max(map(len, self.selections), default=0))
        for group in GROUPS:
            table.add_column(group_label(group)[:4], justify="center", no_wrap=True, min_width=4)
        table.add_column("now", no_wrap=True)
        for symbol, now in self._now.items():
            table.add_row(symbol, *(self._cell(symbol, group) for group in GROUPS), Text(now))
        return table

    def _cell(self, symbol: str, group: str) -> Text:
        """The group's worst outcome once all its assets are done; `…` while they run."""
        names = [name for name in self.selections[symbol] if PIPELINE[name].group == group]
        if not names:
            return Text("-", "dim")
        outcomes = [self._outcomes.get((symbol, name)) for name in names]
        if "failed" in outcomes:
            mark = "✗"
        elif self._running.get(symbol, ("",))[0] in names:
            mark = "…"
        elif None in outcomes:
            mark = "·"
        else:
            marks = {_MARKS[outcome] for outcome in outcomes if outcome}
            mark = next(m for m in ("≠", "✓", "=") if m in marks)
        return Text(mark, _STYLES.get(mark, ""))
