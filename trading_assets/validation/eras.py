"""Who may look at which bars: the border of what training knows, and the four eras before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trading_assets.errors import NotReadyError
from trading_assets.validation._arguments import check_whole_number

ERA_NAMES = ("forecaster_train", "agent_train", "validation", "test")


def border(n_bars: int, step_bars: int) -> int:
    """The number of bars that training may know: `n_bars` rounded down to whole steps.

    Parameters
    ----------
    n_bars : int
    step_bars : int
        At least 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        When `step_bars` is no whole number of at least 1.

    Examples
    --------
    >>> border(10_000, 168)
    9912
    """
    check_whole_number("step_bars", step_bars, 1, "a whole number of bars")
    return n_bars // step_bars * step_bars


@dataclass(frozen=True)
class Era:
    """Bars `start` to `stop`, the latter excluded.

    Attributes
    ----------
    start, stop : int
        Positions of bars in the dataset.

    Examples
    --------
    >>> era = Era(100, 400)
    >>> len(era), era.rows
    (300, slice(100, 400, None))
    """

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> slice:
        """Of a table with one row a bar."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Eras:
    """The four eras in order of time, with a gap before every boundary.

    Attributes
    ----------
    forecaster_train, agent_train, validation, test : Era

    Examples
    --------
    >>> eras = make_eras(
    ...     10_000, first=200, min_bars=5_000, shares=(0.5, 0.25, 0.125), label_span=25, embargo=24
    ... )
    >>> eras.test
    Era(start=8775, stop=10000)
    """

    forecaster_train: Era
    agent_train: Era
    validation: Era
    test: Era

    def to_json(self) -> dict[str, dict[str, int]]:
        """As plain numbers, by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, dict[str, int]]) -> Eras:
        """From what `to_json` gave."""
        return cls(**{name: Era(**tree[name]) for name in ERA_NAMES})


def make_eras(
    n_bars: int,
    *,
    first: int,
    min_bars: int,
    shares: tuple[float, float, float],
    label_span: int,
    embargo: int,
) -> Eras:
    """Divide the bars `first` to `n_bars` (the border) among the eras; they move and grow with it.

    The last `label_span + embargo` bars before each boundary belong to no era: a label there would
    reach into the next one, and what is close to it is too much like it.

    Parameters
    ----------
    n_bars : int
        Bars up to the border.
    first : int
        First bar whose features are complete.
    min_bars : int
        Fewer bars than this are not enough.
    shares : tuple of three floats
        Of forecaster_train, agent_train and validation; test gets the rest.
    label_span : int
        Bars from an observation to the last bar its label depends on.
    embargo : int
        Further bars left out at each boundary.

    Returns
    -------
    Eras

    Raises
    ------
    NotReadyError
        Saying how many bars are missing, or how few an era keeps.
    ValueError
        When a number of bars is no whole number, or negative.

    Examples
    --------
    >>> eras = make_eras(
    ...     10_000, first=200, min_bars=5_000, shares=(0.5, 0.25, 0.125), label_span=25, embargo=24
    ... )
    >>> eras.forecaster_train
    Era(start=200, stop=5051)
    """
    for name, bars in {"first": first, "label_span": label_span, "embargo": embargo}.items():
        check_whole_number(name, bars, 0, "a whole number of bars")
    if n_bars < min_bars:
        raise NotReadyError(
            f"Not ready: {n_bars} bars up to the border, {min_bars} are needed "
            f"(folds.min_bars); {min_bars - n_bars} are missing."
        )
    usable = n_bars - first
    lengths = [round(share * usable) for share in shares]
    starts = [first]
    for length in lengths:
        starts.append(starts[-1] + length)
    gap = label_span + embargo
    stops = [start - gap for start in starts[1:]] + [n_bars]
    eras = [Era(start, stop) for start, stop in zip(starts, stops, strict=True)]
    shortest = min(eras, key=lambda era: era.stop - era.start)
    kept = max(shortest.stop - shortest.start, 0)
    if kept < gap:
        raise NotReadyError(
            f"Not ready: with {n_bars} bars the era '{ERA_NAMES[eras.index(shortest)]}' keeps "
            f"{kept} bars after purge and embargo ({gap} bars at each boundary). "
            "Bring more bars, or lower folds.embargo or labels.horizon."
        )
    return Eras(*eras)
