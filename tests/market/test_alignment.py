"""Opens and closes that do not belong to the same bar are warned of, and only those."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.market.samples import save, sound_bars
from trading_assets.config.settings import IngestPolicy
from trading_assets.market import Finding, read_bars

MARKET = Path(__file__).parents[3] / "shared" / "market"
POLICY = IngestPolicy(accept_jumps=True, max_gap_days=3_000, time_zone="UTC")
FILES = [path for path in sorted(MARKET.glob("*/*")) if path.parent.name != "perp_funding_8h"]
JUMPY = {
    "equity_1d/AAPL.csv",
    "equity_1d/SPY.csv",
    "dirty/EEM_1d.csv",
    "dirty/QQQ_1d.csv",
    "dirty/USO_1d.csv",
}
"""From day to day a stock opens where it likes, so that no shift of it can be seen."""
SHIFTS = [(column, rows) for column in ("open", "close") for rows in (-2, -1, 1, 2)]

real = pytest.mark.skipif(not FILES, reason="the shared market data is not there")


def shifted(bars: pd.DataFrame, column: str, rows: int) -> pd.DataFrame:
    """A column moved down by `rows`, with highs and lows that enclose what came out."""
    moved = bars.assign(**{column: bars[column].shift(rows)}).dropna().reset_index(drop=True)
    prices = moved[["open", "high", "low", "close"]]
    return moved.assign(high=prices.max(axis=1), low=prices.min(axis=1))


def warning(path: Path, policy: IngestPolicy = POLICY) -> Finding | None:
    found = [one for one in read_bars(path, policy=policy).report.warnings if one.kind == "shifted prices"]
    assert len(found) <= 1
    return found[0] if found else None


@real
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_real_file_is_warned_of_and_every_shifted_copy_is_where_a_shift_shows(
    path: Path, tmp_path: Path
) -> None:
    bars = read_bars(path, policy=POLICY).bars
    assert warning(path) is None
    some = bars.iloc[-5_000:].reset_index(drop=True)
    assert warning(save(some, tmp_path, ".parquet")) is None
    for column, rows in SHIFTS:
        found = warning(save(shifted(some, column, rows), tmp_path, ".parquet"))
        jumpy = f"{path.parent.name}/{path.name}" in JUMPY
        assert (found is None) == jumpy, (column, rows)


@pytest.mark.parametrize(
    ("column", "rows", "place"),
    [
        ("open", 1, "two rows before"),  # stale
        ("open", -1, "in the same row"),
        ("close", -1, "two rows before"),  # from the future
        ("close", 1, "in the same row"),
        ("open", 2, "three rows before"),
        ("close", 2, "in the row after"),
    ],
)
def test_the_warning_says_where_the_right_close_stands_and_names_the_rows(
    tmp_path: Path, column: str, rows: int, place: str
) -> None:
    bars = shifted(sound_bars(400), column, rows)
    found = warning(save(bars, tmp_path))
    assert found is not None
    assert f"100% of the opens continue the close {place}," in found.message
    assert found.column == "open"
    assert 0.8 * len(bars) < found.count < len(bars)


def test_stale_opens_are_warned_of_from_twice_the_sound_ones_on(tmp_path: Path) -> None:
    bars, stale = sound_bars(1_000), shifted(sound_bars(1_000), "open", 1)
    for share, told in ((0.2, False), (0.5, False), (0.8, True)):
        n = int(share * 1_000)
        mixed = pd.concat([stale.iloc[:n], bars.iloc[n + 1 :]], ignore_index=True)
        assert (warning(save(mixed, tmp_path)) is not None) == told, share


def test_coarse_ticks_on_which_every_open_is_near_every_close_are_no_shift(tmp_path: Path) -> None:
    close = 10 + np.cumsum(np.random.default_rng(0).integers(-1, 2, 500)) * 0.5
    close = np.maximum(close, 1.0)
    bars = sound_bars(500).assign(close=close, open=np.concatenate([close[:1], close[:-1]]))
    bars["high"], bars["low"] = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    assert warning(save(bars, tmp_path)) is None


def test_the_tick_size_of_the_settings_counts(tmp_path: Path) -> None:
    """Opens a cent off the close before are near it where a cent is a tick."""
    bars = shifted(sound_bars(400), "open", 1)
    bars["open"] = (bars["open"] + 0.03).round(2)
    bars["high"] = bars[["open", "high"]].max(axis=1)
    path = save(bars, tmp_path)
    assert warning(path) is None
    assert warning(path, POLICY.model_copy(update={"tick_size": 0.03})) is not None


def test_a_few_bars_say_nothing(tmp_path: Path) -> None:
    assert warning(save(shifted(sound_bars(30), "open", 1), tmp_path)) is None
