"""The table of layouts: what other people's tools write is read right, or refused with what helps."""

from pathlib import Path

import pandas as pd
import pytest

from tests.market.layouts import LAYOUTS, Layout
from trading_assets.errors import BarsRejected
from trading_assets.market.ingest import read_bars


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_what_a_tool_writes_is_read_right_or_refused_with_what_helps(layout: Layout, tmp_path: Path) -> None:
    path, bars = layout.write(tmp_path)
    if layout.refused:
        with pytest.raises(BarsRejected) as refusal:
            read_bars(path, symbol=layout.symbol, policy=layout.settings())
        for words in layout.refused:
            assert words in str(refusal.value)
        return
    result = read_bars(path, symbol=layout.symbol, policy=layout.settings())
    pd.testing.assert_frame_equal(result.bars, bars)
    kinds = (finding.kind for finding in result.report.findings)
    assert sorted(kind for kind in kinds if kind != "gap") == sorted(
        layout.said
    )  # nights are gaps to a reader
