"""Whether a Sharpe ratio survives its length, its shape, and the number of trials it was chosen from.

Sharpe ratios are per period (not annualized); skewness and raw kurtosis (3 for a normal) are of the returns.
Sources, all by Bailey and Lopez de Prado, [3] and [4] with Borwein and Zhu:
[1] The Sharpe Ratio Efficient Frontier, 2012. [2] The Deflated Sharpe Ratio, 2014.
[3] Pseudo-Mathematics and Financial Charlatanism, 2014. [4] The Probability of Backtest Overfitting, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from trading_assets.arguments import as_numbers
from trading_assets.arrays import Floats, Rows
from trading_assets.validation._arguments import (
    check_between_0_and_1,
    check_number,
    check_whole_number,
)
from trading_assets.validation.metrics import ROUNDING
from trading_assets.validation.ties import TIE, tied_for_best

NORMAL = NormalDist()
EULER = float(np.euler_gamma)
MAX_BLOCKS = 20
"""Of which half can be chosen in 184,756 ways; two more blocks make it four times as many."""
CHUNK = 1_024
"""Halves scored at a time, so that what they need stays in the processor's cache."""
CANCELLED = 1e-4
"""Share of a sum of squares below which a variance has lost too many digits to tell ties."""


def probabilistic_sharpe_ratio(
    sharpe: float, n_observations: int, *, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """The probability that the true Sharpe ratio exceeds `benchmark` ([1], equation 11; with T - 1).

    Parameters
    ----------
    sharpe, benchmark : float
        Per period.
    n_observations : int
        Returns from which `sharpe` was estimated, at least 2.
    skew, kurtosis : float
        Of the returns; kurtosis raw.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        When there are fewer than 2 observations, or the kurtosis is below what any distribution of that skew
        has (as an excess kurtosis often is).

    Examples
    --------
    >>> round(probabilistic_sharpe_ratio(0.05, 1_000), 3)
    0.943
    """
    check_whole_number("n_observations", n_observations, 2)
    check_number("sharpe", sharpe)
    check_number("benchmark", benchmark)
    distance = (sharpe - benchmark) * math.sqrt(n_observations - 1)
    deviation = math.sqrt(_variance_factor(sharpe, skew, kurtosis))
    if deviation == 0:
        return 0.5 if distance == 0 else float(distance > 0)
    return NORMAL.cdf(distance / deviation)


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """The largest Sharpe ratio to expect of `n_trials` independent trials without skill ([2], equation 1).

    Parameters
    ----------
    n_trials : int
    variance : float
        Of the trials' Sharpe ratios, in the units (per period, or a year) that the answer is wanted in.

    Returns
    -------
    float
        In the units of the square root of `variance`.

    Raises
    ------
    ValueError
        When `n_trials` is no whole number of at least 1, or `variance` is negative.

    Examples
    --------
    >>> round(expected_maximum_sharpe(100, 1.0), 2)
    2.53
    """
    check_whole_number("n_trials", n_trials, 1)
    check_number("variance", variance)
    if variance < 0:
        raise ValueError(f"variance is {variance}; expected the trials' variance, 0 or more.")
    if n_trials == 1:
        return 0.0
    quantile, further = (-NORMAL.inv_cdf(1 / (n_trials * divisor)) for divisor in (1, math.e))
    return math.sqrt(variance) * ((1 - EULER) * quantile + EULER * further)


def deflated_sharpe_ratio(
    sharpe: float,
    n_observations: int,
    *,
    n_trials: int,
    trial_variance: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """The probability that the best of `n_trials` has a true Sharpe ratio above 0 ([2], equation 2).

    `probabilistic_sharpe_ratio` against `expected_maximum_sharpe`; the same as that with one trial.

    Parameters
    ----------
    sharpe : float
        Per period.
    n_observations : int
        Returns from which `sharpe` was estimated, at least 2.
    n_trials : int
        Independent trials that the best was chosen from, itself included.
    trial_variance : float
        Of the trials' Sharpe ratios per period.
    skew, kurtosis : float
        Of the returns; kurtosis raw.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        As `probabilistic_sharpe_ratio` and `expected_maximum_sharpe`.

    Examples
    --------
    >>> round(deflated_sharpe_ratio(0.05, 1_000, n_trials=1, trial_variance=0.0), 3)
    0.943
    >>> round(deflated_sharpe_ratio(0.05, 1_000, n_trials=100, trial_variance=0.001), 3)
    0.171
    """
    benchmark = expected_maximum_sharpe(n_trials, trial_variance)
    return probabilistic_sharpe_ratio(
        sharpe, n_observations, skew=skew, kurtosis=kurtosis, benchmark=benchmark
    )


def minimum_track_record_length(
    sharpe: float,
    *,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    confidence: float = 0.95,
) -> float:
    """Observations from which on `sharpe` exceeds `benchmark` with `confidence` ([1], equation 13).

    Parameters
    ----------
    sharpe, benchmark : float
        Per period.
    skew, kurtosis : float
        Of the returns; kurtosis raw.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    float
        In periods, those that both Sharpe ratios are of; infinite where `sharpe` is not above `benchmark`.

    Raises
    ------
    ValueError
        When `confidence` is not between 0 and 1, or the kurtosis is below what any distribution of that skew
        has.

    Examples
    --------
    >>> round(minimum_track_record_length(0.1))
    273
    """
    check_between_0_and_1("confidence", confidence, "such as 0.95")
    check_number("sharpe", sharpe)
    check_number("benchmark", benchmark)
    factor = _variance_factor(sharpe, skew, kurtosis)
    if sharpe <= benchmark:
        return math.inf
    return 1 + factor * (NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def minimum_backtest_length(n_trials: int, target_sharpe: float) -> float:
    """Years below which `n_trials` without skill are expected to reach `target_sharpe` ([3], theorem 2).

    Parameters
    ----------
    n_trials : int
        Independent configurations tried.
    target_sharpe : float
        Annualized, positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When `n_trials` is no whole number of at least 1, or `target_sharpe` is not above 0.

    Examples
    --------
    >>> round(minimum_backtest_length(45, 1.0), 1)
    5.0
    """
    check_number("target_sharpe", target_sharpe)
    if target_sharpe <= 0:
        raise ValueError(f"target_sharpe is {target_sharpe}; expected an annualized Sharpe ratio above 0.")
    return (expected_maximum_sharpe(n_trials, 1.0) / target_sharpe) ** 2


@dataclass(frozen=True)
class BacktestOverfitting:
    """What choosing the best strategy in one half of the periods gave in the other half.

    Attributes
    ----------
    pbo : float
        Share of the choices whose strategy is at or below the median out of sample (logit <= 0).
    probability_of_loss : float
        Share of the choices whose strategy has a metric below 0 out of sample.
    degradation_slope : float
        Of the chosen strategy's metric out of sample regressed on that in sample: negative where the better
        backtest is the worse strategy. NaN where the metric in sample never varies.
    logits : ndarray of shape (n_choices,)
        Log odds of the chosen strategy's relative rank out of sample.
    chosen : ndarray of shape (n_choices,), int64
        The best strategy in sample; of several, the worst of them out of sample.
    in_sample, out_of_sample : ndarray of shape (n_choices,)
        The chosen strategy's metric, per period.

    Examples
    --------
    See `probability_of_backtest_overfitting`.
    """

    pbo: float
    probability_of_loss: float
    degradation_slope: float
    logits: Floats
    chosen: Rows
    in_sample: Floats
    out_of_sample: Floats


def probability_of_backtest_overfitting(
    returns: ArrayLike, *, n_blocks: int = 16, metric: str = "sharpe"
) -> BacktestOverfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation ([4]).

    Every half of the blocks is in sample once, the other half out of sample. A half's metrics follow from
    sums over its blocks, so that all halves are a few matrix products.

    What comes out depends neither on the order of the strategies nor, with Sharpe ratios, on their leverage.
    Metrics that differ by rounding alone (`ties.TIE`) are equal, and equal ones share their mean rank. Of
    strategies that are equally good in sample the worst one out of sample is chosen: where the backtest
    cannot tell them apart, nothing says that the better one would have been taken. Copies of a strategy rank
    alike, so that giving all strategies twice leaves every choice and the probability as they are.

    Parameters
    ----------
    returns : array-like of shape (n_periods, n_strategies)
        Of all strategies that were tried, not only of the good ones.
    n_blocks : int
        Even, 2 to 20; contiguous and near equal.
    metric : {"sharpe", "mean"}
        A strategy that does not vary has a Sharpe ratio of 0.

    Returns
    -------
    BacktestOverfitting

    Raises
    ------
    ValueError
        When there are fewer than 2 strategies, returns that are not finite, fewer periods than blocks (twice
        as many for a Sharpe ratio), or an odd number of blocks.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(400, 20))
    >>> found = probability_of_backtest_overfitting(noise, n_blocks=8)
    >>> len(found.logits), 0.2 < found.pbo < 0.8
    (70, True)
    """
    table = as_numbers("returns", returns)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"returns have shape {table.shape}; expected (n_periods, at least 2 strategies).")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(
            f"The return of strategy {column} in period {row} is {table[row, column]}; expected finite "
            "returns (0 where a strategy does nothing)."
        )
    if metric not in {"sharpe", "mean"}:
        raise ValueError(f"metric is {metric!r}; expected 'sharpe' or 'mean'.")
    least = 1 if metric == "mean" else 2
    most = min(MAX_BLOCKS, len(table) // least)
    check_whole_number("n_blocks", n_blocks, 2)
    if n_blocks % 2 or n_blocks > most:
        raise ValueError(
            f"n_blocks is {n_blocks}; expected an even number, 2 to {most} for {len(table)} periods."
        )
    inside = _score_halves(table, n_blocks, metric)
    # Halves come in lexicographic order, in which the last one is what the first one leaves, and so on.
    outside = inside[::-1]
    rounding = TIE * np.abs(table).mean(axis=0) if metric == "mean" else None
    parts = (slice(first, first + CHUNK) for first in range(0, len(inside), CHUNK))
    chosen, rank, reach = (
        np.concatenate(part)
        for part in zip(*(_choose(inside[rows], outside[rows], rounding) for rows in parts), strict=True)
    )
    each = np.arange(len(inside))
    in_sample, out_of_sample = inside[each, chosen], outside[each, chosen]
    logits = np.log(rank / (table.shape[1] + 1 - rank))
    deviation, answer = in_sample - in_sample.mean(), out_of_sample - out_of_sample.mean()
    varies = np.ptp(in_sample) > TIE * np.abs(in_sample).max()
    return BacktestOverfitting(
        pbo=float((logits <= 0).mean()),
        probability_of_loss=float((out_of_sample < -reach).mean()),
        degradation_slope=float(deviation @ answer / (deviation @ deviation)) if varies else math.nan,
        logits=logits,
        chosen=chosen,
        in_sample=in_sample,
        out_of_sample=out_of_sample,
    )


def bootstrap_interval(
    returns: ArrayLike,
    statistic: Callable[[Floats], float],
    *,
    confidence: float = 0.95,
    n_resamples: int = 1_000,
    block: float | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic by the stationary bootstrap (Politis and Romano, 1994).

    Parameters
    ----------
    returns : array-like of shape (n_periods,)
    statistic : callable
        Of a resampled series, in the units the interval is wanted in.
    confidence : float
        Between 0 and 1; what is left is shared by both tails.
    n_resamples : int
    block : float, optional
        Mean length of a block in periods, at least 1; by default Politis and White's (2004) estimate, as
        `arch.bootstrap.optimal_block_length` has it.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    tuple of (low, high)

    Raises
    ------
    ValueError
        When returns are not finite, fewer than 2 or not one series, or another argument is out of range.

    Examples
    --------
    >>> returns = np.random.default_rng(0).normal(0.1, 1.0, 500)
    >>> low, high = bootstrap_interval(returns, lambda sample: float(sample.mean()), n_resamples=200)
    >>> bool(low < returns.mean() < high)
    True
    """
    from arch.bootstrap import StationaryBootstrap, optimal_block_length

    series = as_numbers("returns", returns)
    if series.ndim != 1 or len(series) < 2 or not np.isfinite(series).all():
        raise ValueError(
            f"returns have shape {series.shape} and {np.count_nonzero(~np.isfinite(series))} values that are "
            "not finite; expected one series of at least 2 finite returns."
        )
    check_between_0_and_1("confidence", confidence, "such as 0.95")
    check_whole_number("n_resamples", n_resamples, 1)
    if block is None:
        # A series without variation has no estimate, and any block does for it.
        estimate = float(optimal_block_length(series)["stationary"].iloc[0]) if np.ptp(series) > 0 else 1.0
        block = max(estimate, 1.0) if math.isfinite(estimate) else 1.0
    check_number("block", block)
    if not block >= 1:
        raise ValueError(f"block is {block}; expected a mean length of at least 1 period, or None.")
    resampling = StationaryBootstrap(block, series, seed=seed)  # type: ignore[arg-type] # any mean will do
    values = resampling.apply(lambda sample: np.asarray(statistic(sample)), n_resamples)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _score_halves(table: Floats, n_blocks: int, metric: str) -> Floats:
    """The metric of every strategy in every half of the blocks, shape (n_halves, n_strategies)."""
    # A half is a number of n_blocks bits, block 0 the highest; falling numbers are lexicographic choices.
    halves = np.arange(2**n_blocks - 1, -1, -1)
    halves = halves[np.bitwise_count(halves) == n_blocks // 2]
    bits = np.arange(n_blocks - 1, -1, -1)
    # The first `longer` blocks have one period more, as numpy.array_split cuts them.
    size, longer = divmod(len(table), n_blocks)
    lengths = size + (np.arange(n_blocks) < longer)
    firsts = np.cumsum(lengths) - lengths
    means = np.add.reduceat(table, firsts) / lengths[:, None]
    # Squares are taken from a strategy's own mean: those of a large mean would cancel in the variance.
    center = table.mean(axis=0)
    within = np.add.reduceat((table - np.repeat(means, lengths, axis=0)) ** 2, firsts)
    squares = within + lengths[:, None] * (means - center) ** 2
    scores = np.empty((len(halves), table.shape[1]))
    for first in range(0, len(halves), CHUNK):
        picked = (halves[first : first + CHUNK, None] >> bits & 1).astype(float)
        count = (picked @ lengths)[:, None]
        mean = (picked * lengths) @ means / count
        if metric == "sharpe":
            square = picked @ squares / count
            variance = square - (mean - center) ** 2
            # What cancelled, as in a half through which a strategy idles, is summed from the half's own mean.
            half, strategy = np.nonzero(variance < CANCELLED * square)
            blocks = picked[half].T
            between = lengths[:, None] * (means[:, strategy] - mean[half, strategy]) ** 2
            variance[half, strategy] = (blocks * (within[:, strategy] + between)).sum(axis=0) / count[half, 0]
            varies = variance > (ROUNDING * mean) ** 2
            mean /= np.sqrt(np.where(varies, variance * count / (count - 1), np.inf))
        scores[first : first + CHUNK] = mean
    return scores


def _choose(inside: Floats, outside: Floats, rounding: Floats | None) -> tuple[Rows, Floats, Floats]:
    """The strategy that each half chooses, its rank in the other half, and how far rounding moved it there.

    `rounding` is that of every strategy's score; without it that of a Sharpe ratio, from its size.
    """
    best = inside.max(axis=1, keepdims=True)
    tied = tied_for_best(inside, TIE * (1 + np.abs(best)) if rounding is None else rounding)
    chosen = np.where(tied, outside, np.inf).argmin(axis=1)
    score = outside[np.arange(len(inside)), chosen, None]
    own = TIE * (1 + np.abs(score)) if rounding is None else rounding[chosen, None]
    reach = own + (own if rounding is None else rounding)
    below = np.count_nonzero(outside < score - reach, axis=1)
    up_to = np.count_nonzero(outside <= score + reach, axis=1)
    return chosen, (below + up_to + 1) / 2, own[:, 0]


def _variance_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    """T times the variance of a Sharpe ratio's estimate: 1 - skew SR + (kurtosis - 1) / 4 SR^2 ([1])."""
    check_number("skew", skew)
    check_number("kurtosis", kurtosis)
    least = 1 + skew**2
    if kurtosis < least * (1 - 1e-9):
        raise ValueError(
            f"kurtosis is {kurtosis} with skew {skew}; expected the raw kurtosis (3 for a normal), which is "
            f"at least 1 + skew^2 = {least:g}. Add 3 to an excess kurtosis."
        )
    return max(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2, 0.0)
