"""The HTML page of a backtest: whole, offline, and in agreement with our own figures."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.config.settings import EnvConfig
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.ledger import TrialCount
from trading_assets.reports import html
from trading_assets.reports.backtest import compare_on_test
from trading_assets.reports.daily import daily_returns, days_per_year
from trading_assets.reports.drawdowns import drawdown_table
from trading_assets.reports.tearsheet import monthly_returns, tear_sheet, utc_times
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.baselines import always_flat, buy_and_hold
from trading_assets.simulation.market import Market
from trading_assets.validation.metrics import max_drawdown

PER_YEAR = 8_760
TITLE = "SYN <1h> & co"
Times = Callable[[BacktestResult], "pd.Series"]


@pytest.fixture(scope="module")
def times(market: SyntheticMarket) -> Times:
    stamps = market.bars["timestamp"]
    return lambda result: stamps.iloc[result.market.start + 1 : result.market.stop]


def some_targets(n: int, held: int = 20) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.repeat(rng.choice([-1.0, 0.0, 1.0], n // held + 1), held)[:n]


@pytest.fixture(scope="module")
def result(bars: np.ndarray) -> BacktestResult:
    world = Market.make(bars)
    return backtest(some_targets(world.n_decisions), world)


def write(path: Path, result: BacktestResult, times: Times, pictures: list[Path] | None = None) -> str:
    results = {"policy": result, "buy and hold": buy_and_hold(result.market)}
    rows, luck = compare_on_test(results, PER_YEAR, TrialCount(70, ()))
    html.write_html(
        path,
        times(result),
        result.returns,
        title=TITLE,
        strategies=rows,
        luck=luck,
        pictures=pictures or [],
        facts={"fee (bps)": 7.5},
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(result: BacktestResult, times: Times, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("html")
    names = tear_sheet(folder, times(result), result, PER_YEAR)
    return write(folder / "report.html", result, times, [folder / name for name in names])


def shown(page: str, name: str) -> str:
    """The figure under a name in the headline."""
    found = re.search(rf"<dt>{re.escape(name)}</dt><dd>(.*?)</dd>", page)
    assert found, f"no {name} on top"
    return found[1]


def test_verdict_deflated_sharpe_and_trials_stand_above_all_tables_and_pictures(page: str) -> None:
    top = page[: page.index("<h2>")]
    assert "edge after costs" in top and "deflated Sharpe" in top and ">70<" in top
    assert "<img" not in top and "<table" not in top


def test_figures_on_top_are_those_of_the_backtest(page: str, result: BacktestResult) -> None:
    metrics = result.metrics(PER_YEAR)
    assert shown(page, "net return") == f"{100 * metrics['net return']:+,.2f} %"
    assert shown(page, "Sharpe") == f"{metrics['Sharpe']:.3f}"
    assert shown(page, "deepest drawdown") == f"{100 * max_drawdown(result.returns):+,.2f} %"


def test_the_title_is_escaped(page: str) -> None:
    assert "<title>SYN &lt;1h&gt; &amp; co</title>" in page and "<1h>" not in page


def test_nothing_of_the_page_comes_from_elsewhere_and_nothing_runs(page: str) -> None:
    assert "http" not in re.sub(r"data:image/png;base64,[\w+/=]+", "", page) and "<script" not in page
    assert page.count("data:image/png;base64,") == 6


def test_every_tag_is_closed(page: str) -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in {"meta", "img"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    tags = Tags()
    tags.feed(page)
    assert tags.open == []


def test_years_are_those_of_the_monthly_table(page: str, result: BacktestResult, times: Times) -> None:
    for year, months in monthly_returns(times(result), result.returns).iterrows():
        growth = (1 + months).prod() - 1
        assert f"<tr><td>{year}</td><td>{100 * growth:+,.2f} %</td></tr>" in page


def test_equal_results_give_equal_pages(result: BacktestResult, times: Times, tmp_path: Path) -> None:
    assert write(tmp_path / "a.html", result, times) == write(tmp_path / "b.html", result, times)


def test_an_account_that_never_traded_has_no_drawdown(bars: np.ndarray, times: Times, tmp_path: Path) -> None:
    page = write(tmp_path / "flat.html", always_flat(Market.make(bars)), times)
    assert "never fell below its peak" in page and "no edge after costs" in page
    assert "nan" not in page.lower()


def test_a_ruined_account_has_lost_all(bars: np.ndarray, times: Times, tmp_path: Path) -> None:
    wild = Market.make(bars, config=EnvConfig(max_leverage=20.0, maintenance_margin=0.04))
    ruined = backtest(some_targets(wild.n_decisions, held=3), wild)
    page = write(tmp_path / "ruin.html", ruined, times)
    assert shown(page, "net return") == f"{100 * (ruined.equity[-1] - 1):+,.2f} %"


def test_a_page_that_fails_leaves_the_old_one_as_it_was(
    result: BacktestResult, times: Times, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        write(path, result, times, [tmp_path / "missing.png"])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_drawdowns_are_counted_by_bars(result: BacktestResult, times: Times) -> None:
    stamps = utc_times(times(result), len(result.returns))
    table = drawdown_table(stamps, result.returns, 1_000)
    assert table["depth"][0] == pytest.approx(max_drawdown(result.returns))
    below = result.equity[1:] < np.maximum.accumulate(result.equity)[1:]
    assert table["bars"].sum() == below.sum()
    assert (table["start"] <= table["trough"]).all() and table["depth"].is_monotonic_increasing
    assert table["recovery"].isna().sum() == int(below[-1])


def test_a_drawdown_begins_below_the_starting_capital_and_ends_at_the_peak() -> None:
    days = pd.date_range("2024-01-01", periods=5, freq="D")
    table = drawdown_table(days, np.array([-0.5, 1.0, 0.1, -0.2, 0.1]), 5)
    np.testing.assert_allclose(table["depth"], [-0.5, -0.2])
    assert table["recovery"].tolist() == [days[1], pd.NaT] and table["bars"].tolist() == [1, 2]


def test_once_all_is_lost_no_day_gains() -> None:
    stamps = pd.Series(
        pd.to_datetime(["2020-01-01 10:00", "2020-01-01 11:00", "2020-01-02 00:00", "2020-01-03 00:00"])
    )
    assert daily_returns(stamps, np.array([-3.0, -3.0, 0.5, 0.5])).tolist() == [-1.0, 0.0, 0.0]


def test_days_compound_their_bars_and_days_without_bars_are_left_out() -> None:
    stamps = pd.Series(pd.to_datetime(["2020-01-03 20:00", "2020-01-03 23:00", "2020-01-06 00:00"], utc=True))
    found = daily_returns(stamps, np.array([0.1, 0.1, -0.2]))
    assert list(found.index) == [pd.Timestamp("2020-01-03"), pd.Timestamp("2020-01-06")]
    np.testing.assert_allclose(found, [0.21, -0.2])


@pytest.mark.parametrize(
    ("stamps", "per_year", "days"),
    [
        (pd.date_range("2020-01-01 05:00", periods=500, freq="h"), 8_760, 365),
        (pd.date_range("2020-01-01", periods=500, freq="D"), 365, 365),
        (pd.bdate_range("2020-01-01", periods=500), 252, 252),
        (pd.date_range("2020-01-01", periods=50, freq="W"), 52, 52),
        (pd.date_range("2020-01-01", periods=3, freq="h"), 8_760, 365),
        (pd.date_range("2020-01-01", periods=30, freq="YE"), 1, 1),
    ],
)
def test_days_of_a_year_follow_from_bars_of_a_day(
    stamps: pd.DatetimeIndex, per_year: float, days: int
) -> None:
    assert days_per_year(pd.Series(stamps), per_year) == days


def test_hours_of_an_exchange_have_252_days_a_year() -> None:
    days = pd.bdate_range("2020-01-01", periods=100)
    stamps = pd.Series([day + pd.Timedelta(hours=hour) for day in days for hour in range(14, 21)])
    assert days_per_year(stamps, 252 * 7) == 252


def test_currencies_have_six_days_a_week() -> None:
    """The short Sunday is a day of returns like the others."""
    hours = pd.date_range("2024-01-07 22:00", "2024-06-28 20:00", freq="h")
    closed = (hours.weekday == 5) | (hours.weekday == 4) & (hours.hour >= 22)
    closed |= (hours.weekday == 6) & (hours.hour < 22)
    assert days_per_year(pd.Series(hours[~closed]), 120 * 365.25 / 7) == 313
