"""Forecasters, each with its out-of-fold predictions."""

from collections.abc import Mapping

import dagster as dg

from trading_assets.config.forecasters import CONTROL, ForecasterKind, forecaster_kinds
from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.forecasters import diagnostics
from trading_assets.forecasters.loading import OUT_OF_FOLD
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files


def _declare(kind: str, line: ForecasterKind) -> dg.AssetsDefinition:
    @symbol_asset(
        name=f"{kind}_forecaster",
        description=f"{line.description} Searched where asked for, cross-fitted, fitted on the first era.",
        group="d_forecasters",
        category="models",
        method=4,
        kinds=line.libraries,
        settings=(kind, "seed", "search", "labels.horizon"),
        checks=(
            diagnostics.AUC,
            diagnostics.SKILL,
            diagnostics.GAP,
            diagnostics.SLOPE,
            *([diagnostics.CONTROL] if kind == CONTROL else []),
        ),
    )
    def build(context: BuildContext, dataset: ArtifactRef, cv_folds: ArtifactRef) -> BuildResult:
        from trading_assets.config.paths import threads
        from trading_assets.forecasters.loading import forecaster_class
        from trading_assets.forecasters.pipeline import fit_forecaster
        from trading_assets.reports import pictures

        settings = context.settings
        model = forecaster_class(kind)(settings.seed, **getattr(settings, kind).model_dump())
        fitted = fit_forecaster(
            model,
            dataset.open(),
            cv_folds.open(),
            settings,
            trials=context.trials,
            checkpoints=context.checkpoints,
            studies=context.studies,
            n_threads=threads(),
            control=kind == CONTROL,
        )
        fitted.write(context.folder)
        shown = [
            pictures.fold_scores(context.folder, fitted.out_of_fold.folds),
            pictures.importances(context.folder, fitted.importance),
        ]
        tables = {"cross-validation": fitted.out_of_fold.folds}
        if fitted.search is not None:
            tables["search"] = [
                {**row, "fold losses": str(row["fold losses"])} for row in fitted.search.trials
            ]
            shown.append(pictures.search(context.folder, fitted.search.trials, fitted.search.importance))
        record = fitted.model.training_
        return BuildResult(
            identity=digest_files(context.folder, ["model.json", OUT_OF_FOLD]),
            details={"training": record},
            summary=Summary(
                numbers=fitted.numbers,
                tables=tables,
                pictures=tuple(shown),
                notes=tuple(record.get("degradations", [])),
                checks=fitted.checks,
            ),
        )

    return build


forecasters: Mapping[str, dg.AssetsDefinition] = {
    kind: _declare(kind, line) for kind, line in forecaster_kinds().items()
}
"""By kind."""
