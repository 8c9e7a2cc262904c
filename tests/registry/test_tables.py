"""Tables come back as they were written, and a damaged one does not come back at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.registry.tables import digest_table, read_table, write_table


def table(n: int = 5_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", unit="ns"),
            "open": rng.normal(size=n),
            "small": rng.normal(size=n).astype("float32"),
            "count": rng.integers(0, 9, n),
            "flag": rng.random(n) > 0.5,
        }
    )
    frame.loc[: n // 10, ["open", "small"]] = np.nan
    return frame


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "t.parquet")
    back = read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back, table(), check_exact=True)
    assert str(back["timestamp"].dtype) == "datetime64[ns, UTC]"
    assert digest_table(back) == digest_table(table())


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_keep_their_zone_and_instant_in_every_unit(tmp_path: Path, unit: str) -> None:
    times = table(50)["timestamp"].dt.as_unit(unit).dt.tz_convert("Asia/Tokyo")
    write_table(pd.DataFrame({"timestamp": times}), tmp_path / "t.parquet")
    back = read_table(tmp_path / "t.parquet")
    assert str(back["timestamp"].dt.tz) == "Asia/Tokyo"
    assert (back["timestamp"] == table(50)["timestamp"]).all()
    assert digest_table(back) == digest_table(table(50)[["timestamp"]])


def test_chosen_columns_come_alone_and_in_the_order_asked_for(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "t.parquet")
    back = read_table(tmp_path / "t.parquet", columns=["count", "open"])
    pd.testing.assert_frame_equal(back, table()[["count", "open"]], check_exact=True)


def test_the_same_table_makes_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(table(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_flipped_bit_is_noticed_on_reading(tmp_path: Path, column: int, place: float) -> None:
    path = tmp_path / "t.parquet"
    write_table(table(), path)
    chunk = pq.read_metadata(path).row_group(0).column(column)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + int(place * chunk.total_compressed_size)] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"CRC|checksum|[Cc]orrupt"):
        read_table(path)


BASE = table(20)


@given(
    row=st.integers(0, len(BASE) - 1),
    column=st.sampled_from(["timestamp", "open", "small", "count", "flag"]),
)
def test_the_digest_changes_with_any_value(row: int, column: str) -> None:
    changed = BASE.copy()
    value = changed.loc[row, column]
    if column == "timestamp":
        changed.loc[row, column] = value + pd.Timedelta(1, "ns")
    elif column == "flag":
        changed.loc[row, column] = not value
    elif column == "count":
        changed.loc[row, column] = value + 1
    else:
        kind = BASE[column].dtype.type
        changed.loc[row, column] = 0.0 if np.isnan(value) else np.nextafter(value, kind(np.inf))
    assert (changed.dtypes == BASE.dtypes).all()
    assert digest_table(changed) != digest_table(BASE)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.rename(columns={"open": "opened"}),
        lambda f: f[["open", "timestamp", "small", "count", "flag"]],
        lambda f: f.rename(columns={"open": "small", "small": "open"}),
        lambda f: f.drop(columns="flag"),
        lambda f: f.assign(more=1.0),
        lambda f: f.iloc[:-1],
        lambda f: f.iloc[::-1],
        lambda f: f.astype({"small": "float64"}),
        lambda f: f.astype({"count": "int32"}),
    ],
    ids=["name", "order", "swapped", "fewer", "more", "shorter", "reversed", "wider", "narrower"],
)
def test_the_digest_changes_with_names_order_shape_and_type(change: object) -> None:
    assert callable(change)
    assert digest_table(change(BASE)) != digest_table(BASE)


def test_the_digest_does_not_depend_on_how_the_table_lies_in_memory() -> None:
    strided = pd.DataFrame(np.arange(40.0).reshape(20, 2), columns=["a", "b"])
    apart = pd.DataFrame({"a": strided["a"].to_numpy().copy(), "b": strided["b"].to_numpy().copy()})
    assert digest_table(strided) == digest_table(apart)
    shifted = BASE.set_axis(range(100, 120), axis="index")
    assert digest_table(shifted) == digest_table(BASE)


def test_the_digest_is_the_same_on_every_machine_and_at_every_time() -> None:
    frame = pd.DataFrame({"a": np.array([1.0, np.nan, -0.0]), "b": np.array([1, 2, 3], "int64")})
    assert digest_table(frame) == "2e91c53cf88713d0ca53a4335f33b515"


def test_text_has_no_digest_rather_than_one_of_its_addresses() -> None:
    with pytest.raises((TypeError, ValueError)):
        digest_table(pd.DataFrame({"a": np.array(["x", "y"], dtype=object)}))
