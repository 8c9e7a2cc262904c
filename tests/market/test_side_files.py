"""Funding rates and splits: files that stand beside the bars, and what they do to them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.samples import csv_of, save, sound_bars, write
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.ingest import read_bars
from trading_assets.market.side_files import (
    SETTLING,
    funding_of_bars,
    funding_within_bars,
    read_side_file,
    side_file,
    split_factors,
)

BARS = sound_bars()
SUFFIXES = (".parquet", ".feather", ".csv")
RATES = pd.DataFrame(
    {
        "timestamp": pd.date_range("2024-01-14 16:00", periods=8, freq="8h", tz="UTC", unit="ns"),
        "funding_rate": [0.0009, 0.0008, 0.0001, 0.0002, -0.0003, 0.0, 0.0004, 0.0005],
    }
)
PRICES = ["open", "high", "low", "close"]


def save_side(
    frame: pd.DataFrame, folder: Path, kind: str, suffix: str = ".csv", symbol: str = "BTCUSDT"
) -> Path:
    path = folder / f"{symbol}.{kind}{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".feather":
        frame.to_feather(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "names", [("timestamp", "funding_rate"), ("date", "fundingRate"), ("Time", "Funding")]
)
def test_the_bar_that_opens_when_a_rate_falls_due_carries_it(
    tmp_path: Path, names: tuple[str, str], suffix: str
) -> None:
    save_side(RATES.set_axis(names, axis=1), tmp_path, "funding", suffix)
    path = save(BARS, tmp_path)
    expected = np.zeros(48)
    expected[::8] = RATES["funding_rate"][1:7]
    expected[0] = 0.0008
    result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, BARS.assign(funding_rate=expected))
    assert result.report.findings == []


def test_a_time_that_pandas_kept_as_index_is_found(tmp_path: Path) -> None:
    plain = read_side_file(save_side(RATES, tmp_path, "funding", ".parquet"), "funding", "UTC")
    index = read_side_file(
        save_side(RATES.set_index("timestamp"), tmp_path, "funding", ".parquet"), "funding", None
    )
    for one, other in zip(plain, index, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("unit", ["ms", "s"])
def test_epochs_and_unsorted_rows_are_put_in_order(tmp_path: Path, unit: str) -> None:
    frame = RATES.assign(timestamp=RATES["timestamp"].astype(f"datetime64[{unit}, UTC]").astype("int64"))[
        ::-1
    ]
    for suffix in (".csv", ".parquet"):
        times, rates = read_side_file(save_side(frame, tmp_path, "funding", suffix), "funding", None)
        np.testing.assert_array_equal(times, RATES["timestamp"].astype("int64"))
        np.testing.assert_array_equal(rates, RATES["funding_rate"])


def test_bars_that_the_rates_do_not_reach_are_warned_of(tmp_path: Path) -> None:
    bars = sound_bars(24 * 10)
    save_side(RATES[3:], tmp_path, "funding", ".parquet")
    result = read_bars(save(bars, tmp_path))
    (finding,) = result.report.findings
    # The first rate is due at hour 16, the last one at hour 48; two days later nothing is known.
    outside = [*range(1, 17), *range(48 + 48 + 2, 241)]
    assert (finding.kind, finding.reaction, list(finding.rows)) == ("no funding rate", "warned", outside)
    assert "BTCUSDT.funding.parquet does not reach these" in finding.message
    assert result.bars["funding_rate"].sum() == pytest.approx(RATES["funding_rate"][3:].sum(), abs=1e-15)


def test_a_column_of_rates_is_read_and_its_holes_reported(tmp_path: Path) -> None:
    rates = np.where(np.arange(48) % 8 == 0, 1e-4, np.nan)
    rates[8] = -0.5
    path = save(BARS.assign(funding_rate=rates), tmp_path, ".parquet")
    result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, BARS.assign(funding_rate=np.nan_to_num(rates)))
    (finding,) = result.report.findings
    assert (finding.kind, finding.reaction) == ("no funding rate", "warned")
    assert finding.rows == tuple(i + 1 for i in range(48) if i % 8)


@pytest.mark.parametrize("rate", [np.inf, -np.inf, 1.5, -1.01, 1e308])
def test_a_rate_that_is_none_is_refused_in_a_column_of_the_bars(tmp_path: Path, rate: float) -> None:
    frame = BARS.assign(Funding=1e-4)
    frame.loc[6, "Funding"] = rate
    with pytest.raises(BarsRejected, match=r"row 7, column 'Funding': .* is no rate within \+-1"):
        read_bars(save(frame, tmp_path, ".parquet"))


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True),
)
def test_every_rate_from_the_first_bar_to_the_end_of_the_last_is_paid_once(
    opens: list[int], due: list[int]
) -> None:
    times, at = np.sort(np.array(opens)) * 4, np.sort(np.array(due)) * 4 + 1
    rates = 2.0 ** np.arange(len(at))  # no two sets of them have the same sum
    paid = funding_of_bars(times, 4, at, rates)
    assert paid.sum() == rates[(at >= times[0]) & (at < times[-1] + 4)].sum()
    for i, time in enumerate(times):  # a bar gets what fell due since the end of the bar before it
        start = times[i - 1] + 4 if i else time
        assert paid[i] == rates[(at >= start) & (at < time + 4)].sum()


HOUR = 3_600_000_000_000


def test_of_a_bar_s_rates_those_after_its_open_fall_due_within_it() -> None:
    """Not those in a gap, nor one that the exchange settles some seconds after the open."""
    times = np.array([0, 12, 48]) * HOUR
    at = np.array([0, 8, 16, 24, 32, 40, 48, 56]) * HOUR
    at[0] += SETTLING
    rates = 2.0 ** np.arange(8)
    assert funding_of_bars(times, 12 * HOUR, at, rates).tolist() == [1 + 2, 4, 8 + 16 + 32 + 64 + 128]
    assert funding_within_bars(times, 12 * HOUR, at, rates).tolist() == [2, 4, 128]
    at[0] += 1
    assert funding_within_bars(times, 12 * HOUR, at, rates).tolist() == [1 + 2, 4, 128]


def test_what_falls_due_within_bars_is_a_column_of_its_own_and_survives_a_file(tmp_path: Path) -> None:
    bars = sound_bars(12, freq="12h")
    save_side(RATES, tmp_path, "funding")
    read = read_bars(save(bars, tmp_path)).bars
    within = np.zeros(12)
    rates = RATES.set_index("timestamp")["funding_rate"]
    for i, opened in enumerate(bars["timestamp"]):
        later = (rates.index > opened) & (rates.index < opened + pd.Timedelta("12h"))
        within[i] = rates[later].sum()
    assert within.any()
    np.testing.assert_allclose(read["funding_within"], within, atol=1e-18)
    (tmp_path / "again").mkdir()
    pd.testing.assert_frame_equal(read_bars(save(read, tmp_path / "again", ".parquet")).bars, read)


SPLITS = pd.DataFrame({"date": ["2024-01-16", "2024-02-01"], "factor": [4.0, 1.5]})


def split_bars() -> tuple[pd.DataFrame, pd.DataFrame]:
    """As traded, and adjusted."""
    daily = sound_bars(40, freq="1D", start="2024-01-01")
    day = np.arange(40)
    factor = np.where(day < 15, 6.0, np.where(day < 31, 1.5, 1.0))
    adjusted = daily.copy()
    raw = daily.copy()
    for name in PRICES:
        raw[name] = adjusted[name] * factor
    raw["volume"] = adjusted["volume"] / factor
    return raw, adjusted


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("names", [("date", "factor"), ("Date", "Stock Splits"), ("timestamp", "ratio")])
def test_prices_before_a_split_are_divided_and_volumes_multiplied(
    tmp_path: Path, names: tuple[str, str], suffix: str
) -> None:
    raw, adjusted = split_bars()
    path = save(raw, tmp_path, ".parquet", "AAPL")
    with pytest.raises(
        BarsRejected, match=r"row 16, column 'open': .* is 0\.2.* \(2 rows .*AAPL|SYMBOL\.splits"
    ):
        read_bars(path)
    save_side(SPLITS.set_axis(names, axis=1), tmp_path, "splits", suffix, "AAPL")
    result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, adjusted)
    (finding,) = result.report.findings
    assert (finding.kind, finding.reaction) == ("splits", "repaired")


def test_a_jump_may_be_taken_as_real(tmp_path: Path) -> None:
    raw, _ = split_bars()
    result = read_bars(save(raw, tmp_path, ".parquet"), policy=IngestPolicy(accept_jumps=True))
    pd.testing.assert_frame_equal(result.bars, raw)
    (finding,) = result.report.findings
    assert (finding.kind, finding.reaction, finding.rows) == ("jump", "warned", (16, 32))


def test_factors_for_prices_that_are_adjusted_already_are_refused(tmp_path: Path) -> None:
    _, adjusted = split_bars()
    save_side(SPLITS, tmp_path, "splits", symbol="AAPL")
    path = save(adjusted, tmp_path, ".parquet", "AAPL")
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}, row 16, column 'open': ")
    assert "a split of AAPL.splits.csv does not fit, or the prices are adjusted already (2 rows" in message
    assert "Correct AAPL.splits.csv, or set market.accept_jumps" in message


def test_a_jump_that_no_split_explains_is_refused_unless_accepted(tmp_path: Path) -> None:
    raw, adjusted = split_bars()
    crash = np.where(np.arange(40) < 20, 1.0, 0.5)
    for name in PRICES:
        raw[name], adjusted[name] = raw[name] * crash, adjusted[name] * crash
    save_side(SPLITS, tmp_path, "splits", symbol="AAPL")
    path = save(raw, tmp_path, ".parquet", "AAPL")
    with pytest.raises(BarsRejected) as refusal:
        read_bars(path)
    assert str(refusal.value).startswith(f"{path}, row 21, column 'open': ")
    assert "a split that AAPL.splits.csv lacks, a reused symbol, or an error. Add the" in str(refusal.value)
    result = read_bars(path, policy=IngestPolicy(accept_jumps=True))
    pd.testing.assert_frame_equal(result.bars, adjusted)
    assert [(f.kind, f.rows) for f in result.report.findings] == [("splits", ()), ("jump", (21,))]


@pytest.mark.parametrize(
    ("days", "reaction", "message"),
    [
        (["2024-01-16", "2024-02-01"], "repaired", "2 within the bars"),
        (["2023-06-01", "2024-02-01"], "repaired", "1 within the bars"),
        (["2024-02-01", "2024-08-01"], "repaired", "1 within the bars and 1 after the last bar"),
        (["2024-08-01", "2024-09-01"], "repaired", "2 after the last bar"),
        (["2022-08-01", "2024-01-01"], "warned", "none of the 2 split(s) of BTCUSDT.splits.csv lies within"),
    ],
)
def test_only_the_splits_within_the_bars_are_counted(
    tmp_path: Path, days: list[str], reaction: str, message: str
) -> None:
    factors = pd.DataFrame({"date": days, "factor": [4.0, 1.5]})
    save_side(factors, tmp_path, "splits")
    path = save(sound_bars(40, freq="1D", start="2024-01-01"), tmp_path, ".parquet")
    finding = read_bars(path, policy=IngestPolicy(accept_jumps=True)).report.findings[0]
    assert (finding.kind, finding.reaction) == ("splits", reaction)
    assert message in finding.message


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("ratios", [("4:1", "3:2"), ("4/1", "3/2"), (" 4 : 1", "1.5"), ("8:2", "1.5:1")])
def test_a_factor_may_be_written_as_a_ratio(tmp_path: Path, ratios: tuple[str, str], suffix: str) -> None:
    raw, adjusted = split_bars()
    save_side(SPLITS.assign(factor=ratios), tmp_path, "splits", suffix, "AAPL")
    pd.testing.assert_frame_equal(read_bars(save(raw, tmp_path, ".parquet", "AAPL")).bars, adjusted)


@pytest.mark.parametrize("midnight", ["", " 00:00:00-05:00"])
def test_days_without_a_split_in_yfinance_s_actions_are_left_out(tmp_path: Path, midnight: str) -> None:
    raw, adjusted = split_bars()
    days = [f"2024-{day}{midnight}" for day in ("01-05", "01-16", "02-01", "02-03")]
    actions = pd.DataFrame(
        {"Date": days, "Dividends": [0.1, 0, 0, 0.1], "Stock Splits": [0.0, 4.0, 1.5, 0.0]}
    )
    save_side(actions, tmp_path, "splits", symbol="AAPL")
    path = save(raw, tmp_path, ".parquet", "AAPL")
    pd.testing.assert_frame_equal(read_bars(path).bars, adjusted)
    save_side(actions.assign(**{"Stock Splits": 0.0}), tmp_path, "splits", symbol="AAPL")
    with pytest.raises(BarsRejected, match=r"a split that AAPL\.splits\.csv lacks"):
        read_bars(path)


def test_binance_s_own_dump_of_rates_is_read(tmp_path: Path) -> None:
    late = RATES["timestamp"].astype("datetime64[ms, UTC]").astype("int64") + 5  # as some of theirs are
    rates = RATES["funding_rate"]
    for frame in (
        pd.DataFrame({"calc_time": late, "funding_interval_hours": 8, "last_funding_rate": rates}),
        pd.DataFrame({"symbol": "BTCUSDT", "fundingTime": late, "fundingRate": rates, "markPrice": 1.0}),
    ):
        save_side(frame, tmp_path, "funding")
        assert read_bars(save(BARS, tmp_path)).bars["funding_rate"][::8].tolist() == rates[1:7].tolist()


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([2.0, 4.0, 0.5])), unique_by=lambda s: s[0]))
def test_a_bar_is_divided_by_all_factors_whose_day_comes_after_it(splits: list[tuple[int, float]]) -> None:
    splits = sorted(splits)
    at = np.array([day for day, _ in splits], dtype=np.int64)
    factors = np.array([factor for _, factor in splits])
    expected = [np.prod([factor for day, factor in splits if day > time]) for time in range(52)]
    np.testing.assert_array_equal(split_factors(np.arange(52), at, factors), expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USDT.P"])
def test_a_side_file_is_the_symbol_s_own(tmp_path: Path, symbol: str, suffix: str) -> None:
    path = save(BARS, tmp_path, ".parquet", symbol)
    other = save_side(RATES, tmp_path, "funding", suffix, f"{symbol}X")
    assert side_file(path, symbol, "funding") is None
    assert "funding_rate" not in read_bars(path).bars
    own = other.rename(tmp_path / f"{symbol}.funding{suffix}")
    assert side_file(path, symbol, "funding") == own
    assert side_file(path, symbol, "splits") is None
    assert "funding_rate" in read_bars(path).bars


def test_the_symbol_that_is_asked_for_names_the_side_file(tmp_path: Path) -> None:
    save_side(RATES, tmp_path, "funding", ".csv", "ETHUSDT")
    path = save(BARS, tmp_path, ".csv.gz", "bars-of-ether")
    assert "funding_rate" not in read_bars(path).bars
    assert "funding_rate" in read_bars(path, symbol="ETHUSDT").bars


BROKEN = {
    "a factor of 0": (
        "splits",
        SPLITS.assign(factor=[2.0, 0.0]),
        "row 2, column 'factor': 0.* is no positive",
    ),
    "a negative factor": (
        "splits",
        SPLITS.assign(factor=[-2.0, 2.0]),
        "row 1, column 'factor': -2.* positive",
    ),
    "a factor in words": (
        "splits",
        SPLITS.assign(factor=["four", "2"]),
        "row 1, column 'factor': four is no",
    ),
    "a ratio to 0": ("splits", SPLITS.assign(factor=["2", "4:0"]), "row 2, column 'factor': 4:0 is no"),
    "no factor": (
        "splits",
        SPLITS.assign(factor=[2.0, None]),
        "row 2, column 'factor': .*is no positive factor",
    ),
    "a day twice": ("splits", SPLITS.assign(date="2024-01-16"), "row 2, column 'date': 2024-01-16.* twice"),
    "a day that is none": (
        "splits",
        SPLITS.assign(date=["2024-01-16", "soon"]),
        "row 2, column 'date': 'soon'",
    ),
    "an ambiguous day": (
        "splits",
        SPLITS.assign(date=["03/04/2024", "05/04/2024"]),
        "day/month/year or month/day/year",
    ),
    "no day": (
        "splits",
        SPLITS.assign(date=["2024-01-16", None]),
        "row 2, column 'date': the time is missing",
    ),
    "no such column": (
        "splits",
        SPLITS.rename(columns={"factor": "f"}),
        "and 'factor' .* it has date, f in 2",
    ),
    "no rows": ("splits", SPLITS[:0], "in at least one row; it has date, factor in 0 rows"),
    "a rate in percent": ("funding", RATES.assign(funding_rate=1.25), r"row 1.*1\.25 is no rate within \+-1"),
    "a rate without end": ("funding", RATES.assign(funding_rate=np.inf), "is no rate within"),
    "no rate": ("funding", RATES.replace(0.0, np.nan), "row 6, column 'funding_rate': .*is no rate within"),
    "no time": ("funding", RATES[["funding_rate"]], "must have a time and 'funding_rate'"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_side_file_is_refused_by_its_own_name(tmp_path: Path, broken: str, suffix: str) -> None:
    kind, frame, problem = BROKEN[broken]
    side = save_side(frame, tmp_path, kind, suffix)
    path = save(BARS, tmp_path)
    quarantine = tmp_path / "quarantine"
    with pytest.raises(BarsRejected, match=problem) as refusal:
        read_bars(path, policy=IngestPolicy(quarantine_dir=quarantine))
    assert str(refusal.value).startswith(str(side))
    assert "\n" not in str(refusal.value)
    for guilty in (path, side):
        assert (quarantine / guilty.name).read_bytes() == guilty.read_bytes()
        report = json.loads((quarantine / f"{guilty.name}.report.json").read_text())
        assert report["file"] == str(guilty)
        assert [f["message"] for f in report["findings"] if f["reaction"] == "rejected"] == [
            str(refusal.value)
        ]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"PAR1", b"ARROW1", b"a\x00b", b"\xff\xfe", b"{}"]
)
def test_a_side_file_that_is_none_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    side = write(tmp_path, content, f"BTCUSDT.splits{suffix}")
    with pytest.raises(BarsRejected) as refusal:
        read_bars(save(BARS, tmp_path))
    assert str(refusal.value).startswith(str(side))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_side_file_is_read_or_refused_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = save(BARS, tmp_path)
    side = save_side(RATES, tmp_path, "funding", suffix)
    good = side.read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(120):
        data = bytearray(good)
        at = int(rng.integers(len(data)))
        data[at : at + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 4)))
        side.write_bytes(bytes(data[:at]) if rng.random() < 0.3 else bytes(data))
        try:
            bars = read_bars(path).bars
        except BarsRejected as refusal:
            refused += 1
            assert str(side) in str(refusal)
        else:
            assert (bars["funding_rate"].abs() <= 1 * 48).all()
    assert refused > 20


def test_the_bars_of_a_side_file_s_text_are_left_as_they_are(tmp_path: Path) -> None:
    side = write(tmp_path, "date;factor\n2024-01-16;4\n", "BTCUSDT.splits.csv")
    path = write(tmp_path, csv_of(BARS))
    before = (side.read_bytes(), path.read_bytes())
    with pytest.raises(BarsRejected, match="it has date;factor in 1 rows"):
        read_bars(path)
    assert (side.read_bytes(), path.read_bytes()) == before
