"""The HTML tear sheet: whole, offline, and in agreement with our own figures."""

import re
import socket
import sys
import warnings
import webbrowser
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import quantstats
import yfinance

from trading_assets.config.settings import EnvConfig
from trading_assets.errors import TradingAssetsError
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.reports.html import daily_returns, days_per_year, write_html
from trading_assets.reports.tearsheet import monthly_returns
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.baselines import always_flat
from trading_assets.simulation.market import Market

PER_YEAR = 8_760
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
    """Flat at first, for more than a day."""
    world = Market.make(bars)
    targets = some_targets(world.n_decisions)
    targets[:60] = 0.0
    return backtest(targets, world)


@pytest.fixture(scope="module")
def page(result: BacktestResult, times: Times, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("html") / "report.html"
    written = write_html(
        path,
        times(result),
        result.returns,
        result.market_returns,
        title="SYN <1h> & co",
        periods_per_year=PER_YEAR,
    )
    assert written == path
    return path.read_text(encoding="utf-8")


def row(page: str, name: str) -> list[str]:
    """The cells of a row of the table of metrics."""
    cells = re.search(rf"<tr><td>{re.escape(name)}</td>(.*?)</tr>", page)
    assert cells, f"no row {name}"
    return re.findall(r"<td>(.*?)</td>", cells[1])


def percents(page: str, name: str) -> list[float]:
    """The numbers of a row; what is no number is left out."""
    cells = [cell.rstrip("%").replace(",", "") for cell in row(page, name)]
    return [float(cell) for cell in cells if re.fullmatch(r"-?[\d.]+", cell)]


def test_the_page_has_the_title_escaped_and_the_span(page: str) -> None:
    assert "<title>SYN &lt;1h&gt; &amp; co</title>" in page
    assert "<h1>SYN &lt;1h&gt; &amp; co (Compounded)" in page
    assert "1 Jan, 2018" in page and "Periods/Year: 365" in page
    assert page.rstrip().endswith("</html>") and "{{" not in page


def test_total_returns_of_both_are_ours(page: str, result: BacktestResult) -> None:
    hold = np.prod(1 + result.market_returns) - 1
    net = result.metrics(PER_YEAR)["net return"]
    assert percents(page, "Cumulative Return") == pytest.approx([100 * hold, 100 * net], abs=0.006)
    assert abs(hold - net) > 0.01


def test_days_before_the_first_trade_are_kept(page: str, result: BacktestResult, times: Times) -> None:
    first, last = (f"{day:%e %b, %Y}" for day in times(result).iloc[[0, -1]])
    assert not result.returns[:48].any()
    assert f"<dt>{first} - {last}</dt>" in page


def test_once_all_is_lost_no_day_gains() -> None:
    stamps = pd.Series(
        pd.to_datetime(["2020-01-01 10:00", "2020-01-01 11:00", "2020-01-02 00:00", "2020-01-03 00:00"])
    )
    assert daily_returns(stamps, np.array([-3.0, -3.0, 0.5, 0.5])).tolist() == [-1.0, 0.0, 0.0]


def test_ratios_are_of_daily_returns(page: str, result: BacktestResult, times: Times) -> None:
    for returns, sharpe in zip(
        (result.market_returns, result.returns), percents(page, "Sharpe"), strict=True
    ):
        daily = daily_returns(times(result), returns)
        assert sharpe == pytest.approx(daily.mean() / daily.std() * np.sqrt(365), abs=0.006)


def test_years_stand_in_a_table_and_not_in_the_chart_that_labels_them_wrong(
    page: str, result: BacktestResult, times: Times
) -> None:
    hold, net = (
        (1 + monthly_returns(times(result), returns).loc[2018]).prod() - 1
        for returns in (result.market_returns, result.returns)
    )
    assert percents(page, "2018")[:2] == pytest.approx([100 * hold, 100 * net], abs=0.006)
    assert "EOY Returns  vs Benchmark" not in page and 'id="eoy_returns"' not in page
    assert 'id="monthly_dist"' in page


def test_nothing_of_the_page_comes_from_elsewhere(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"https?://(?!quantstats\.io)[^\"]*\"", page)
    assert "<script" not in page and "save()" not in page


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


def write(path: Path, result: BacktestResult, times: Times) -> str:
    write_html(
        path, times(result), result.returns, result.market_returns, title="x", periods_per_year=PER_YEAR
    )
    return path.read_text(encoding="utf-8")


def test_neither_network_nor_browser_is_used(
    result: BacktestResult, times: Times, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network or a browser was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(yfinance, "download", refuse)
    monkeypatch.setattr(quantstats.utils, "download_returns", refuse)
    monkeypatch.setattr(webbrowser, "open", refuse)
    assert "Cumulative Return" in write(tmp_path / "report.html", result, times)


def test_equal_results_give_equal_pages_without_a_word(
    page: str,
    result: BacktestResult,
    times: Times,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    style = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write_html(
            tmp_path / "again.html",
            times(result),
            result.returns,
            result.market_returns,
            title="SYN <1h> & co",
            periods_per_year=PER_YEAR,
        )
    assert path.read_text(encoding="utf-8") == page
    assert capfd.readouterr() == ("", "") and not caplog.records
    assert dict(mpl.rcParams) == style


def test_an_account_that_never_changed_is_shown_alone(bars: np.ndarray, times: Times, tmp_path: Path) -> None:
    flat = always_flat(Market.make(bars))
    page = write(tmp_path / "flat.html", flat, times)
    assert percents(page, "Cumulative Return") == [0.0]
    hold = bars[-1, 4] / bars[0, 4] - 1
    assert f"Buy and hold: {hold:+.2%}" in page


def test_a_ruined_account_has_lost_99_percent(bars: np.ndarray, times: Times, tmp_path: Path) -> None:
    wild = Market.make(bars, config=EnvConfig(max_leverage=20.0, maintenance_margin=0.04))
    ruined = backtest(some_targets(wild.n_decisions, held=3), wild)
    assert percents(write(tmp_path / "ruin.html", ruined, times), "Cumulative Return")[1] == -99.0


def test_three_bars_of_one_day_are_enough(bars: np.ndarray, times: Times, tmp_path: Path) -> None:
    short = backtest(np.array([1.0, -1.0, 0.0]), Market.make(bars).between(100, 104))
    found = percents(write(tmp_path / "short.html", short, times), "Cumulative Return")[1]
    assert found == pytest.approx(100 * (short.equity[-1] - 1), abs=0.006)


def test_returns_that_look_like_prices_are_still_returns(
    bars: np.ndarray, times: Times, tmp_path: Path
) -> None:
    """Quantstats takes 150 % on a first day and no loss later for prices, of which -99 % is left."""
    world = Market.make(bars).between(0, 24 * 6)
    calm = always_flat(world)
    path = calm.path.copy()
    path[:, 0] = 2.5 * 1.01 ** (np.arange(len(path)) // 24)
    lucky = BacktestResult(world, calm.asked, path, calm.use, None)
    found = percents(write(tmp_path / "lucky.html", lucky, times), "Cumulative Return")[1]
    assert found == pytest.approx(100 * (lucky.equity[-1] - 1), abs=0.006)
    assert found > 150


def test_without_quantstats_one_line_says_what_to_install(
    result: BacktestResult, times: Times, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "quantstats", None)
    with pytest.raises(TradingAssetsError, match=r'pip install "trading-assets\[report\]"') as caught:
        write(tmp_path / "report.html", result, times)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_report_that_fails_leaves_the_old_one_as_it_was(
    result: BacktestResult, times: Times, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_: object, output: str, **__: object) -> None:
        Path(output).write_text("half a p")
        raise RuntimeError("disk")

    monkeypatch.setattr(quantstats.reports, "html", fail)
    style = dict(mpl.rcParams)
    with pytest.raises(RuntimeError, match="disk"):
        write(path, result, times)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    assert dict(mpl.rcParams) == style
