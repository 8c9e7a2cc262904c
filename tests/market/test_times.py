"""Times: from every way of writing them to the same nanoseconds, or to a refusal that says why not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.market.samples import save, sound_bars, write
from trading_assets.config.settings import IngestPolicy
from trading_assets.errors import BarsRejected
from trading_assets.market.ingest import read_bars
from trading_assets.market.raw import RawBars
from trading_assets.market.report import IngestReport
from trading_assets.market.times import read_times

BARS = sound_bars()


def times_of(
    values: object, *, kind: pa.DataType | None = None, zone: str | None = None, own: str | None = None
) -> tuple[pd.DatetimeIndex, IngestReport]:
    column = values if isinstance(values, pa.Array) else pa.array(values, kind)  # type: ignore[arg-type]
    report = IngestReport("A.csv")
    rows = np.arange(1, len(column) + 1)
    raw = RawBars({"timestamp": pa.chunked_array([column])}, own, {"timestamp": "when"}, rows)
    return pd.DatetimeIndex(read_times(raw, zone, report).utc, tz="UTC"), report


def assert_times(values: object, expected: list[str], **given_: object) -> IngestReport:
    times, report = times_of(values, **given_)  # type: ignore[arg-type]
    pd.testing.assert_index_equal(times, pd.DatetimeIndex(expected, tz="UTC").as_unit("ns"))
    return report


def refusal_of(values: object, **given_: object) -> str:
    with pytest.raises(BarsRejected) as refusal:
        times_of(values, **given_)  # type: ignore[arg-type]
    return str(refusal.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["01/Jan/2024", "28/Feb/2024"], ["2024-01-01", "2024-02-28"]),
        (["Jan 02 2024", "Mar 01 2024"], ["2024-01-02", "2024-03-01"]),
        (["2024年01月02日", "2024年1月3日"], ["2024-01-02", "2024-01-03"]),
        (["1/12/24", "1/15/24"], ["2024-01-12", "2024-01-15"]),
        (["2024-01", "2024-02"], ["2024-01-01", "2024-02-01"]),
        (["2024-02-28 24:00Z", "2024-12-31 24:00:00Z"], ["2024-02-29", "2025-01-01"]),
    ],
)
def test_dates_are_read_in_forms_that_leave_no_doubt(written: list[str], meant: list[str]) -> None:
    assert_times(written, meant)


def test_short_dates_that_fit_two_orders_are_refused() -> None:
    assert "day/month/year or month/day/year" in refusal_of(["1/2/24", "1/3/24"])


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("kind", ["int64", "float64", "str"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epochs_are_understood_in_every_unit_and_type(
    tmp_path: Path, unit: str, kind: str, suffix: str
) -> None:
    if (unit, kind) == ("ns", "float64") and suffix != ".parquet":
        pytest.skip("pandas writes 1.7052768e+18, and who writes so may have left out digits")
    epochs = BARS["timestamp"].astype(f"datetime64[{unit}, UTC]").astype("int64").astype(kind)
    path = tmp_path / f"A{suffix}"
    if suffix == ".parquet":
        save(BARS.assign(timestamp=epochs), tmp_path, suffix, "A")
    else:
        BARS.assign(timestamp=epochs).to_csv(path, index=False)
    result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, BARS)
    (finding,) = result.report.findings
    assert (finding.kind, finding.reaction) == ("epoch", "repaired")
    assert f" in {unit}, counted from 1970: 2024-01-15 00:00" in finding.message


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(10**17, 7 * 10**18), min_size=1, max_size=20))
@example([2**57] * 3)
def test_every_nanosecond_survives(epochs: list[int]) -> None:
    # Fewer than 18 digits are microseconds.
    for column in (pa.array(epochs), pa.array([str(epoch) for epoch in epochs])):
        times, _ = times_of(column)
        factor = [1 if epoch >= 10**17 else 1_000 for epoch in epochs]
        assert times.asi8.tolist() == [epoch * by for epoch, by in zip(epochs, factor, strict=True)]


@pytest.mark.parametrize(
    "value",
    [0, -1_709_000_000, 12_345, 99_999_999_999, 10**13 * 9, 10**19, 10**20, np.nan, np.inf, -np.inf, 1e300],
)
@pytest.mark.parametrize("text", [True, False])
def test_a_number_that_is_no_epoch_is_refused_by_row(value: float, text: bool) -> None:
    epochs: list[object] = [1_709_000_000.0 + 60 * i for i in range(5)]
    epochs[3] = float(value)
    if text:
        epochs = [f"{epoch:.0f}" for epoch in epochs]
    message = refusal_of(epochs)
    assert message.startswith("A.csv, row 4, column 'when': ")
    assert "not a time" in message or "no time between" in message or "time is missing" in message


@pytest.mark.parametrize("value", ["9" * 19, "9" * 20, "0" * 12, "00001709000000"])
def test_digits_in_a_row_of_epochs_are_refused_or_read_as_the_number_they_are(value: str) -> None:
    epochs = ["1709000000", "1709000060", value]
    if int(value) == 1_709_000_000:
        times, _ = times_of(epochs)
        assert times[2] == times[0]
    else:
        assert "row 3" in refusal_of(epochs)


@pytest.mark.parametrize(
    "odd", ["yesterday", "2024-01-31T00:00:00Z", "1.7E+12", "17090000O0", "-1709000000", "1709000000.5"]
)
@pytest.mark.parametrize("row", [1, 3, 5])
def test_what_is_no_epoch_among_epochs_is_named_wherever_it_stands(odd: str, row: int) -> None:
    epochs = [str(1_709_000_000 + 60 * i) for i in range(5)]
    epochs[row - 1] = odd
    assert refusal_of(epochs).startswith(f"A.csv, row {row}, column 'when': '{odd}' ")


FORMS = (
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S+00:00",
    "%Y-%m-%d %H:%M:%S+00",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S.%f000",
    "%Y-%m-%d %I-%p",
    "%Y%m%d %H%M%S",
    "%Y%m%dT%H%M%S",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%d %H:%M",
    "%Y%m%d %H%M",
    "%Y%m%d%H%M",
    "%Y%m%d%H%M%S",
    "%Y.%m.%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S.%f",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m-%d-%Y %I:%M:%S %p",
    "%d-%b-%Y %H:%M:%S",
    "%b %d, %Y %H:%M",
    "%B %d, %Y %H:%M",
    "%d %b %Y %H:%M",
    "%d %B %Y %H:%M:%S",
    "%Y-%m-%d %H:%M:%S UTC",
    "%d.%m.%Y %H:%M:%S.000 GMT+0000",
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=12, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 150 * 365 * 1_440), min_size=1, max_size=12),
)
def test_a_time_is_read_in_every_form_that_is_clear(form: str, minutes: list[int]) -> None:
    if form == "%Y-%m-%d %I-%p":
        minutes = [minute // 60 * 60 for minute in minutes]
    start = datetime(1970, 1, 1, tzinfo=UTC)
    # One day after the twelfth makes the order of day and month clear.
    moments = [
        datetime(2024, 7, 25, 13, tzinfo=UTC),
        *(start + timedelta(minutes=minute) for minute in minutes),
    ]
    times, _ = times_of([moment.strftime(form) for moment in moments], zone="UTC")
    pd.testing.assert_index_equal(times, pd.DatetimeIndex(moments).as_unit("ns"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", ["str", "int64", "float64"])
@pytest.mark.parametrize("form", ["%Y%m%d%H%M", "%Y%m%d%H%M%S"])
@pytest.mark.parametrize("freq", ["1min", "1h", "1D"])
def test_a_calendar_time_written_in_digits_is_no_epoch(
    tmp_path: Path, freq: str, form: str, kind: str, suffix: str
) -> None:
    bars = sound_bars(freq=freq)
    frame = bars.assign(timestamp=bars["timestamp"].dt.strftime(form).astype(kind))
    path = save(frame, tmp_path, suffix)
    if freq != "1D":
        with pytest.raises(BarsRejected, match="has a time of day but no time zone"):
            read_bars(path)
    result = read_bars(path, policy=IngestPolicy(time_zone="UTC"))
    pd.testing.assert_frame_equal(result.bars, bars)
    assert [finding.kind for finding in result.report.findings] == ["time zone"] * (freq != "1D")


@pytest.mark.parametrize("freq", ["1min", "5min", "1h", "1D"])
@pytest.mark.parametrize("start", ["1975-09-20", "1976-01-20", "1976-05-31", "1977-02-01", "1999-12-31"])
def test_an_epoch_of_twelve_digits_stays_one(tmp_path: Path, start: str, freq: str) -> None:
    bars = sound_bars(60, freq=freq, start=start)
    epochs = bars["timestamp"].astype("datetime64[ms, UTC]").astype("int64")
    for suffix in (".csv", ".parquet"):
        result = read_bars(save(bars.assign(timestamp=epochs), tmp_path, suffix))
        pd.testing.assert_frame_equal(result.bars, bars)
        (repair,) = result.report.repairs
        assert repair.message.startswith("times are epochs in ms, counted from 1970: ")
        assert [finding.kind for finding in result.report.warnings] == ["epoch"]  # so old are few epochs


def test_a_half_among_calendar_times_in_digits_is_refused() -> None:
    message = refusal_of([202401010000.0, 202401010100.5, 202401010200.0], kind=pa.float64())
    assert message.startswith("A.csv, row 2, column 'when': ")
    assert "is not a time like the others" in message


def test_days_months_and_noon_without_leading_zeros_are_read() -> None:
    expected = ["2024-01-02 00:05", "2024-01-02 12:05", "2024-01-13 13:05"]
    assert_times(["1/2/2024 12:05 AM", "1/2/2024 12:05 pm", "1/13/2024 1:05 PM"], expected, zone="UTC")
    assert_times(["2.1.2024 0:05", "2.1.2024 12:05", "13.1.2024 13:05"], expected, zone="UTC")


NO_DAY, NO_CLOCK, NO_YEAR = (
    "is no day of the calendar",
    "is no time of day",
    "is no time between 1800 and 2250",
)
IMPOSSIBLE = [
    ("2024-02-30", "2024-02-28", NO_DAY),
    ("2023-02-29", "2023-02-28", NO_DAY),
    ("2024-13-01", "2024-12-01", "has month 13, which does not exist"),
    ("2024-00-10", "2024-01-10", "has month 0, which does not exist"),
    ("2024-01-00", "2024-01-10", NO_DAY),
    ("1799-12-31", "2024-01-01", NO_YEAR),
    ("9999-12-31", "2024-01-01", NO_YEAR),
    ("0001-01-01", "2024-01-01", NO_YEAR),
    ("2024-01-01T24:01Z", "2024-01-01T23:00Z", NO_CLOCK),
    ("2024-01-01T12:60Z", "2024-01-01T12:59Z", NO_CLOCK),
    ("2024-01-01T12:00:60Z", "2024-01-01T12:00:59Z", NO_CLOCK),
    ("1/13/2024 13:05 PM", "1/13/2024 1:05 PM", NO_CLOCK),
    ("1/13/2024 0:05 AM", "1/13/2024 1:05 PM", NO_CLOCK),
    ("31.02.2024", "29.02.2024", NO_DAY),
    ("32.01.2024", "31.01.2024", NO_DAY),
    ("03.13.2021", "03.12.2021", "has month 13, which does not exist"),
    ("13/13/2024", "13/12/2024", "has month 13, which does not exist"),
    ("Foo 13, 2024", "Feb 13, 2024", "names no month"),
    ("1 Foo 2024", "1 February 2024", "names no month"),
    ("20240230", "20240229", NO_DAY),
    ("202413010000", "202412310000", "has month 13, which does not exist"),
    ("20240101246000", "20240101235900", NO_CLOCK),
]


@pytest.mark.parametrize(("impossible", "possible", "problem"), IMPOSSIBLE)
@pytest.mark.parametrize("row", [1, 2, 4])
def test_a_time_that_there_is_not_is_refused_by_row(
    impossible: str, possible: str, problem: str, row: int
) -> None:
    values = [possible] * 4
    values[row - 1] = impossible
    start = f"A.csv, row {row}, column 'when': '{impossible}' {problem}."
    assert refusal_of(values, zone="UTC").startswith(start)
    times_of([possible] * 4, zone="UTC")


@pytest.mark.parametrize(
    "value", ["yesterday", "01/02/2024", "2024-01-31 25", "1709000000", "2024-1", "2024-01-31T00:00:00 CET"]
)
@pytest.mark.parametrize("row", [1, 2, 5])
def test_what_looks_unlike_the_other_times_is_refused_wherever_it_stands(value: str, row: int) -> None:
    values = [f"2024-01-0{i}T00:00:00Z" for i in range(1, 6)]
    values[row - 1] = value
    message = refusal_of(values)
    assert message.startswith(f"A.csv, row {row}, column 'when': '{value}' is not a time like the others")
    assert f"for instance '{values[0] if row > 1 else values[1]}'" in message


def test_times_of_no_known_form_are_refused() -> None:
    message = refusal_of(["Monday", "Tuesday"])
    assert message.startswith("A.csv, row 1, column 'when': 'Monday' is not a time that is known (2 rows")
    assert "Write ISO 8601" in message


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("value", ["", None, "  "])
def test_a_missing_time_is_refused_by_row(tmp_path: Path, suffix: str, value: str | None) -> None:
    times = BARS["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype(object)
    times[[6, 9]] = value
    frame = BARS.assign(timestamp=times)
    path = tmp_path / f"A{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    with pytest.raises(BarsRejected, match=r"row 7, column 'timestamp': the time is missing \(2 rows"):
        read_bars(path)


@pytest.mark.parametrize(
    "form", ["{0}/{1}/2024", "{0}-{1}-2024", "{0}/{1}/2024 00:00", "{0}/{1}/2024 3:00 PM"]
)
def test_dates_that_stay_ambiguous_over_the_whole_file_are_refused(form: str) -> None:
    values = [form.format(f"{a:02d}", f"{b:02d}") for a, b in ((4, 4), (3, 4), (12, 11))]
    message = refusal_of(values, zone="UTC")
    assert message.startswith(
        f"A.csv, row 2, column 'when': '{values[1]}' can be day/month/year or month/day/year"
    )
    assert "Set market.day_first to true or false, or write dates as YYYY-MM-DD." in message


def test_one_row_decides_between_day_and_month() -> None:
    assert_times(["03/04/2024", "13/04/2024"], ["2024-04-03", "2024-04-13"])
    assert_times(["03/04/2024", "03/14/2024"], ["2024-03-04", "2024-03-14"])
    assert_times(["04/04/2024", "05/05/2024"], ["2024-04-04", "2024-05-05"])


def test_rows_that_decide_differently_are_refused() -> None:
    message = refusal_of(["13/04/2024", "14/04/2024", "04/15/2024"])
    assert message.startswith("A.csv, row 3, column 'when': '04/15/2024' has month 15, which does not exist")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Asia/Kolkata", "Etc/GMT+5"])
@pytest.mark.parametrize("start", ["2024-01-15", "2024-03-09"])
def test_times_with_another_zone_become_utc(tmp_path: Path, zone: str, suffix: str, start: str) -> None:
    bars = sound_bars(start=start)
    local = bars.assign(timestamp=bars["timestamp"].dt.tz_convert(zone))
    path = tmp_path / f"A{suffix}"
    if suffix == ".csv":
        local.to_csv(path, index=False)
    else:
        local.to_parquet(path)
    result = read_bars(path)
    pd.testing.assert_frame_equal(result.bars, bars)
    changing = suffix == ".csv" and zone == "America/New_York" and start == "2024-03-09"
    assert [finding.kind for finding in result.report.findings] == ["mixed time zones"] * changing


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-14 * 60, 14 * 60), min_size=2, max_size=20))
def test_mixed_time_zones_become_utc_and_are_reported_with_their_rows(offsets: list[int]) -> None:
    moments = [datetime(2024, 5, 17, 12, 30, tzinfo=UTC) + timedelta(hours=i) for i in range(len(offsets))]
    texts = []
    for moment, offset in zip(moments, offsets, strict=True):
        sign, minutes = "-+"[offset >= 0], abs(offset)
        wall = (moment + timedelta(minutes=offset)).strftime("%Y-%m-%dT%H:%M:%S")
        texts.append(f"{wall}{sign}{minutes // 60:02d}:{minutes % 60:02d}")
    times, report = times_of(texts)
    pd.testing.assert_index_equal(times, pd.DatetimeIndex(moments).as_unit("ns"))
    if len(set(offsets)) > 1:
        (finding,) = report.findings
        assert (finding.kind, finding.reaction) == ("mixed time zones", "repaired")
        assert finding.rows == tuple(i for i, offset in enumerate(offsets, 1) if offset)
    else:
        assert report.findings == []


NAIVE = ["2024-01-15 00:00:00", "2024-01-15 01:00:00", "2024-01-15 02:00:00"]


@pytest.mark.parametrize("kind", [pa.string(), pa.timestamp("s"), pa.timestamp("ns")])
def test_naive_times_of_day_are_refused_unless_a_zone_is_set(kind: pa.DataType) -> None:
    column = pa.array(NAIVE).cast(kind)
    message = refusal_of(column)
    assert message.startswith("A.csv, row 2, column 'when': '2024-01-15 01:00:00")
    assert "has a time of day but no time zone (2 rows have this problem)" in message
    assert "market.time_zone" in message
    berlin = ["2024-01-14 23:00", "2024-01-15 00:00", "2024-01-15 01:00"]
    (finding,) = assert_times(column, berlin, zone="Europe/Berlin").findings
    assert (finding.kind, finding.reaction) == ("time zone", "repaired")
    assert "Europe/Berlin, set by market.time_zone" in finding.message


def test_the_user_s_zone_goes_before_the_layout_s() -> None:
    assert_times(NAIVE, list(NAIVE), own="UTC")
    assert_times(NAIVE, ["2024-01-14 23:00", "2024-01-15 00:00", "2024-01-15 01:00"], own="UTC", zone="CET")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "\0", "Europe"])
def test_an_unknown_zone_is_refused_with_examples(zone: str) -> None:
    if not zone:
        assert "no time zone" in refusal_of(NAIVE, own=None)
        return
    assert "market.time_zone is" in refusal_of(NAIVE, zone=zone)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["2024-01-01", "2024-01-02", "2024-07-02"], pa.string()),
        (["2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-07-02 00:00:00"], pa.string()),
        (["2024-01-01", "2024-01-02", "2024-07-02"], pa.date32()),
        (["2024-01-01", "2024-01-02", "2024-07-02"], pa.date64()),
        (["2024-01-01", "2024-01-02", "2024-07-02"], pa.timestamp("us")),
        ([20240101, 20240102, 20240702], pa.int64()),
        ([20240101, 20240102, 20240702], pa.float64()),
    ],
)
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_plain_dates_are_session_dates_whatever_the_zone(
    column: list[object], kind: pa.DataType, zone: str | None
) -> None:
    array = (
        pa.array(column).cast(pa.string()).cast(kind)
        if pa.types.is_temporal(kind)
        else pa.array(column, kind)
    )
    report = assert_times(array, ["2024-01-01", "2024-01-02", "2024-07-02"], zone=zone)
    assert report.findings == []


def test_a_bad_date_among_whole_numbers_is_named() -> None:
    assert refusal_of([20240101, 20240132, 20240103]).startswith(
        "A.csv, row 2, column 'when': '20240132' is no"
    )
    assert refusal_of([20240101, 2024010, 20240103]).startswith(
        "A.csv, row 2, column 'when': '2024010' is not a"
    )


def test_a_time_without_zone_among_others_needs_one() -> None:
    texts = ["2024-01-15T00:30:00Z", "2024-01-15T01:30:00", "2024-01-15T04:30:00+02:00"]
    message = refusal_of(texts)
    assert message.startswith(
        "A.csv, row 2, column 'when': '2024-01-15T01:30:00' has no time zone while other"
    )
    expected = ["2024-01-15 00:30", "2024-01-15 01:30", "2024-01-15 02:30"]
    report = assert_times(texts, expected, zone="UTC")
    assert [finding.kind for finding in report.findings] == ["time zone", "mixed time zones"]


def test_a_midnight_without_zone_among_others_is_an_instant_of_the_zone() -> None:
    texts = ["2024-01-15T00:00:00+01:00", "2024-01-16T00:00:00"]
    assert_times(texts, ["2024-01-14 23:00", "2024-01-15 23:00"], zone="Europe/Berlin")


@pytest.mark.parametrize("hour", ["2024-03-31 02:30:00", "2024-10-27 02:30:00"])
def test_an_hour_that_summer_time_skips_or_repeats_is_refused(hour: str) -> None:
    message = refusal_of(["2024-01-15 01:00:00", hour], zone="Europe/Berlin")
    assert message.startswith(
        f"A.csv, row 2, column 'when': '{hour}' does not exist or exists twice in Europe"
    )


@pytest.mark.parametrize("freq", ["1h", "30min", "5min"])
@pytest.mark.parametrize("descending", [False, True])
def test_the_hour_that_autumn_repeats_is_told_apart_by_the_order_of_the_rows(
    tmp_path: Path, freq: str, descending: bool
) -> None:
    bars = sound_bars(900, freq=freq, start="2024-10-26")
    local = bars.assign(timestamp=bars["timestamp"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None))
    policy = IngestPolicy(time_zone="Europe/Berlin")
    for suffix in (".csv", ".parquet"):
        frame = local[::-1] if descending else local
        result = read_bars(save(frame.reset_index(drop=True), tmp_path, suffix), policy=policy)
        pd.testing.assert_frame_equal(result.bars, bars)
        (finding,) = [f for f in result.report.findings if f.kind == "summer time"]
        assert (finding.reaction, finding.count) == ("repaired", 2 * pd.Timedelta("1h") // pd.Timedelta(freq))


def test_an_hour_that_comes_once_or_out_of_order_in_autumn_is_refused(tmp_path: Path) -> None:
    bars = sound_bars(60, start="2024-10-26")
    local = bars.assign(timestamp=bars["timestamp"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None))
    twice = np.flatnonzero(local["timestamp"] == pd.Timestamp("2024-10-27 02:00"))
    assert len(twice) == 2
    for frame in (local.drop(index=twice[0]), local.iloc[[*range(30, 60), *range(30)]]):
        with pytest.raises(BarsRejected, match=r"'2024-10-27 02:00:00.* exists twice in Europe/Berlin"):
            read_bars(save(frame, tmp_path, ".parquet"), policy=IngestPolicy(time_zone="Europe/Berlin"))


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us")])
@pytest.mark.parametrize("value", [2**62, -(2**62), 10**13, -(10**18)])
def test_times_that_nanoseconds_cannot_hold_are_refused(kind: pa.DataType, value: int) -> None:
    if abs(value) == 10**13 and kind.unit != "s":
        value *= 10**3
    column = pa.array([1_709_000_000, value]).cast(kind)
    assert refusal_of(column, zone="UTC").startswith("A.csv, row 2, column 'when': ")


def test_days_that_nanoseconds_cannot_hold_are_refused() -> None:
    column = pa.array([19_000, 2**31 - 1], pa.int32()).cast(pa.date32())
    assert refusal_of(column).startswith("A.csv, row 2, column 'when': ")


def test_an_unknown_zone_in_a_file_is_refused() -> None:
    column = pa.array([1_709_000_060, 1_709_000_120]).cast(pa.timestamp("s", "Mars/Olympus"))
    assert "is a time of the zone 'Mars/Olympus', which is not known" in refusal_of(column)


def test_a_zone_that_is_set_is_the_policy_s(tmp_path: Path) -> None:
    local = BARS["timestamp"].dt.tz_convert("Asia/Tokyo").dt.tz_localize(None)
    path = write(tmp_path, BARS.assign(timestamp=local).to_csv(index=False))
    with pytest.raises(BarsRejected, match=r"row 1, column 'timestamp': .* no time zone"):
        read_bars(path)
    read = read_bars(path, policy=IngestPolicy(time_zone="Asia/Tokyo")).bars
    pd.testing.assert_frame_equal(read, BARS)
