"""The finished bundle on the untouched era, beside strategies that need no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trading_assets.agents.observations import AgentData
from trading_assets.execution.loader import load_bundle
from trading_assets.registry.ledger import TrialCount
from trading_assets.reports.significance import CONFIDENCE, sharpe_statistics
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.baselines import (
    always_flat,
    buy_and_hold,
    no_trade_band,
)
from trading_assets.simulation.kernel import ACCOUNT_NAMES
from trading_assets.validation.metrics import NO_EDGE, verdict

RETURNS, HTML = "returns.parquet", "report.html"


def replay_bundle(bundle: Path, market: AgentData) -> tuple[BacktestResult, pd.DataFrame]:
    """Ask a loaded bundle for every decision of the test era.

    Returns
    -------
    result : BacktestResult
    decisions : DataFrame
        One row a bar: `bar`, every value of the observation by name, `action`. The bars that only
        warmed the policy come first, without account and action. Whoever shows these rows to the
        bundle elsewhere must get the same actions.
    """
    policy = load_bundle(bundle)
    era = market.eras.test
    features = market.table[:, : len(policy.observation_names) - len(ACCOUNT_NAMES)]
    warm_up = slice(era.start - policy.warm_up_bars, era.start)
    policy.warm_up(features[warm_up])

    result = backtest(policy, market.during(era).showing(features))
    rows = slice(warm_up.start, era.stop - 1)
    unseen = np.full((policy.warm_up_bars, len(ACCOUNT_NAMES)), np.nan, dtype=np.float32)
    observations = np.hstack([features[rows], np.concatenate([unseen, result.accounts])])
    decisions = pd.DataFrame(observations, columns=policy.observation_names)
    decisions.insert(0, "bar", np.arange(rows.start, rows.stop))
    decisions["action"] = np.concatenate([unseen[:, 0], result.asked])
    return result, decisions


def returns_table(times: pd.Series[Any], result: BacktestResult) -> pd.DataFrame:
    """What every bar earned, `strategy` net of costs and `market`: all that the HTML tear sheet needs."""
    columns = {"timestamp": times.to_numpy(), "strategy": result.returns, "market": result.market_returns}
    return pd.DataFrame(columns)


def run_baselines(market: AgentData, width: float) -> dict[str, BacktestResult]:
    """Buy-and-hold, always flat, and the no-trade band of a width."""
    test = market.during(market.eras.test)
    return {
        "no-trade band": no_trade_band(market.probability, width, test),
        "buy and hold": buy_and_hold(test),
        "always flat": always_flat(test),
    }


def compare_on_test(
    results: dict[str, BacktestResult], periods_per_year: float, tried: TrialCount, *, label_horizon: int = 1
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """One row a strategy (its name, its metrics, its verdict), and how much of the first may be luck.

    The first is the one that was chosen: its verdict needs a deflated Sharpe ratio above 95 % too.

    Parameters
    ----------
    results : dict of str to BacktestResult
    periods_per_year : float
        Bars a year.
    tried : TrialCount
        What the first was chosen among.
    label_horizon : int
        Bars; returns depend on each other for at least as long.

    Returns
    -------
    rows : list of dict
    luck : dict of str to float
        See `reports.significance.sharpe_statistics`.

    Examples
    --------
    >>> from trading_assets.market import SyntheticMarket
    >>> from trading_assets.registry.ledger import TrialCount
    >>> from trading_assets.simulation import Market
    >>> market = Market.make(SyntheticMarket("price", 1.0, n_bars=500).bars)
    >>> results = {"mine": always_flat(market), "buy and hold": buy_and_hold(market)}
    >>> rows, luck = compare_on_test(results, 8_766, TrialCount(1, ()))
    >>> rows[0]["verdict"]
    'no edge after costs'
    """
    rows = []
    for name, result in results.items():
        metrics = result.metrics(periods_per_year, label_horizon=label_horizon)
        rows.append({"strategy": name, **metrics, "verdict": verdict(metrics)})
    first = next(iter(results.values()))
    orders = int(np.count_nonzero(first.traded))
    luck = sharpe_statistics(first.returns, periods_per_year, tried, orders)
    if not luck["deflated Sharpe"] > CONFIDENCE:
        rows[0]["verdict"] = NO_EDGE
    return rows, luck
