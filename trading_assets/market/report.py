"""What reading a file of bars found: repairs, warnings, and the reason where it was rejected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trading_assets.errors import BarsRejected
from trading_assets.registry.files import replace_file
from trading_assets.representation import one_line

Reaction = Literal["repaired", "warned", "rejected"]
ROWS_KEPT = 1_000
AGAIN = "Copy or download the file again."
"""What helps where a file is damaged."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of oddity in a file.

    Attributes
    ----------
    kind : str
        For instance `exact duplicate`.
    reaction : {'repaired', 'warned', 'rejected'}
    message : str
    column : str
        Empty where no single column is meant.
    count : int
        Rows concerned.
    rows : tuple of int
        Their numbers, the first 1,000; the first row of data is 1.

    Examples
    --------
    >>> Finding(kind="exact duplicate", reaction="repaired", message="left out", count=2, rows=(5, 9)).rows
    (5, 9)
    """

    kind: str
    reaction: Reaction
    message: str
    column: str = ""
    count: int = 0
    rows: tuple[int, ...] = ()


@dataclass
class IngestReport:
    """What was read, and every finding.

    Attributes
    ----------
    file : str
    format : str
        For instance `csv, delimiter ';', gzip`.
    layout : str
        Who writes files like this one, for instance `Binance`.
    columns : dict of str to str
        From our names of columns to the file's own.
    interval_seconds : float
    rows_read, rows_kept : int
    findings : list of Finding

    Examples
    --------
    >>> report = IngestReport("BTCUSDT.csv")
    >>> report.warned("gap", "3 bars are missing", rows=[7])
    >>> report
    IngestReport(file='BTCUSDT.csv', rows_read=0, rows_kept=0, repairs=0, warnings=1)
    """

    file: str
    format: str = ""
    layout: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    interval_seconds: float = 0.0
    rows_read: int = 0
    rows_kept: int = 0
    findings: list[Finding] = field(default_factory=list)

    def __repr__(self) -> str:
        counts = {name: len(getattr(self, name)) for name in ("repairs", "warnings")}
        kept = {"rows_read": self.rows_read, "rows_kept": self.rows_kept}
        return one_line(self, {"file": self.file, **kept, **counts})

    @property
    def repairs(self) -> list[Finding]:
        """Findings that were repaired."""
        return [finding for finding in self.findings if finding.reaction == "repaired"]

    @property
    def warnings(self) -> list[Finding]:
        """Findings that were warned of."""
        return [finding for finding in self.findings if finding.reaction == "warned"]

    def repaired(self, kind: str, message: str, rows: ArrayLike = (), column: str = "") -> None:
        """Note what was repaired."""
        self._add("repaired", kind, message, rows, column)

    def warned(self, kind: str, message: str, rows: ArrayLike = (), column: str = "") -> None:
        """Note what was warned of."""
        self._add("warned", kind, message, rows, column)

    def reject(
        self,
        kind: str,
        problem: str,
        remedy: str,
        *,
        rows: ArrayLike = (),
        column: str = "",
        value: object = None,
    ) -> NoReturn:
        """Note the reason and raise `BarsRejected`: file, row, column and value, problem, remedy."""
        numbers = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        place = self.file
        if len(numbers):
            place += f", row {numbers[0]}"
        if column:
            place += f", column '{column}'"
        subject = "" if value is None else f"{_short(value)} "
        more = f" ({len(numbers)} rows have this problem)" if len(numbers) > 1 else ""
        message = f"{place}: {subject}{problem}{more}. {remedy}"
        self._add("rejected", kind, message, numbers, column)
        raise BarsRejected(message, self)

    def table(self) -> list[dict[str, Any]]:
        """The findings as rows for a person to read."""
        return [
            {
                "reaction": finding.reaction,
                "what": finding.kind,
                "rows": finding.count,
                "first rows": ", ".join(map(str, finding.rows[:5])) or "-",
                "message": finding.message,
            }
            for finding in self.findings
        ]

    def write(self, path: Path | str) -> None:
        """Write everything as JSON."""
        replace_file(Path(path), (json.dumps(asdict(self), indent=1) + "\n").encode())

    def _add(self, reaction: Reaction, kind: str, message: str, rows: ArrayLike, column: str) -> None:
        numbers = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        self.findings.append(
            Finding(
                kind=kind,
                reaction=reaction,
                message=message,
                column=column,
                count=len(numbers),
                rows=tuple(numbers[:ROWS_KEPT].tolist()),
            )
        )


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names for a sentence, cut where there are many."""
    texts = [_short(name, 40) for name in names]
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def _short(value: object, limit: int = 60) -> str:
    text = " ".join(str(value).split()) or repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def duration(nanoseconds: int | np.int64) -> str:
    """For messages: '1 d 9 h', '5 min'."""
    parts = pd.Timedelta(int(nanoseconds)).components
    units = {"d": parts.days, "h": parts.hours, "min": parts.minutes, "s": parts.seconds}
    return " ".join(f"{value} {unit}" for unit, value in units.items() if value) or "less than 1 s"
