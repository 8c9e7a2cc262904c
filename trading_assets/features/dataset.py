"""What all training reads: features, labels, weights and prices up to the border, and nothing after."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arguments import as_path, require
from trading_assets.arrays import Floats
from trading_assets.compilation import source_digest
from trading_assets.config.settings import FeatureSet, LabelSettings
from trading_assets.errors import LeakageError, NotReadyError, SchemaError
from trading_assets.features.labels import TARGETS, make_labels
from trading_assets.features.table import compute_features
from trading_assets.features.weights import average_uniqueness, return_attribution, time_decay
from trading_assets.market.bars import COLUMNS, as_bars, to_matrix
from trading_assets.market.columns import FUNDING
from trading_assets.market.sessions import bars_per_year
from trading_assets.registry.artifacts import BuildResult, Recipe
from trading_assets.registry.digests import digest_json
from trading_assets.registry.store import ArtifactStore
from trading_assets.registry.tables import digest_table, read_table, write_table
from trading_assets.representation import one_line

METHOD = 3
"""Raised when the same bars and settings give another dataset."""
_SPANS = ("label_start", "label_end")
_STATIONARITY_ROWS, _STATIONARITY_LAGS = 5_000, 12


@dataclass(frozen=True)
class Dataset:
    """One row a bar; a row's number is the bar's position, also in labels, eras and folds.

    Attributes
    ----------
    frame : DataFrame
        Bars, features, targets, `label_start`, `label_end` and `weight`.
    feature_names : tuple of str
    warm_up : int
        Rows at the start in which a feature may be NaN.
    periods_per_year : float
        Bars a year in this market, by which every figure of any part of it is annualized; see
        `market.sessions.bars_per_year`.

    Examples
    --------
    See `DatasetBuilder`.
    """

    frame: pd.DataFrame
    feature_names: tuple[str, ...]
    warm_up: int
    periods_per_year: float

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def bars(self) -> Floats:
        """Shape (n_bars, 7), as the simulator reads it."""
        return to_matrix(self.frame)

    @property
    def features(self) -> pd.DataFrame:
        """Shape (n_bars, n_features), float32."""
        return self.frame[list(self.feature_names)]

    @property
    def label_start(self) -> NDArray[np.int64]:
        """First bar of each row's label."""
        return self.frame["label_start"].to_numpy()

    @property
    def label_end(self) -> NDArray[np.int64]:
        """Last bar that each row's label depends on."""
        return self.frame["label_end"].to_numpy()

    def target(self, name: str) -> Floats:
        """`direction`, `high_variance` or `forward_return`, shape (n_bars,); NaN where it is not known.

        Raises
        ------
        SchemaError
            For another name.
        """
        if name not in TARGETS:
            raise SchemaError(f"There is no target {name!r}; expected one of {', '.join(TARGETS)}.")
        return self.frame[name].to_numpy()

    def sample_weight(self, rows: NDArray[np.int64], *, oldest: float = 1.0) -> Floats:
        """Weights of `rows` with mean 1, their age counted among these rows only; 0 without a label.

        Parameters
        ----------
        rows : ndarray of int
            What is fitted, in order of time.
        oldest : float
            Factor of the oldest row, see `weights.time_decay`.
        """
        uniqueness = average_uniqueness(self.label_start, self.label_end, len(self))[rows]
        weight = np.nan_to_num(self.frame["weight"].to_numpy()[rows]) * time_decay(uniqueness, oldest)
        return np.asarray(weight / weight.mean(), dtype=np.float64)

    @cached_property
    def digest(self) -> str:
        """Of all rows and names, and of the bars a year."""
        return digest_json([digest_table(self.frame), self.periods_per_year])

    def __repr__(self) -> str:
        times = self.frame["timestamp"]
        span = f" from {times.iloc[0]} to {times.iloc[-1]}" if len(self) else ""
        return f"Dataset({len(self):,} bars{span}, {len(self.feature_names)} features)"

    def write(self, folder: Path | str) -> None:
        """Write rows and names to `folder`, which need not be there yet."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_table(self.frame, folder / "dataset.parquet")
        about = {
            "feature_names": self.feature_names,
            "warm_up": self.warm_up,
            "periods_per_year": self.periods_per_year,
        }
        (folder / "dataset.json").write_text(json.dumps(about, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path | str) -> Dataset:
        """Read what `write` wrote."""
        folder = Path(folder)
        about = json.loads((folder / "dataset.json").read_bytes())
        frame = read_table(folder / "dataset.parquet")
        return cls(frame, tuple(about["feature_names"]), about["warm_up"], about["periods_per_year"])


def label_table(bars: pd.DataFrame, settings: LabelSettings) -> pd.DataFrame:
    """Targets, spans and weights of every bar.

    A weight counts the bars that the direction depends on, the span those of all targets. Labels that are
    missing share their bars as well: which ones are is known only at their end. Weights are not normalized,
    since that would need all rows; `Dataset.sample_weight` does it for the rows that are fitted.

    Parameters
    ----------
    bars : DataFrame
        As from `market.read_bars`.
    settings : LabelSettings

    Returns
    -------
    DataFrame with one row a bar
        `forward_return`, `direction`, `high_variance`, `label_start`, `label_end`, `weight`.

    Raises
    ------
    MarketError
        When `bars` are none.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> labels = label_table(SyntheticMarket("price", 1.0, n_bars=500).bars, LabelSettings(horizon=24))
    >>> int(labels["label_end"].iloc[0])
    25
    """
    matrix = to_matrix(bars)
    labels = make_labels(matrix, settings)
    frame = pd.DataFrame(asdict(labels)).drop(columns="direction_end")
    if settings.weights == "return":
        returns = np.diff(np.log(matrix[:, 4]), prepend=np.log(matrix[:1, 4]))
        weight = return_attribution(labels.label_start, labels.direction_end, returns)
    elif settings.weights == "uniqueness":
        weight = average_uniqueness(labels.label_start, labels.direction_end, len(matrix))
    else:
        weight = np.ones(len(matrix))
    frame["weight"] = np.where(np.isnan(labels.direction), np.nan, weight)
    return frame


def share_missing(labels: pd.DataFrame) -> float:
    """Share of labels without a direction among those whose bars are all there: the price did not move, or
    one bar reached both barriers."""
    there = labels["label_end"].to_numpy() < len(labels)
    return float(labels["direction"][there].isna().mean()) if there.any() else 0.0


def assemble(
    bars: pd.DataFrame,
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    warm_up: int,
    border: int,
    calendar: str | None = None,
) -> Dataset:
    """Join the tables row by row, cut them at `border` and forget every label that ends beyond it.

    Bars a year are counted up to the border too, with the market's `calendar` if it has one.

    Parameters
    ----------
    bars, features, labels : DataFrame
        One row a bar each; see `compute_features` and `label_table`.
    warm_up : int
        Rows at the start in which a feature may be NaN.
    border : int
        Rows that are kept.
    calendar : str, optional
        Name in exchange-calendars.

    Returns
    -------
    Dataset

    Raises
    ------
    LeakageError
        When a feature is NaN after the warm-up or the tables do not have the same rows.
    SchemaError
        When a feature is the same at all bars or the same as another one.
    NotReadyError
        When no label, or only one answer, is left.

    Examples
    --------
    >>> from trading_assets.features import FeatureSet, compute_features
    >>> from trading_assets.market import SyntheticMarket
    >>> bars = SyntheticMarket("price", 1.0, n_bars=500).bars
    >>> table = compute_features(bars, FeatureSet(timeframes=(), names=("return_1",)))
    >>> labels = label_table(bars, LabelSettings(horizon=24))
    >>> len(assemble(bars, table.frame, labels, warm_up=table.warm_up, border=400))
    400
    """
    if not len(bars) == len(features) == len(labels):
        raise LeakageError(
            f"bars, features and labels have {len(bars)}, {len(features)} and {len(labels)} rows; "
            "they must be made from the same bars."
        )
    labels = labels.copy()
    labels.loc[labels["label_end"] >= border, [*TARGETS, "weight"]] = np.nan
    parts = [part.reset_index(drop=True) for part in (as_bars(bars), features, labels)]
    frame = pd.concat(parts, axis=1).iloc[:border]
    times = pd.DatetimeIndex(frame["timestamp"]).as_unit("ns").asi8
    dataset = Dataset(frame, tuple(map(str, features.columns)), warm_up, bars_per_year(times, calendar))
    _validate(dataset)
    return dataset


def _validate(dataset: Dataset) -> None:
    usable = dataset.features.iloc[dataset.warm_up :]
    if usable.empty:
        raise NotReadyError(
            f"Not ready: {len(dataset)} bars up to the border; features need {dataset.warm_up} to warm up."
        )
    broken = usable.columns[usable.isna().any()]
    if len(broken):
        raise LeakageError(f"Features without a value after their warm-up: {', '.join(broken)}.")
    values = usable.to_numpy()
    constant = usable.columns[values.min(axis=0) == values.max(axis=0)]
    if len(constant):
        unwanted = ", ".join(f"'!{name}'" for name in constant)
        raise SchemaError(
            f"Features that are the same at every bar: {', '.join(constant)}. "
            f"Leave them out: features.names: ['*', {unwanted}]."
        )
    first_with: dict[bytes, str] = {}
    for name, column in usable.items():
        twin = first_with.setdefault(column.to_numpy().tobytes(), str(name))
        if twin != name:
            raise SchemaError(
                f"Features '{twin}' and '{name}' are the same; leave one out: "
                f"features.names: ['*', '!{name}']."
            )
    answers = np.unique(dataset.target("direction")[~np.isnan(dataset.target("direction"))])
    if len(answers) < 2:
        raise NotReadyError(
            f"Not ready: the labels of {len(dataset)} bars have {len(answers)} different answers; training "
            f"needs both, and {share_missing(dataset.frame):.0%} have none, where the price did not move. "
            "Bring more bars, or change labels.horizon."
        )


def describe(dataset: Dataset) -> dict[str, float | int | str]:
    """Span, balance and oddities of a dataset."""
    up = float(dataset.frame["direction"].mean())
    return {
        "rows": len(dataset),
        "features": len(dataset.feature_names),
        "warm-up (bars)": dataset.warm_up,
        "bars a year": dataset.periods_per_year,
        "first bar": str(dataset.frame["timestamp"].iloc[0]),
        "last bar": str(dataset.frame["timestamp"].iloc[-1]),
        "labelled rows": int(np.isfinite(dataset.target("direction")).sum()),
        "labels without a direction (share)": share_missing(dataset.frame),
        "up labels": up,
        "high-variance labels": float(dataset.frame["high_variance"].mean()),
        "class balance": "even" if 0.3 <= up <= 0.7 else "LOPSIDED: accuracy will mislead",
    }


def stationarity(dataset: Dataset) -> list[dict[str, float | str]]:
    """Augmented Dickey-Fuller test of every feature (12 lags, the last 5,000 rows), the worst first.

    A p-value above 0.05 leaves a unit root possible: such a feature's level may not come back.
    """
    from statsmodels.tsa.stattools import adfuller

    usable = dataset.features.iloc[dataset.warm_up :].iloc[-_STATIONARITY_ROWS:].astype("float64")
    rows: list[dict[str, float | str]] = []
    for name, column in usable.items():
        test = None
        if len(column) > 4 * _STATIONARITY_LAGS and np.ptp(column.to_numpy()) > 0:
            with warnings.catch_warnings():  # a pure cycle is its own lags, and says so
                warnings.simplefilter("ignore")
                test = adfuller(column.to_numpy(), _STATIONARITY_LAGS, autolag=None, result_object=True)
        statistic, p = (test.statistic, test.pvalue) if test else (np.nan, 1.0)
        verdict = "stationary" if p <= 0.05 else "unit root possible"
        rows.append({"feature": str(name), "ADF": float(statistic), "p-value": float(p), "verdict": verdict})
    return sorted(rows, key=lambda row: float(row["p-value"]), reverse=True)


@dataclass(frozen=True)
class DatasetReport:
    """How a dataset came to be.

    Attributes
    ----------
    numbers : dict
        Rows, span, balance.
    digests : dict of str to str
        Of the bars, of the settings of features and labels, and of the dataset.
    left_out : dict of str to str
        Features that the market has no input for, and why.
    stationarity : list of dict
    cache : str
        Whether the dataset was found, and why it was not.

    Examples
    --------
    See `DatasetBuilder`.
    """

    numbers: Mapping[str, float | int | str]
    digests: Mapping[str, str]
    left_out: Mapping[str, str]
    stationarity: list[dict[str, Any]]
    cache: str

    __repr__ = one_line


class DatasetBuilder:
    """From bars to a dataset, for notebooks and scripts; what was built once is found again by content.

    Parameters
    ----------
    feature_set : FeatureSet, optional
    labels : LabelSettings, optional
    calendar : str, optional
        Name in exchange-calendars, for bars that span less than a year; see `market.sessions.bars_per_year`.
    cache : Path or str, optional
        Folder that keeps datasets; without it every call builds.

    Examples
    --------
    >>> from trading_assets.features import FeatureSet
    >>> from trading_assets.market import SyntheticMarket
    >>> builder = DatasetBuilder(FeatureSet(timeframes=(), names=("return_1", "rsi_14")))
    >>> dataset, report = builder.build(SyntheticMarket("price", 1.0, n_bars=2_000).bars)
    >>> dataset.features.shape
    (2000, 2)
    """

    def __init__(
        self,
        feature_set: FeatureSet | None = None,
        labels: LabelSettings | None = None,
        *,
        calendar: str | None = None,
        cache: Path | str | None = None,
    ) -> None:
        self.feature_set = FeatureSet() if feature_set is None else feature_set
        self.labels = LabelSettings() if labels is None else labels
        require("feature_set", self.feature_set, FeatureSet)
        require("labels", self.labels, LabelSettings)
        self.calendar = calendar
        self.cache = None if cache is None else as_path("cache", cache)

    def __repr__(self) -> str:
        return one_line(self, vars(self))

    def build(
        self, bars: pd.DataFrame, *, symbol: str = "BARS", border: int | None = None
    ) -> tuple[Dataset, DatasetReport]:
        """The dataset of `bars` up to `border`; what comes later is not looked at.

        Parameters
        ----------
        bars : DataFrame
            As from `market.read_bars`.
        symbol : str
            Under which the cache keeps it.
        border : int, optional
            Bars that are taken; all without.

        Returns
        -------
        dataset : Dataset
        report : DatasetReport

        Raises
        ------
        LeakageError, SchemaError, NotReadyError
            See `assemble`.
        MarketError
            When `bars` are none; see `compute_features`.
        """
        bars = as_bars(bars)
        if border is not None and not 0 < border <= len(bars):
            raise NotReadyError(f"border is {border}; it must lie within the {len(bars)} bars.")
        names = [name for name in (*COLUMNS, *FUNDING) if name in bars]
        bars = bars[names].iloc[:border]
        if self.cache is None:
            dataset, left_out = self._make(bars)
            return dataset, self._report(bars, dataset, left_out, "not used: no cache folder was given")
        recipe = Recipe(
            category="tables",
            kind="dataset",
            symbol=symbol,
            method=METHOD,
            settings={**self._settings(), "calendar": self.calendar},
            code=source_digest(),
            inputs={"bars": digest_table(bars)},
        )

        def build(folder: Path) -> BuildResult:
            made, left = self._make(bars)
            made.write(folder)
            return BuildResult(identity=digest_json([made.digest, left]), details={"left_out": left})

        obtained = ArtifactStore(self.cache).get_or_build(recipe, {}, build)
        dataset = Dataset.read(obtained.ref.open())
        used = "used" if obtained.outcome == "cached" else "not used"
        left_out = obtained.ref.metadata["details"]["left_out"]
        return dataset, self._report(bars, dataset, left_out, f"{used}: {obtained.reason}")

    def _settings(self) -> dict[str, Any]:
        return {
            "features": self.feature_set.model_dump(mode="json"),
            "labels": self.labels.model_dump(mode="json"),
        }

    def _make(self, bars: pd.DataFrame) -> tuple[Dataset, dict[str, str]]:
        table = compute_features(bars, self.feature_set)
        labels = label_table(bars, self.labels)
        dataset = assemble(
            bars, table.frame, labels, warm_up=table.warm_up, border=len(bars), calendar=self.calendar
        )
        return dataset, dict(table.left_out)

    def _report(
        self, bars: pd.DataFrame, dataset: Dataset, left_out: Mapping[str, str], cache: str
    ) -> DatasetReport:
        return DatasetReport(
            numbers=describe(dataset),
            digests={
                "bars": digest_table(bars),
                **{name: digest_json(settings) for name, settings in self._settings().items()},
                "dataset": dataset.digest,
            },
            left_out=left_out,
            stationarity=stationarity(dataset),
            cache=cache,
        )
