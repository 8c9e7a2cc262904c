"""A synthetic market of three symbols, one of them without any edge, through the whole hierarchy."""

import os
from dataclasses import replace

from trading_assets.cli.train import TrainRequest, train
from trading_assets.config.paths import MARKET_DIR, data_dir
from trading_assets.market.synthetic import SyntheticMarket

MARKETS = {
    "SYN-PRICE": SyntheticMarket("price", 1.0, seed=1),
    "SYN-MEMORY": SyntheticMarket("memory", 1.0, seed=2),
    "SYN-NOISE": SyntheticMarket("price", 0.0, seed=3),
}


def run_demo(n_bars: int, request: TrainRequest) -> int:
    """Write the market into the data folder, train, and say what the right answer was."""
    folder = data_dir() / "market"
    print(f"Writing {n_bars:,} synthetic hourly bars of {', '.join(MARKETS)} to {folder}")
    for symbol, market in MARKETS.items():
        longer = replace(market, n_bars=n_bars)
        longer.write(folder, symbol)
        print(f"  {symbol}: the best possible accuracy on the next bar is {longer.bayes_accuracy():.3f}")
    os.environ[MARKET_DIR] = str(folder)
    return train(replace(request, symbols=list(MARKETS)))
