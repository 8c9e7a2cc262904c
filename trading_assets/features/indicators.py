"""What an indicator is: a kernel, and all that has to be known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

DAY, WEEK = 86_400, 604_800
"""Seconds."""
Span = Callable[..., float]


@dataclass(frozen=True)
class Indicator:
    """A kernel and what has to be known of it.

    Parameters
    ----------
    name, family : str
    kernel : callable
        Of a module of `features.kernels`.
    defaults : tuple of tuple of float
        Parameters of its columns in the default set; the first ones are in bars unless `spans` is False.
    formula : str
        `{0}`, `{1}` stand for the parameters.
    state : int
        float64 slots that the kernel remembers.
    memory, warm_up : callable
        From the parameters: bars before the current one that it reads, and rows at the start whose value
        is NaN.
    unit : str
    needs : {'', 'volume', 'funding', 'range', 'day', 'week'}
        What a market must have for it: volume or funding that varies, highs above lows, bars shorter than
        a day or a week.
    sequence : {'', 'odd', 'even'}
        Stationary and small enough in number to be an input of sequence models; odd if it changes its sign
        where rises become falls and falls rises.
    spans : bool
        Whether the parameters are whole numbers of bars.
    """

    name: str
    _: KW_ONLY
    family: str
    kernel: Callable[..., None]
    defaults: tuple[tuple[float, ...], ...]
    formula: str
    state: int
    memory: Span
    warm_up: Span
    unit: str = "1"
    needs: str = ""
    sequence: Literal["", "odd", "even"] = ""
    spans: bool = True


def no_bars(*_: float) -> float:
    return 0


def one_bar(*_: float) -> float:
    return 1


def window(n: float, *_: float) -> float:
    return n


def window_and_one(n: float, *_: float) -> float:
    return n + 1


def second_window(_: float, n: float, *__: float) -> float:
    return n


def second_window_and_one(_: float, n: float, *__: float) -> float:
    return n + 1
