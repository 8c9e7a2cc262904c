"""Times that are numbers: Unix epochs, ticks of other origins, days of spreadsheets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading_assets.market.time_column import DAY, MINUTE, UNITS, TimeColumn, Times

WALL_CLOCKS = frozenset({"MetaTrader"})
"""Layouts whose epochs count the broker's wall clock as if it were UTC."""
_DIGITS = r"^(1[89]|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d([0-5]\d(\d{3})?)?$"
"""`YYYYMMDDHHMM`, `YYYYMMDDHHMMSS`, or that with milliseconds."""
_SHORT_YEARS = r"^\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d$"
ROUNDED = (
    "rounded times",
    "is a time that was rounded to a 32-bit float, up to minutes off",
    "Write the times again, as 64-bit numbers or as ISO 8601.",
)
_SAMPLE = 1_000
"""Rows by which the form of all is chosen."""
_TICKS = {"year 1, as .NET writes them": 621_355_968 * 10**9, "1601, as Windows does": 116_444_736 * 10**9}
"""Ticks of 100 ns, by their origin: how many passed until 1970."""
_SERIALS = (18_264, 109_575)
"""Days of spreadsheets from 1950 to 2200."""
_SERIAL_OF_1970 = 25_569
_TICKS_OF_TODAY = 10 * 365 * DAY
"""Ticks of ten milli-, micro- or nanoseconds of today, taken for single ones, lie before 1980."""
_USUAL = np.array([1, 2, 3, 4, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440]) * MINUTE
"""Lengths of bars up to a day; 10, 20 and 30 minutes in longer ticks come out as others, with the warning."""
_NINE_DIGITS = 10**9 * 10**9
"""Nanoseconds until September 2001, when Unix epochs got their tenth digit."""


def calendar_digits(numbers: Any) -> Any:
    """Numbers that are dates, `YYYYMMDD` or with a time of day, as text; None where they are not."""
    values = _floats(numbers)
    sample = values[:: max(1, len(values) // _SAMPLE)]
    if any(_mostly(sample, 1800 * 10**more, 2251 * 10**more) for more in (8, 10, 13)):
        # Floats of 12 digits would be written 2.0240131e+11.
        exact = numbers.cast(pa.decimal128(38, 4), safe=False) if _is_float(numbers) else numbers
        digits = _without_point(exact)
        # As ms, 12 such digits lie in 1975 to 1977, where one epoch in 200 has a month, a day, an hour and a
        # minute; in a file of times written so, all have. 14 as ms and 17 as us lie beyond the year 2500.
        if pc.mean(pc.match_substring_regex(digits, _DIGITS)).as_py() > 0.5:
            return pc.replace_substring_regex(digits, r"^(\d{8})(\d+)$", r"\1 \2")
    return _without_point(numbers) if _mostly(sample, 1800_01_01, 2250_12_31) else None


def read_epochs(column: TimeColumn) -> tuple[Times, int, bool]:
    """Nanoseconds since 1970 of numbers, the year they count from, and whether a wall clock shows them.

    Epochs are in seconds, milli-, micro- or nanoseconds, row by row by the number of digits. Ticks of 100 ns
    and days since 1900 are known by their size too; so that nothing is taken for what it is not, ticks have
    to come out as whole minutes where nanoseconds do not.
    """
    epochs = _floats(column.values)
    if _mostly(epochs, *_SERIALS):
        bad = ~((epochs >= _SERIALS[0]) & (epochs < _SERIALS[1]))
        if bad.any():
            column.refuse(bad, "not a time", "is no day of a spreadsheet as the other times are")
        # Days in float64 are exact to a microsecond.
        times = np.round((epochs - _SERIAL_OF_1970) * 86_400_000).astype(np.int64) * UNITS["ms"]
        if (times % MINUTE != 0).any() and (epochs.astype(np.float32) == epochs).all():
            column.refuse(times % MINUTE != 0, *ROUNDED)
        message = f"times are days since 1900, as spreadsheets count them: {_from_to(times)}"
        column.report.repaired("spreadsheet days", message)
        return times, 1900, True
    bad = ~((epochs >= 1e8) & (epochs < 1e20))
    if bad.any():
        column.refuse(bad, "not a time", "is not a time (an epoch has 9 digits or more)")
    digits = np.floor(np.log10(epochs)).astype(int) + 1
    factor = np.select([digits <= 11, digits <= 14, digits <= 17], [10**9, 10**6, 10**3], 1)
    times = column.nanoseconds(epochs, factor)
    if not _is_float(column.values):  # floats lose the last digits of nanoseconds
        times = np.asarray(_integers(column) * factor, dtype=np.int64)
    _refuse_short_years(column, digits, times)
    if (factor == 1).all() and (times % MINUTE != 0).any() and (ticks := _from_ticks(column)) is not None:
        return ticks, 1, False
    if (factor < UNITS["s"]).all() and _are_other_ticks(times):
        column.refuse(
            times < _TICKS_OF_TODAY,
            "not a time",
            "is no Unix epoch: as one it makes bars of the seventies of a strange length",
        )
    found = [unit for unit, size in UNITS.items() if (factor == size).any()]
    column.report.repaired(
        "epoch",
        f"times are epochs in {' and '.join(found)}, counted from 1970: {_from_to(times)}",
        column.rows if len(found) > 1 else (),
    )
    if (times < _NINE_DIGITS).all():
        year = 1970 + int(times.max() // (365.25 * DAY))
        column.report.warned(
            "epoch",
            f"as Unix epochs all times lie before {year + 1}; if that is wrong, they count from another "
            "origin: write them as ISO 8601",
            column=column.name,
        )
    return times, 1970, column.report.layout in WALL_CLOCKS


def _from_to(times: Times) -> str:
    """For messages: a wrong origin is seen at once by a person."""
    first, last = (pd.Timestamp(int(time)) for time in (times.min(), times.max()))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def _from_ticks(column: TimeColumn) -> Times | None:
    """Ticks of 100 ns since an origin under which all of them are whole minutes, between 1970 and 2250."""
    numbers = _integers(column)
    for name, origin in _TICKS.items():
        since_1970 = numbers - origin
        if (since_1970 % (MINUTE // 100) == 0).all() and (since_1970 >= 0).all():
            times = column.nanoseconds(since_1970, 100)
            column.report.repaired("epoch", f"times are ticks of 100 ns since {name}")
            return times
    return None


def _are_other_ticks(times: Times) -> bool:
    """Whether these can be longer ticks of today: in the seventies, a tenth of a usual bar apart."""
    if len(times) < 3 or (times >= _TICKS_OF_TODAY).any() or (times % (MINUTE // 10) != 0).any():
        return False
    steps = np.abs(np.diff(times))
    usual = int(np.median(steps))
    return usual not in _USUAL and usual * 10 in _USUAL


def refuse_rounded(column: TimeColumn, times: Times) -> None:
    """Epochs that went through 32-bit floats are off by up to two minutes, and nothing brings them back.

    Later they may have become 64-bit numbers, dates or text.
    """
    first = times[:_SAMPLE]
    if len(np.unique(first)) < 3 or (first % MINUTE == 0).all():
        return
    for unit in UNITS.values():
        numbers = first // unit
        if (numbers * unit == first).all() and (numbers.astype(np.float32).astype(np.int64) == numbers).all():
            column.refuse(times % MINUTE != 0, *ROUNDED)


def _refuse_short_years(column: TimeColumn, digits: NDArray[np.int_], times: Times) -> None:
    """Ten digits that are all of them YYMMDDHHMM, as Unix epochs are not for more than some seconds."""
    if len(times) < 10 or not (digits[:_SAMPLE] == 10).all():
        return
    first = column.values.slice(0, _SAMPLE)
    if pc.all(pc.match_substring_regex(_without_point(first), _SHORT_YEARS)).as_py():
        column.refuse(
            np.ones(len(times), dtype=bool),
            "not a time",
            f"can be YYMMDDHHMM, or a Unix epoch in seconds ({pd.Timestamp(int(times[0]))} UTC)",
            "Write years with four digits, or write ISO 8601 with a zone.",
        )


def _integers(column: TimeColumn) -> NDArray[np.int64]:
    return np.asarray(column.values.cast(pa.int64(), safe=False).to_numpy(), dtype=np.int64)


def _floats(numbers: Any) -> NDArray[np.float64]:
    return np.asarray(numbers.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _is_float(numbers: Any) -> bool:
    return bool(pa.types.is_floating(numbers.type))


def _mostly(numbers: NDArray[np.float64], low: float, high: float) -> bool:
    return bool(np.mean((numbers >= low) & (numbers <= high)) > 0.5)


def _without_point(numbers: Any) -> Any:
    """Whole numbers as the text of their digits."""
    return pc.replace_substring_regex(numbers.cast(pa.string()), r"\.0*$", "")
