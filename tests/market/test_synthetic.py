"""The synthetic market tells the truth about itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.market.bars import check_bars
from trading_assets.market.ingest import read_bars
from trading_assets.market.synthetic import Design, SyntheticMarket

DESIGNS: tuple[Design, ...] = ("price", "memory", "mixed")


@pytest.fixture(scope="module", params=DESIGNS)
def large(request: pytest.FixtureRequest) -> SyntheticMarket:
    return SyntheticMarket(request.param, 1.0, n_bars=20_000, seed=3)


def test_bars_keep_the_contract(large: SyntheticMarket) -> None:
    check_bars(large.bars, Path("synthetic"))
    assert len(large.bars) == len(large.probability) == 20_000
    assert (large.bars["volume"] > 0).all()


def test_every_bar_opens_where_the_one_before_closed(large: SyntheticMarket) -> None:
    opens, closes = large.bars["open"].to_numpy(), large.bars["close"].to_numpy()
    np.testing.assert_array_equal(opens[1:], closes[:-1])
    assert set(large.bars["timestamp"].diff().dropna()) == {pd.Timedelta(hours=1)}


@pytest.mark.parametrize("design", DESIGNS)
def test_the_same_seed_makes_the_same_bars_and_another_seed_others(design: Design) -> None:
    first, again, other = (SyntheticMarket(design, n_bars=500, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first.bars, again.bars, check_exact=True)
    np.testing.assert_array_equal(first.probability, again.probability)
    assert not first.bars["close"].equals(other.bars["close"])


def test_a_longer_market_begins_with_the_shorter_one() -> None:
    short, long = (SyntheticMarket("mixed", n_bars=n, seed=1) for n in (400, 900))
    pd.testing.assert_frame_equal(short.bars, long.bars.iloc[:400], check_exact=True)
    np.testing.assert_array_equal(short.probability, long.probability[:400])


@pytest.mark.parametrize("design", DESIGNS)
def test_without_strength_every_move_is_a_coin_toss(design: Design) -> None:
    market = SyntheticMarket(design, 0.0, n_bars=2_000, seed=5)
    np.testing.assert_array_equal(market.probability, 0.5)
    assert market.bayes_accuracy() == 0.5
    # 100 starts of 400 paths: the standard error is .5 / sqrt(100 * 400) = .0025.
    assert market.bayes_accuracy(24, n_starts=100, n_paths=400) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("design", "accuracy"), [("price", 0.635), ("memory", 0.653)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_accuracy_is_the_known_one(design: Design, accuracy: float, seed: int) -> None:
    market = SyntheticMarket(design, 1.0, n_bars=20_000, seed=seed)
    assert market.bayes_accuracy(1) == pytest.approx(accuracy, abs=0.015)


def test_more_strength_makes_more_of_the_moves_known() -> None:
    accuracies = [SyntheticMarket("price", s, n_bars=5_000, seed=2).bayes_accuracy() for s in (0, 0.5, 1, 2)]
    assert accuracies == sorted(accuracies)
    assert len(set(accuracies)) == 4


def test_a_long_horizon_is_harder_than_the_next_bar_and_easier_than_chance(
    large: SyntheticMarket,
) -> None:
    day = large.bayes_accuracy(24, n_starts=200, n_paths=400)
    # Its standard error is .5 / sqrt(200 * 400) = .0018: clearly more than luck, clearly less.
    assert 0.507 < day < large.bayes_accuracy(1) - 0.01


def test_the_known_side_comes_as_often_as_the_accuracy_says(large: SyntheticMarket) -> None:
    up = (large.bars["close"] > large.bars["open"]).to_numpy()[1:]
    hits = (large.probability[:-1] > 0.5) == up
    assert hits.mean() == pytest.approx(large.bayes_accuracy(), abs=4 * 0.5 / np.sqrt(len(up)))


def test_moves_up_come_as_often_as_their_probability_says(large: SyntheticMarket) -> None:
    up = (large.bars["close"] > large.bars["open"]).to_numpy()[1:]
    told = large.probability[:-1]
    decile = np.searchsorted(np.quantile(told, np.arange(0.1, 1, 0.1)), told)
    for d in range(10):
        rows = decile == d
        error = np.sqrt(0.25 / rows.sum())
        assert up[rows].mean() == pytest.approx(told[rows].mean(), abs=4 * error)


def test_what_is_written_is_read_back_equal(tmp_path: Path, market: SyntheticMarket) -> None:
    market.write(tmp_path, "SYN-A")
    pd.testing.assert_frame_equal(read_bars(tmp_path / "SYN-A.parquet").bars, market.bars, check_exact=True)
    truth = pd.read_parquet(tmp_path / "truth" / "SYN-A.parquet")
    np.testing.assert_array_equal(truth["probability"].to_numpy(), market.probability)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert written == {"SYN-A.parquet", "truth/SYN-A.parquet"}
