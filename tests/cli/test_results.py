"""What the command line prints of reports: their figures, and plain words for one that has none."""

from pathlib import Path

import pytest

from tests.pipeline import SYMBOL, current
from trading_assets.cli.results import print_results
from trading_assets.defs.resources import Workspace
from trading_assets.registry.manifest import write_manifest
from trading_assets.reports.figures import BacktestFigures


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    print_results(Workspace().store, [SYMBOL], [SYMBOL], {})
    return capsys.readouterr().out


def test_the_table_shows_the_figures_of_the_report(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = BacktestFigures.read(current("backtest_report"))
    text = printed(capsys)
    assert figures.policy.verdict in text
    for shown in (f"{figures.policy.max_drawdown:.1%}", f"{figures.policy.alpha_t:.1f}"):
        assert shown in text
    assert f"{figures.luck.deflated:.2f}" in text


def test_a_report_of_an_earlier_version_has_no_row_but_the_command_that_rebuilds_it(
    own_trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = current("backtest_report").path
    figures = (folder / BacktestFigures.FILE).read_text()
    (folder / BacktestFigures.FILE).write_text(figures.replace('"band_width"', '"width"'))
    write_manifest(folder)
    text = printed(capsys)
    assert "Test era" not in text
    assert f"Rebuild it: trading-assets train backtest_report --symbols {SYMBOL}" in text
    assert f"bundle {current('policy_bundle').path}" in text
