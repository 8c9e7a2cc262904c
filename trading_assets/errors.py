"""Every error a user can cause. Each message says what was given, what was expected and how to mend it."""

from __future__ import annotations

import errno
import sys


class TradingAssetsError(Exception):
    """Base of all errors raised on purpose; the command line prints its text and no traceback."""


class ArgumentError(TradingAssetsError, TypeError, ValueError):
    """A function was given what it cannot work with: of another type, or text where a number belongs."""


class SettingsError(TradingAssetsError, ValueError):
    """A setting is unknown, out of range, or of the wrong type."""


class UndeclaredError(TradingAssetsError):
    """An asset reads what it does not declare; a change of it would not be noticed."""


class MarketError(TradingAssetsError):
    """A symbol or its bars cannot be used."""


class BarsRejected(MarketError):  # noqa: N818 - what happened to the bars, not to the program
    """Bars that cannot be repaired; the message names file, row, column, value and remedy.

    `report` is the `market.IngestReport` of the file, where there is one.

    Examples
    --------
    >>> raise BarsRejected("BTCUSDT.csv, row 7, column 'close': nan is not finite.")  # doctest: +SKIP
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class NotReadyError(MarketError):
    """A symbol has too few bars for the eras it is asked to fill."""


class ArtifactError(TradingAssetsError):
    """A stored artifact is missing, incomplete, or not what its manifest says."""


class LeakageError(TradingAssetsError):
    """Something would look into the future."""


class DivergedError(TradingAssetsError):
    """A loss, weights or probabilities of a model that are not finite any more."""


class SchemaError(TradingAssetsError, ValueError):
    """Columns, or what an agent sees and does, are not those of the training; a value cannot be."""


_NO_SPACE = ("No space left on device", "database or disk is full", "disk I/O error", "Disk quota exceeded")
_NO_MEMORY = (
    "MemoryError",
    "returned NULL without setting an exception",
    "allocate memory",
    "not enough memory",
    "bad_alloc",
    "failed to map segment",
)


def explain_machine(error: BaseException) -> str | None:
    """What the machine refused, and the remedy, in one line: disk, permissions, memory, a damaged database.

    Looks through the errors that led to this one. None where it is no such thing, and a traceback is right.
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if (line := _explain(cause)) is not None:
            return " ".join(line.split())
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def _explain(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return (
            "Memory is used up, or a limit on it (ulimit -v) is too low. Train fewer symbols at once "
            "(--max-workers 1) or fewer bars, or raise the limit."
        )
    where = f" at {error.filename}" if isinstance(error, OSError) and error.filename else ""
    if any(words in text for words in _NO_SPACE):
        return (
            f"The disk is full or failing{where}. Free some space and try again; nothing half-written stays."
        )
    database = getattr(error, "orig", error)  # SQLAlchemy wraps the database's own
    sqlite3 = sys.modules.get("sqlite3")  # not imported: a Python may be without it, or have no memory for it
    if sqlite3 is not None and isinstance(database, sqlite3.DatabaseError):
        return f"A database, the ledger or one of DAGSTER_HOME, cannot be used ({database}); restore it."
    if isinstance(error, OSError) and error.errno is not None:
        return _explain_refusal(error.errno, f"{where} ({error.strerror})")
    return None


def _explain_refusal(number: int, where: str) -> str:
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"No permission{where}. Run as its owner, or set TRADING_ASSETS_DATA_DIR to a folder of your own."
        )
    if number in {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}:
        return f"No folder can be made{where}. Set TRADING_ASSETS_DATA_DIR to another one."
    return f"The system refused access{where}."
