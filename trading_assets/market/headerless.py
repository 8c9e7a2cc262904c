"""Rows of values without column names: the lines of names that fit them, to be written by the user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from trading_assets.arrays import Floats
from trading_assets.market.meaning import find_turnover

_DATE = (
    r"((1[89]|2[0-2])\d{6}|\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](\d{4}|\d\d)"
    r"|\d\d?[- ][A-Za-z]{3}[- ]\d{2,4})"
)
_CLOCK = r"(\d\d?:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?|([01]\d|2[0-3])[0-5]\d([0-5]\d)?)"
_MOMENT = rf"{_DATE}[T ]{_CLOCK}\s?(Z|UTC|[+-]\d\d:?\d\d)?|\d{{10,19}}"
_LEAST, _MOST_LINES = 5, 4
_WITHIN = 1.5
"""High over low of most bars is less."""
_DECIDES = 0.6
"""Opens lie nearer to the close before than closes to the open before, in sum by this factor at least."""


def lines_to_write(rows: Sequence[Sequence[str]], numbers: Mapping[int, Floats], delimiter: str) -> list[str]:
    """Every line of column names that the values fit; none where they are too many or none is found.

    The high is the largest price of each row and the low the smallest; an open lies near the close before it;
    the volume is what is left, and of several what another is times the price.

    Parameters
    ----------
    rows : sequence of rows of fields
        The first of the file.
    numbers : dict of int to ndarray of shape (n_rows,)
        The columns that hold nothing but numbers.
    delimiter : str
    """
    width = len(rows[0])
    if len(rows) < _LEAST or any(len(row) != width for row in rows[:-1]):
        return []
    lines: list[str] = []
    for times in _times(rows):
        left = {place: column for place, column in numbers.items() if place not in times}
        for prices in _prices(left, _step(rows, times)):
            for volume in _volumes(left, prices):
                named = {**times, **prices, **volume}
                for place in range(width):
                    if place not in named and _is_symbol([row[place] for row in rows[:-1]]):
                        named[place] = "symbol"
                lines.append(delimiter.join(named.get(place, "other") for place in range(width)))
    return lines if len(lines) <= _MOST_LINES else []


def _times(rows: Sequence[Sequence[str]]) -> list[dict[int, str]]:
    """Where the time can be: in one column, or a date and a clock in two."""
    for place in range(len(rows[0])):
        texts = [row[place] for row in rows[:-1]]
        if _all(_MOMENT, texts):
            return [{place: "timestamp"}]
        if _all(_DATE, texts):
            clocks = [row[place + 1] if place + 1 < len(row) else "" for row in rows[:-1]]
            if not _all(_CLOCK, clocks):
                return [{place: "date"}]
            both = {place: "date", place + 1: "time"}
            return [both] if ":" in clocks[0] or len(set(texts)) < len(texts) else [both, {place: "date"}]
    return []


def _all(pattern: str, texts: Sequence[str]) -> bool:
    return all(re.fullmatch(pattern, text) for text in texts)


def _is_symbol(texts: Sequence[str]) -> bool:
    return len(set(texts)) == 1 and re.fullmatch(r"[A-Za-z][\w./^=-]*", texts[0]) is not None


def _step(rows: Sequence[Sequence[str]], times: Mapping[int, str]) -> int:
    """1 where the rows go forwards, -1 where backwards, 0 where the order of day and month decides it."""
    first, last = ([row[place] for place in times] for row in (rows[0], rows[-2]))
    steps = {(last > first) - (last < first) for first, last in (map(key, (first, last)) for key in _ORDERS)}
    return steps.pop() if len(steps) == 1 else 0


def _day_first(texts: Sequence[str]) -> list[int]:
    return _key(texts, (2, 1, 0))


def _month_first(texts: Sequence[str]) -> list[int]:
    return _key(texts, (2, 0, 1))


def _key(texts: Sequence[str], order: tuple[int, int, int]) -> list[int]:
    """Numbers of a time that sort as the times do, unless it begins with the year, in the order given."""
    numbers = [int(digits) for digits in re.findall(r"\d+", " ".join(texts))]
    if len(numbers) < 3 or numbers[0] > 31:
        return numbers
    return [*(numbers[place] for place in order), *numbers[3:]]


_ORDERS = (_day_first, _month_first)


def _prices(columns: Mapping[int, Floats], step: int) -> list[dict[int, str]]:
    """Sets of four columns of which one alone is never below the others, and one alone never above."""
    found: list[dict[int, str]] = []
    for places in combinations(columns, 4):
        values = np.stack([columns[place] for place in places])
        if not (values > 0).all() or np.median(values.max(axis=0) / values.min(axis=0)) > _WITHIN:
            continue
        highs = np.flatnonzero((values == values.max(axis=0)).all(axis=1))
        lows = np.flatnonzero((values == values.min(axis=0)).all(axis=1))
        if len(highs) != 1 or len(lows) != 1:
            continue
        high, low = places[highs[0]], places[lows[0]]
        one, other = (place for place in places if place not in {high, low})
        orders = [(one, other), (other, one)]
        distances = [_distance(columns[opens], columns[closes], step) for opens, closes in orders]
        if step and min(distances) < _DECIDES * max(distances):
            orders = [orders[int(np.argmin(distances))]]
        found += [{opens: "open", high: "high", low: "low", closes: "close"} for opens, closes in orders]
    return found


def _distance(opens: Floats, closes: Floats, step: int) -> float:
    """From each close to the open after it, in sum."""
    after, before = (opens[1:], closes[:-1]) if step >= 0 else (opens[:-1], closes[1:])
    return float(np.abs(after - before).sum())


def _volumes(columns: Mapping[int, Floats], prices: Mapping[int, str]) -> list[dict[int, str]]:
    """What can be the volume: the rest without what never changes."""
    by_name = {name: columns[place] for place, name in prices.items()}
    left = {
        place: column
        for place, column in columns.items()
        if place not in prices and not (column < 0).any() and len(np.unique(column)) > 1
    }
    turnover = find_turnover(left, by_name["low"], by_name["high"])
    if turnover is not None:
        return [{turnover.base: "volume"}]
    return [{place: "volume"} for place in left] or [{}]
