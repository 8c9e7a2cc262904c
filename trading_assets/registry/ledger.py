"""The ledger of trials: what was tried on a symbol, by which a Sharpe ratio has to be deflated.

A trial is counted when it starts, so that one that was interrupted, or crashed, counts too. The same fit
(method and seed) counts once, however often it is repeated. Nothing ever deletes from the ledger.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from trading_assets.errors import ArtifactError
from trading_assets.registry.digests import digest_json
from trading_assets.registry.files import make_folder

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""What SQLite says of a file that is no database, a broken one, or one with other columns."""
_TABLE = """
CREATE TABLE IF NOT EXISTS trials (
    symbol TEXT NOT NULL,
    target TEXT NOT NULL,
    name TEXT NOT NULL,
    method TEXT NOT NULL,
    seed INTEGER NOT NULL,
    alternatives INTEGER NOT NULL,
    sharpe REAL,
    started_at TEXT NOT NULL,
    PRIMARY KEY (symbol, target, name, method, seed)
)"""


@dataclass(frozen=True)
class TrialCount:
    """Attributes
    ----------
    n_trials : int
        Everything that could have been chosen: fits and the alternatives each looked at.
    sharpes : tuple of float
        Per bar, of the trials whose Sharpe ratio is known.
    """

    n_trials: int
    sharpes: tuple[float, ...]

    def variance(self, n_observations: int) -> float:
        """Of the Sharpe ratios; with fewer than two, that of an estimate from as many bars (1 / n)."""
        if len(self.sharpes) < 2:
            return 1.0 / max(n_observations, 1)
        return float(np.var(self.sharpes, ddof=1))

    @property
    def digest(self) -> str:
        return digest_json([self.n_trials, sorted(self.sharpes)])


class TrialLedger:
    """The trials in one SQLite file.

    Parameters
    ----------
    path : Path
        Made with its folder when the first trial starts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(
        self, symbol: str, target: str, name: str, method: str, seed: int, alternatives: int = 1
    ) -> None:
        """Count a trial, unless it was counted before; its alternatives never become fewer."""
        make_folder(self.path.parent)
        with self._open() as database:
            database.execute(
                "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, NULL, ?) ON CONFLICT DO UPDATE "
                "SET alternatives = max(alternatives, excluded.alternatives)",
                (symbol, target, name, method, seed, alternatives, datetime.now(UTC).isoformat()),
            )

    def finish(self, symbol: str, target: str, name: str, method: str, seed: int, sharpe: float) -> None:
        """Note the Sharpe ratio per bar of a trial that was started."""
        if not math.isfinite(sharpe):
            return
        with self._open() as database:
            database.execute(
                "UPDATE trials SET sharpe = ? WHERE symbol = ? AND target = ? AND name = ? AND method = ? "
                "AND seed = ?",
                (sharpe, symbol, target, name, method, seed),
            )

    def count(self, symbol: str, target: str, assets: Collection[str] | None = None) -> TrialCount:
        """What was tried on a symbol's target, by certain assets only where they are given."""
        rows = self.rows(symbol, target)
        if assets is not None:
            rows = [row for row in rows if row["name"].partition(".")[0] in assets]
        known = tuple(row["sharpe"] for row in rows if row["sharpe"] is not None)
        return TrialCount(sum(row["alternatives"] for row in rows), known)

    def rows(self, symbol: str | None = None, target: str | None = None) -> list[dict[str, Any]]:
        """The trials, of a symbol or a target only where one is given, in the order they were started."""
        if not self.path.exists():
            return []
        with self._open() as database:
            database.row_factory = sqlite3.Row
            cursor = database.execute(
                "SELECT * FROM trials WHERE symbol = coalesce(?, symbol) AND target = coalesce(?, target) "
                "ORDER BY started_at, rowid",
                (symbol, target),
            )
            return [dict(row) for row in cursor]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction; what is committed outlives a loss of power."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as database, database:
                database.execute("PRAGMA synchronous = EXTRA")
                # By whoever comes first; a reader may meet the file before its table.
                database.execute(_TABLE)
                yield database
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            raise ArtifactError(
                f"The ledger of trials {self.path} is damaged ({error}); restore it from a copy. Without it "
                "Sharpe ratios would be deflated as if nothing had been tried before."
            ) from None


@dataclass(frozen=True)
class Trials:
    """Where the trials of one asset are counted; each is a variation of the asset's own fit."""

    ledger: TrialLedger
    symbol: str
    target: str
    name: str
    method: str
    seed: int

    @contextmanager
    def trial(
        self, name: str = "", parameters: Mapping[str, Any] | None = None, alternatives: int = 1
    ) -> Iterator[Trial]:
        """Count a trial for the work inside the block, which may call `finish` on it."""
        name = f"{self.name}.{name}" if name else self.name
        method = digest_json([self.method, parameters]) if parameters else self.method
        self.ledger.start(self.symbol, self.target, name, method, self.seed, alternatives)
        yield Trial(self, name, method)


@dataclass(frozen=True)
class Trial:
    """A trial that has been counted."""

    trials: Trials
    name: str
    method: str

    def finish(self, sharpe: float, alternatives: int = 1) -> None:
        """Note the Sharpe ratio per bar of what was kept, and how many alternatives were looked at for it."""
        at = self.trials
        at.ledger.start(at.symbol, at.target, self.name, self.method, at.seed, alternatives)
        at.ledger.finish(at.symbol, at.target, self.name, self.method, at.seed, sharpe)
