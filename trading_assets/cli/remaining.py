"""How long the assets that are left will take, judged by those that are done."""

from collections.abc import Mapping, Sequence
from statistics import fmean

TYPICAL: Mapping[str, float] = {
    "bars": 3.5,
    "features": 3.0,
    "labels": 0.7,
    "dataset": 1.5,
    "cv_folds": 0.2,
    "forecaster": 9.0,
    "calibrator": 0.4,
    "market_embeddings": 0.8,
    "ppo_agent": 12.0,
    "ppo_hybrid": 8.0,
    "policy_ensemble": 0.7,
    "policy_bundle": 3.0,
    "forecast_report": 1.2,
    "backtest_report": 2.6,
}
"""Rough seconds of each asset in the demo, of forecasters and calibrators of any kind by their last word.

Only their proportions count, until an asset itself was measured.
"""
_PACE_FROM = 0.1
"""Share of an asset from which on its own pace tells best what is left of it."""


def seconds_left(
    selections: Mapping[str, Sequence[str]],
    measured: Mapping[tuple[str, str], float],
    running: Mapping[str, tuple[str, float, float]],
    at_once: int,
) -> float | None:
    """An estimate for all symbols; None before any asset was measured.

    Parameters
    ----------
    selections : mapping of str to sequence of str
        The assets of each symbol that has not ended.
    measured : mapping of (str, str) to float
        Seconds that a symbol's asset took; 0 where it was found and not built.
    running : mapping of str to (str, float, float)
        The asset that a symbol is at, seconds since it began, and the share of it that is done.
    at_once : int
        Symbols that run at the same time.
    """
    built = {key: seconds for key, seconds in measured.items() if seconds > 0}
    if not built:
        return None
    scale = sum(built.values()) / sum(_typical(asset) for _, asset in built)

    def expected(asset: str) -> float:
        known = [seconds for (_, name), seconds in built.items() if name == asset]
        return fmean(known) if known else _typical(asset) * scale

    left = []
    for symbol, assets in selections.items():
        now, elapsed, share = running.get(symbol, ("", 0.0, 0.0))
        waiting = [asset for asset in assets if (symbol, asset) not in measured and asset != now]
        rest = elapsed / share - elapsed if share >= _PACE_FROM else max(expected(now) - elapsed, 0.0)
        left.append(sum(map(expected, waiting)) + (rest if now else 0.0))
    return max([*left, sum(left) / at_once])


def _typical(asset: str) -> float:
    return TYPICAL.get(asset) or TYPICAL.get(asset.rpartition("_")[2]) or fmean(TYPICAL.values())


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: `2:05`, `1:00:00`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
