"""Figures that code reads: typed, valid JSON in the artifact, and plain words where they are not there."""

import json
import math
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from trading_assets.errors import ArtifactError
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Recipe, Summary
from trading_assets.registry.figures import Figure, Figures, Row
from trading_assets.registry.store import ArtifactStore

NAN = float("nan")


class Fold(Row):
    net_return: Figure = Field(alias="net return")


class Mine(Figures):
    FILE: ClassVar[str] = "mine.json"

    sharpe: Figure = Field(alias="Sharpe ratio")
    folds: tuple[Fold, ...] = ()


def stored(
    root: Path, text: str | None = None, *, summary: Summary | None = None, **values: object
) -> ArtifactRef:
    """An artifact that holds figures of `values`, or `text` in their place."""

    def build(folder: Path) -> BuildResult:
        Mine(**values).write(folder)
        if text is not None:
            (folder / Mine.FILE).write_text(text)
        return BuildResult(identity="0", summary=summary or Summary())

    recipe = Recipe(category="models", kind="mine", symbol="X", method=1, settings={}, inputs={})
    return ArtifactStore(root).get_or_build(recipe, {}, build).ref


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_figures_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    figures = Mine(sharpe=1 / 3, folds=(Fold(net_return=-0.1), Fold(net_return=0.2)))
    assert Mine.read(stored(tmp_path, **dict(figures))) == figures


@pytest.mark.parametrize("unknown", [NAN, math.inf, -math.inf])
def test_what_is_not_finite_is_null_in_the_file_and_nan_when_read(tmp_path: Path, unknown: float) -> None:
    ref = stored(tmp_path, sharpe=unknown, folds=(Fold(net_return=unknown),))
    tree = json.loads((ref.path / Mine.FILE).read_text(), parse_constant=refuse)
    assert tree == {"Sharpe ratio": None, "folds": [{"net return": None}]}
    figures = Mine.read(ref)
    assert math.isnan(figures.sharpe) and math.isnan(figures.folds[0].net_return)


def test_a_figure_that_an_earlier_version_had_not_is_named_with_the_command_that_rebuilds(
    tmp_path: Path,
) -> None:
    ref = stored(tmp_path, '{"folds": []}', sharpe=1.0)
    with pytest.raises(ArtifactError) as raised:
        Mine.read(ref)
    assert str(raised.value) == (
        "mine 1.0.0 of X was built by an earlier version of this package, without 'Sharpe ratio' as it is "
        "now in mine.json. Rebuild it: trading-assets train mine --symbols X"
    )


def test_a_changed_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    ref = stored(tmp_path, sharpe=1.0)
    (ref.path / Mine.FILE).write_text('{"Sharpe ratio": 9.0}')
    with pytest.raises(ArtifactError, match="was changed after it was written"):
        Mine.read(ref)


def test_metadata_of_an_artifact_is_json_though_a_number_of_its_summary_is_unknown(tmp_path: Path) -> None:
    summary = Summary(numbers={"Sharpe": NAN, "bars": 3}, tables={"folds": [{"return": NAN}]})
    ref = stored(tmp_path, sharpe=1.0, summary=summary)
    json.loads((ref.path / "metadata.json").read_text(), parse_constant=refuse)
    assert math.isnan(float(ref.summary.numbers["Sharpe"])) and ref.summary.numbers["bars"] == 3


def test_a_table_with_an_unknown_number_is_found_again_as_the_same(tmp_path: Path) -> None:
    """Equal but for what its bars are called: its content and findings, NaN among them, are as before."""
    store = ArtifactStore(tmp_path)
    summary = Summary(numbers={"mean": NAN, "rows": 3}, tables={"columns": [{"mean": NAN}]})

    def outcome(digest: str) -> str:
        recipe = Recipe(
            category="tables", kind="t", symbol="X", method=1, settings={}, inputs={"file": digest}
        )
        return store.get_or_build(recipe, {}, lambda _: BuildResult(identity="same", summary=summary)).outcome

    assert [outcome("one"), outcome("other")] == ["built", "unchanged"]
