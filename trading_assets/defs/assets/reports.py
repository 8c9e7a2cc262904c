"""Reports: what the forecasters and the bundle earned, and all symbols side by side."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.assets.calibrators import CALIBRATORS, FOLLOWED
from trading_assets.defs.pipeline import BuildContext
from trading_assets.errors import ArtifactError
from trading_assets.forecasters.diagnostics import SHARPE, check_sharpe
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Recipe, Summary
from trading_assets.registry.digests import digest_files
from trading_assets.registry.files import write_json
from trading_assets.registry.store import ArtifactStore
from trading_assets.reports.figures import POLICY, BacktestFigures, SharpeFigures, StrategyFigures

GROUP = "j_deploy"


@symbol_asset(
    group=GROUP,
    category="reports",
    method=3,
    kinds={"matplotlib"},
    inputs=("dataset", "cv_folds", *CALIBRATORS),
    settings=FOLLOWED,
    reads_trials=True,
    checks=(SHARPE,),
)
def forecast_report(
    context: BuildContext, dataset: ArtifactRef, cv_folds: ArtifactRef, **inputs: ArtifactRef
) -> BuildResult:
    """The calibrated forecasters on the validation era: what they knew, and what trading on it earned."""
    from trading_assets.features.dataset import Dataset
    from trading_assets.reports import pictures
    from trading_assets.reports.forecasts import compare_forecasters
    from trading_assets.validation.folds import Folds
    from trading_assets.validation.ties import TIE, first_best

    folders = {kind: inputs[name].open() for name, kind in CALIBRATORS.items()}
    data, eras = Dataset.read(dataset.open()), Folds.read(cv_folds.open()).eras
    compared = compare_forecasters(folders, data, eras.validation, context.settings, context.tried)
    write_json(context.folder / "forecasters.json", compared.rows)
    times = data.frame["timestamp"].iloc[compared.bars]
    sharpes = [row["net Sharpe"] for row in compared.rows]
    best = compared.rows[first_best(sharpes, TIE)]
    return BuildResult(
        identity=digest_files(context.folder, ["forecasters.json"]),
        summary=Summary(
            numbers={
                "verdict": best["verdict"],
                "best forecaster": best["forecaster"],
                "probability of overfitting": compared.overfitting,
                "probability of loss": compared.loss,
                "trials": context.tried.n_trials,
                "validation bars": len(eras.validation),
            },
            tables={"validation era": compared.rows},
            pictures=(
                pictures.growth(context.folder, times, compared.growth),
                pictures.reliability(context.folder, compared.reliability),
            ),
            checks=check_sharpe(best["net Sharpe"]),
        ),
    )


@symbol_asset(
    group=GROUP,
    category="reports",
    method=6,
    kinds={"matplotlib"},
    settings=("environment", "costs", "risk", "labels.horizon", "bundle.warm_up_bars"),
    reads_trials=True,
    checks=(SHARPE,),
)
def backtest_report(
    context: BuildContext,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    policy_ensemble: ArtifactRef,
    policy_bundle: ArtifactRef,
) -> BuildResult:
    """The bundle replayed on the test era, net of costs, beside strategies that need no training."""
    from trading_assets.agents.ensemble import EnsembleFigures
    from trading_assets.agents.storage import load_market
    from trading_assets.features.dataset import Dataset
    from trading_assets.registry.tables import write_table
    from trading_assets.reports import pictures
    from trading_assets.reports.backtest import (
        HTML,
        RETURNS,
        compare_on_test,
        replay_bundle,
        returns_table,
        run_baselines,
    )
    from trading_assets.reports.html import write_html
    from trading_assets.reports.tearsheet import tear_sheet

    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), context.settings)
    data = Dataset.read(dataset.open())
    result, decisions = replay_bundle(policy_bundle.open(), market)
    width = EnsembleFigures.read(policy_ensemble).band_width
    results = {POLICY: result, **run_baselines(market, width)}
    horizon = context.settings.labels.horizon
    rows, luck = compare_on_test(results, data.periods_per_year, context.tried, label_horizon=horizon)
    era, costs = market.eras.test, context.settings.costs
    times = data.frame["timestamp"].iloc[era.start + 1 : era.stop]
    write_table(decisions, context.folder / "decisions.parquet")
    write_table(returns_table(times, result), context.folder / RETURNS)
    figures = BacktestFigures(
        strategies=tuple(StrategyFigures(**row) for row in rows),
        luck=SharpeFigures.model_validate(luck),
        periods_per_year=data.periods_per_year,
        fee_bps=costs.fee_bps,
        slippage_bps=costs.slippage_bps,
        test_bars=len(era),
        band_width=width,
    )
    figures.write(context.folder)
    shown = (
        pictures.growth(context.folder, times, {k: one.equity[1:] for k, one in results.items()}),
        *tear_sheet(context.folder, times, result, data.periods_per_year),
    )
    write_html(
        context.folder / HTML,
        times,
        result.returns,
        title=f"{context.symbol}, policy bundle {policy_bundle.version} on the test era",
        strategies=rows,
        luck=luck,
        pictures=[context.folder / name for name in shown],
        facts={
            "fee (bps)": costs.fee_bps,
            "slippage (bps)": costs.slippage_bps,
            "bars a year": data.periods_per_year,
        },
    )
    return BuildResult(
        identity=digest_files(context.folder, [BacktestFigures.FILE]),
        summary=Summary(
            numbers=figures.headline(),
            tables={"test era, net of costs": rows},
            pictures=shown,
            notes=(f"bundle {policy_bundle.version}", f"{times.iloc[0]} to {times.iloc[-1]}"),
            checks=check_sharpe(figures.policy.sharpe),
        ),
    )


@dg.asset(
    group_name=GROUP,
    deps=[backtest_report],
    kinds={"matplotlib"},
    required_resource_keys={"workspace"},
)
def leaderboard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The newest backtest report of every symbol, best alpha first, those without a known one last."""
    from trading_assets.defs.metadata import artifact_metadata

    store = context.resources.workspace.store
    recipe, reports = leaderboard_recipe(store, context.instance.get_dynamic_partitions("symbols"))

    def build(folder: Path) -> BuildResult:
        from trading_assets.reports import pictures

        figures, notes = dict[str, BacktestFigures](), []
        for symbol, ref in reports.items():
            try:
                figures[symbol] = BacktestFigures.read(ref)
            except ArtifactError as error:
                notes.append(f"{symbol} is left out: {error}")
                context.log.warning(notes[-1])
        known = {symbol: of.policy.alpha_t for symbol, of in figures.items()}
        alpha = dict(sorted(known.items(), key=lambda item: (math.isnan(item[1]), -item[1])))
        rows = [
            {"symbol": symbol, "version": reports[symbol].version, **figures[symbol].headline()}
            for symbol in alpha
        ]
        write_json(folder / "leaderboard.json", rows)
        return BuildResult(
            identity=digest_files(folder, ["leaderboard.json"]),
            summary=Summary(
                numbers={"symbols": len(rows)},
                tables={"leaderboard": rows},
                pictures=(pictures.bars_chart(folder, "alpha.png", alpha, "t of alpha, test era"),),
                notes=tuple(notes),
            ),
        )

    obtained = store.get_or_build(recipe, reports, build)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(obtained.ref.data_version), metadata=artifact_metadata(obtained)
    )


def leaderboard_recipe(store: ArtifactStore, symbols: Sequence[str]) -> tuple[Recipe, dict[str, ArtifactRef]]:
    """The recipe of the leaderboard of registered symbols, and the reports it ranks."""
    current = {symbol: store.current("reports", "backtest_report", symbol) for symbol in sorted(symbols)}
    reports = {symbol: ref for symbol, ref in current.items() if ref is not None}
    recipe = Recipe(
        category="reports",
        kind="leaderboard",
        symbol="ALL",
        method=2,
        settings={},
        inputs={symbol: ref.data_version for symbol, ref in reports.items()},
    )
    return recipe, reports
