"""The market as agents and backtests meet it: costs, fills, accounts."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.config.settings import EnvConfig as EnvConfig
    from trading_assets.simulation.backtesting import BacktestResult as BacktestResult
    from trading_assets.simulation.backtesting import backtest as backtest
    from trading_assets.simulation.baselines import always_flat as always_flat
    from trading_assets.simulation.baselines import band_targets as band_targets
    from trading_assets.simulation.baselines import buy_and_hold as buy_and_hold
    from trading_assets.simulation.baselines import choose_band as choose_band
    from trading_assets.simulation.baselines import no_trade_band as no_trade_band
    from trading_assets.simulation.environments import TradingEnv as TradingEnv
    from trading_assets.simulation.environments import TradingVecEnv as TradingVecEnv
    from trading_assets.simulation.environments import make_env as make_env
    from trading_assets.simulation.kernel import ACCOUNT_NAMES as ACCOUNT_NAMES
    from trading_assets.simulation.kernel import COSTS as COSTS
    from trading_assets.simulation.market import Market as Market
    from trading_assets.simulation.spaces import build_action_space as build_action_space
    from trading_assets.simulation.spaces import build_observation_space as build_observation_space
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
