"""Bars from an exchange by a command, and what a command says about files of bars."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.market.stand_in import LENGTHS, StandIn, Trouble, stand_in
from trading_assets.cli.main import main
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry.tables import read_table


@pytest.fixture
def exchange() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


def fetching(exchange: StandIn, *arguments: str) -> list[str]:
    """The command, with ccxt sent to the stand-in."""
    options = {
        "urls.api.public": f"{exchange.url}/api/v3",
        "urls.api.fapiPublic": f"{exchange.url}/fapi/v1",
        "options.fetchMarkets.types": '["spot", "linear"]',
        "enableRateLimit": "false",
    }
    pairs = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    return ["data", "fetch", *arguments, *pairs]


def kept(data_dir: Path, symbol: str = "BTCUSDT") -> pd.DataFrame:
    return read_table(data_dir / "market" / f"{symbol}.parquet")


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err.strip().splitlines()


def test_fetched_bars_lie_in_the_market_folder(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fetching(exchange, "BTCUSDT", "ETHUSDT")) == 0
    out = capsys.readouterr().out
    for symbol in ("BTCUSDT", "ETHUSDT"):
        pd.testing.assert_frame_equal(kept(data_dir, symbol), exchange.closed(symbol))
        path = data_dir / "market" / f"{symbol}.parquet"
        assert f"{symbol}  999 bars appended  {path}\n" in out


def test_a_second_fetch_brings_what_is_new_and_tells_what_differs(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.now -= 24 * LENGTHS["1h"]
    assert main(fetching(exchange, "BTCUSDT", "--since", "2018-02-01")) == 0
    exchange.now += 24 * LENGTHS["1h"]
    revised = len(exchange.closed()) - 25
    exchange.bars["BTCUSDT"].loc[revised, "volume"] += 1
    capsys.readouterr()
    assert main(fetching(exchange, "BTCUSDT", "--since", "2018-02-01")) == 0
    assert "24 bars appended; 1 bars of the past differ" in capsys.readouterr().out
    assert str(kept(data_dir)["timestamp"].iloc[0]) == "2018-02-01 00:00:00+00:00"


def test_a_swap_comes_with_its_funding_rates(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    times = pd.date_range("2018-01-01", periods=40, freq="8h", tz="UTC", unit="ns")
    exchange.rates = pd.DataFrame({"timestamp": times, "funding_rate": 1e-4})
    assert main(fetching(exchange, "BTC-USDT-PERP")) == 0
    assert "(40 funding rates)" in capsys.readouterr().out
    assert len(read_table(data_dir / "market" / "BTC-USDT-PERP.funding.parquet")) == 40


def test_what_was_fetched_passes_the_check(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fetching(exchange, "BTCUSDT")) == 0
    assert main(["data", "check", str(data_dir / "market" / "BTCUSDT.parquet")]) == 0
    assert "nothing to repair" in capsys.readouterr().out


def test_an_unknown_symbol_stops_before_anything_is_fetched(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(fetching(exchange, "BTCUSDT", "BTCUSDX")) == 1
    (line,) = errors(capsys)
    assert "no market 'BTCUSDX'" in line and "BTCUSDT" in line
    assert not exchange.asked and not list((data_dir / "market").iterdir())


def test_a_symbol_that_fails_does_not_stop_the_others(
    data_dir: Path, exchange: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.troubles.append(Trouble(400, body='{"code": -1121, "msg": "Invalid symbol."}'))
    assert main(fetching(exchange, "BTCUSDT", "ETHUSDT")) == 1
    (line,) = errors(capsys)
    assert line.startswith("trading-assets: BTCUSDT: binance refuses to give bars")
    assert len(kept(data_dir, "ETHUSDT")) == 999


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "--since expects a date such as 2024-01-31, got 'yesterday'"),
        (["--since", "9999-12-31"], "--since expects a date"),
        (["--option", "timeout"], "--option expects NAME=VALUE, got 'timeout'"),
        (["--option", "urls=1", "--option", "urls.api=2"], "keep one"),
        (["--exchange", "binanze"], "knows no exchange 'binanze'"),
        (["--interval", "7h"], "no bars of '7h'"),
    ],
)
def test_a_wrong_argument_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["data", "fetch", "BTCUSDT", *arguments]) == 1
    (line,) = errors(capsys)
    assert words in line


def test_a_missing_ccxt_is_said_with_the_command_that_mends_it(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    assert main(["data", "fetch", "BTCUSDT"]) == 1
    (line,) = errors(capsys)
    assert "pip install ccxt" in line


def test_an_interruption_keeps_what_has_come(data_dir: Path, exchange: StandIn) -> None:
    exchange.bars["BTCUSDT"] = SyntheticMarket(n_bars=30_000, seed=3).bars
    exchange.now = int(exchange.bars["BTCUSDT"]["timestamp"].iloc[-1].value // 10**6)
    exchange.answered = 5
    process = subprocess.Popen(
        [sys.executable, "-m", "trading_assets.cli.main", *fetching(exchange, "BTCUSDT")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(exchange.asked) < 6:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and err == "trading-assets: interrupted\n", out + err
    came = kept(data_dir)
    assert len(came) == 5_000
    exchange.released.set()
    assert main(fetching(exchange, "BTCUSDT")) == 0
    pd.testing.assert_frame_equal(kept(data_dir), exchange.closed())
    assert [path.name for path in (data_dir / "market").iterdir()] == ["BTCUSDT.parquet"]


def write(folder: Path, name: str = "A.csv", **columns: object) -> Path:
    path = folder / name
    SyntheticMarket(n_bars=300, seed=1).bars.assign(**columns).to_csv(path, index=False)
    return path


def test_a_check_tells_what_is_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    assert main(["data", "check", str(path)]) == 0
    out = capsys.readouterr().out
    span = "2018-01-01 00:00:00+00:00 to 2018-01-13 11:00:00+00:00"
    for words in (str(path), "csv", "1:00:00", "300", span):
        assert words in out


def test_a_check_lists_what_was_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    assert main(["data", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "repaired" in out and "exact duplicate" in out and "300 (1 left out)" in out


def test_a_rejected_file_is_told_in_one_line_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write(tmp_path), write(tmp_path, "BAD.csv", close=-1.0)
    assert main(["data", "check", str(bad), str(good), str(tmp_path / "none.csv")]) == 1
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 2 and "column 'close'" in lines[0] and "none.csv" in lines[1]
    assert str(good) in captured.out and "Traceback" not in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A.csv", "BAD.csv"], "nothing is copied"


def test_a_zone_for_times_without_one_is_taken_from_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    naive = SyntheticMarket(n_bars=300, seed=1).bars["timestamp"].dt.tz_localize(None)
    path = write(tmp_path, timestamp=naive + pd.Timedelta("30min"))
    assert main(["data", "check", str(path)]) == 1
    assert "market.time_zone" in capsys.readouterr().err
    assert main(["data", "check", str(path), "--time-zone", "Asia/Tokyo"]) == 0
    assert "2017-12-31 15:30:00+00:00 to" in capsys.readouterr().out


def test_jumps_are_accepted_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    bars = pd.read_csv(path)
    bars.loc[150:, ["open", "high", "low", "close"]] /= 2
    bars.to_csv(path, index=False)
    assert main(["data", "check", str(path)]) == 1
    assert "accept_jumps" in capsys.readouterr().err
    assert main(["data", "check", str(path), "--accept-jumps"]) == 0
    assert "jump" in capsys.readouterr().out


def test_a_calendar_tells_weekends_from_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    bars = pd.read_csv(path, parse_dates=["timestamp"])
    bars[bars["timestamp"].dt.dayofweek < 5].to_csv(path, index=False)
    assert main(["data", "check", str(path)]) == 0
    assert "gap" in capsys.readouterr().out
    assert main(["data", "check", str(path), "--calendar", "24/5"]) == 0
    assert "gap" not in capsys.readouterr().out
    assert main(["data", "check", str(path), "--calendar", "NOWHERE"]) == 1
    assert "no such calendar" in capsys.readouterr().err


def test_the_profile_s_market_settings_hold_for_the_file_s_symbol(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("A.csv", "B.csv"):
        bars = SyntheticMarket(n_bars=300, seed=1).bars.drop(index=range(100, 200))
        bars.to_csv(tmp_path / name, index=False)
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: smoke\nsymbols: {A: {market: {max_gap_days: 1}}}\n")
    files = [str(tmp_path / name) for name in ("A.csv", "B.csv")]
    assert main(["data", "check", *files, "--profile", str(profile)]) == 1
    (line,) = errors(capsys)
    assert "A.csv" in line and "max_gap_days" in line


def test_a_check_tells_which_columns_were_taken_for_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "A.csv"
    bars = SyntheticMarket(n_bars=300, seed=1).bars.rename(columns={"timestamp": "Date", "close": "Last"})
    bars.assign(Settle=bars["Last"]).to_csv(path, index=False)
    assert main(["data", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "columns   timestamp from 'Date', open from 'open'" in out and "close from 'Settle'" in out
    assert "'Settle' is taken as the close, not Last" in " ".join(out.split())


def test_a_check_of_a_folder_knows_side_files_and_says_what_would_not_be_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    write(tmp_path, "btcusdt.csv")
    (tmp_path / "A.splits.csv").write_text("date,factor\n2017-01-01,2\n")
    (tmp_path / "A.funding.csv").write_text("timestamp,funding_rate\n2018-01-01T08:00:00Z,0.0001\n")
    (tmp_path / "A.exclude.csv").write_text("timestamp\n2018-01-02T00:00:00Z\n")
    (tmp_path / "B.splits.csv").write_text("date,factor\n2017-01-01,2\n")
    (tmp_path / "._A.csv").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "BTC_USDT_USDT-1h-mark.feather").write_bytes(b"")
    assert main(["data", "check", *map(str, sorted(tmp_path.iterdir()))]) == 1
    sections = capsys.readouterr().out.split(f"{tmp_path}/")[1:]
    told = {section.splitlines()[0]: section for section in sections}
    assert "299 (1 left out)" in told["A.csv"] and "not taken" not in told["A.csv"]
    assert "holds     splits of A\n  rows      1" in told["A.splits.csv"]
    assert "span      2018-01-01 08:00:00+00:00 to" in told["A.funding.csv"]
    assert "holds     exclude of A" in told["A.exclude.csv"]
    assert "not taken from the market folder: no file of the bars of B" in told["B.splits.csv"]
    assert "call it BTCUSDT.csv" in told["btcusdt.csv"]
    assert "a hidden file, no bars: passed over" in told["._A.csv"]
    assert "mark prices, no bars: passed over" in told["BTC_USDT_USDT-1h-mark.feather"]


def test_a_check_refuses_a_side_file_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "A.splits.csv"
    path.write_text("date,factor\n2017-01-01,-2\n")
    assert main(["data", "check", str(path)]) == 1
    (line,) = errors(capsys)
    assert "A.splits.csv" in line and "no positive factor" in line


def test_a_check_as_json_has_every_finding_of_every_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, low = write(tmp_path), write(tmp_path, "BAD.csv", close=-1.0), write(tmp_path, "low.csv")
    lines = good.read_text().splitlines()
    good.write_text("\n".join([*lines, lines[-1]]) + "\n")
    assert main(["data", "check", "--json", *map(str, (good, bad, low))]) == 1
    captured = capsys.readouterr()
    first, second, third = json.loads(captured.out)
    assert captured.err == ""
    assert first["file"] == str(good) and first["symbol"] == "A" and first["rows"] == 300
    assert first["first"] == "2018-01-01 00:00:00+00:00" and first["error"] is None
    assert first["report"]["columns"]["close"] == "close"
    assert [finding["kind"] for finding in first["report"]["findings"]] == ["exact duplicate"]
    assert "column 'close'" in second["error"] and second["rows"] == 0
    assert second["report"]["findings"][-1]["reaction"] == "rejected"
    assert third["symbol"] is None and "call it LOW.csv" in third["not_taken"]


def test_a_check_reads_the_rows_of_the_symbol_that_is_asked_for_or_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = SyntheticMarket(n_bars=300, seed=1).bars
    both = pd.concat([bars.assign(ticker="A"), bars.assign(ticker="B")])
    for name in ("A.csv", "ALL.csv"):
        both.to_csv(tmp_path / name, index=False)
    assert main(["data", "check", str(tmp_path / "A.csv")]) == 0
    assert "only the rows of A were read" in " ".join(capsys.readouterr().out.split())
    assert main(["data", "check", str(tmp_path / "ALL.csv")]) == 1
    (line,) = errors(capsys)
    assert "holds 2 symbols: A, B" in line and "--symbol" in line
    assert main(["data", "check", str(tmp_path / "ALL.csv"), "--symbol", "B"]) == 0
