"""Floor 10: what forecasters and the finished bundle were worth, and all symbols side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.defs.assets.calibrators import CALIBRATORS, FOLLOWED
from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.forecasters.diagnostics import SHARPE, check_sharpe
from trading_assets.registry.artifacts import ArtifactRef, Built, Recipe, Summary
from trading_assets.registry.digests import digest_files
from trading_assets.registry.store import ArtifactStore

GROUP = "j_deploy"


@step(
    group=GROUP,
    category="reports",
    method=3,
    kinds={"matplotlib"},
    inputs=("dataset", "cv_folds", *CALIBRATORS),
    settings=FOLLOWED,
    reads_trials=True,
    checks=(SHARPE,),
)
def forecast_report(work: Work, dataset: ArtifactRef, cv_folds: ArtifactRef, **inputs: ArtifactRef) -> Built:
    """The calibrated forecasters on the validation era: what they knew, and what trading on it earned."""
    from trading_assets.features.dataset import Dataset
    from trading_assets.reports import pictures
    from trading_assets.reports.forecasts import compare_forecasters
    from trading_assets.validation.folds import Folds
    from trading_assets.validation.ties import TIE, first_best

    folders = {kind: inputs[name].open() for name, kind in CALIBRATORS.items()}
    data, eras = Dataset.read(dataset.open()), Folds.read(cv_folds.open()).eras
    compared = compare_forecasters(folders, data, eras.validation, work.settings, work.tried)
    (work.folder / "forecasters.json").write_text(json.dumps(compared.rows, indent=1))
    times = data.frame["timestamp"].iloc[compared.bars]
    sharpes = [row["net Sharpe"] for row in compared.rows]
    best = compared.rows[first_best(sharpes, TIE)]
    return Built(
        identity=digest_files(work.folder, ["forecasters.json"]),
        summary=Summary(
            numbers={
                "verdict": best["verdict"],
                "best forecaster": best["forecaster"],
                "probability of overfitting": compared.overfitting,
                "probability of loss": compared.loss,
                "trials": work.tried.n_trials,
                "validation bars": len(eras.validation),
            },
            tables={"validation era": compared.rows},
            pictures=(
                pictures.growth(work.folder, times, compared.growth),
                pictures.reliability(work.folder, compared.reliability),
            ),
            checks=check_sharpe(best["net Sharpe"]),
        ),
    )


@step(
    group=GROUP,
    category="reports",
    method=6,
    kinds={"matplotlib"},
    settings=("environment", "costs", "risk", "labels.horizon"),
    reads_trials=True,
    checks=(SHARPE,),
)
def backtest_report(
    work: Work,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    policy_ensemble: ArtifactRef,
    policy_bundle: ArtifactRef,
) -> Built:
    """The bundle replayed on the test era, net of costs, beside strategies that need no training."""
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

    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), work.settings)
    data = Dataset.read(dataset.open())
    result, decisions = replay_bundle(policy_bundle.open(), market)
    width = json.loads((policy_ensemble.open() / "band.json").read_bytes())["width"]
    results = {"policy": result, **run_baselines(market, width)}
    horizon = work.settings.labels.horizon
    rows, luck = compare_on_test(results, data.periods_per_year, work.tried, label_horizon=horizon)
    era = market.eras.test
    times = data.frame["timestamp"].iloc[era.start + 1 : era.stop]
    write_table(decisions, work.folder / "decisions.parquet")
    write_table(returns_table(times, result), work.folder / RETURNS)
    figures = {"strategies": rows, "luck": luck, "periods_per_year": data.periods_per_year}
    (work.folder / "metrics.json").write_text(json.dumps(figures, indent=1))
    policy, costs = rows[0], work.settings.costs
    drawn = (
        pictures.growth(work.folder, times, {k: one.equity[1:] for k, one in results.items()}),
        *tear_sheet(work.folder, times, result, data.periods_per_year),
    )
    write_html(
        work.folder / HTML,
        times,
        result.returns,
        title=f"{work.symbol}, policy bundle {policy_bundle.version} on the test era",
        strategies=rows,
        luck=luck,
        pictures=[work.folder / name for name in drawn],
        facts={
            "fee (bps)": costs.fee_bps,
            "slippage (bps)": costs.slippage_bps,
            "bars a year": data.periods_per_year,
        },
    )
    return Built(
        identity=digest_files(work.folder, ["metrics.json"]),
        summary=Summary(
            numbers={
                "verdict": policy["verdict"],
                **{
                    name: policy[name]
                    for name in ("net return", "gross return", "max drawdown", "orders", "alpha t")
                },
                **luck,
                "buy and hold": rows[2]["net return"],
                "fee (bps)": costs.fee_bps,
                "slippage (bps)": costs.slippage_bps,
                "test bars": len(era),
                "band width": width,
            },
            tables={"test era, net of costs": rows},
            pictures=drawn,
            notes=(f"bundle {policy_bundle.version}", f"{times.iloc[0]} to {times.iloc[-1]}"),
            checks=check_sharpe(policy["Sharpe"]),
        ),
    )


@dg.asset(
    group_name=GROUP,
    deps=[backtest_report],
    kinds={"matplotlib"},
    required_resource_keys={"workspace"},
)
def leaderboard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The newest backtest report of every symbol, best alpha first."""
    from trading_assets.defs.metadata import artifact_metadata

    store = context.resources.workspace.store
    recipe, reports = leaderboard_recipe(store, context.instance.get_dynamic_partitions("symbols"))

    def build(folder: Path) -> Built:
        from trading_assets.reports import pictures

        rows: list[dict[str, Any]] = [
            {"symbol": symbol, "version": ref.version, **ref.summary.numbers}
            for symbol, ref in reports.items()
        ]
        rows.sort(key=lambda row: -float(row["alpha t"]))
        (folder / "leaderboard.json").write_text(json.dumps(rows, indent=1))
        alpha = {row["symbol"]: float(row["alpha t"]) for row in rows}
        return Built(
            identity=digest_files(folder, ["leaderboard.json"]),
            summary=Summary(
                numbers={"symbols": len(rows)},
                tables={"leaderboard": rows},
                pictures=(pictures.bars_chart(folder, "alpha.png", alpha, "t of alpha, test era"),),
            ),
        )

    obtained = store.obtain(recipe, reports, build)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(obtained.ref.data_version), metadata=artifact_metadata(obtained)
    )


def leaderboard_recipe(store: ArtifactStore, symbols: Sequence[str]) -> tuple[Recipe, dict[str, ArtifactRef]]:
    """The recipe of the leaderboard of registered symbols, and the reports it ranks."""
    found = {symbol: store.current("reports", "backtest_report", symbol) for symbol in sorted(symbols)}
    reports = {symbol: ref for symbol, ref in found.items() if ref is not None}
    recipe = Recipe(
        category="reports",
        kind="leaderboard",
        symbol="ALL",
        method=1,
        settings={},
        inputs={symbol: ref.data_version for symbol, ref in reports.items()},
    )
    return recipe, reports
