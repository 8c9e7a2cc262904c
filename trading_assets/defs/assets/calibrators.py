"""Calibrators: from a forecaster's scores to probabilities, fitted on out-of-fold predictions."""

from collections.abc import Mapping

import dagster as dg

from trading_assets.config.forecasters import forecaster_kinds
from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files

FOLLOWED = ("costs", "environment.maintenance_margin", "environment.liquidation_bps", "labels.horizon")
"""Settings that decide what following a forecast earns, and what is made of it."""


def _declare(kind: str) -> dg.AssetsDefinition:
    @symbol_asset(
        name=f"{kind}_calibrator",
        group="e_calibration",
        category="models",
        method=5,
        kinds={"scikitlearn"},
        inputs=("dataset", "cv_folds", f"{kind}_forecaster"),
        settings=("calibration", *FOLLOWED),
    )
    def build(
        context: BuildContext, dataset: ArtifactRef, cv_folds: ArtifactRef, **inputs: ArtifactRef
    ) -> BuildResult:
        """The forecaster with its calibrators: isotonic, Platt or beta, the best by Brier score out of fold.

        With them goes the threshold from which its forecast is worth trading.
        """
        from trading_assets.forecasters.loading import load_forecaster
        from trading_assets.forecasters.pipeline import calibrate_forecaster
        from trading_assets.reports import pictures

        folder = inputs[f"{kind}_forecaster"].open()
        calibrated = calibrate_forecaster(
            load_forecaster(folder), folder, dataset.open(), cv_folds.open(), context.settings
        )
        calibrated.write(context.folder)
        (context.folder / "cv_results.json").write_bytes((folder / "cv_results.json").read_bytes())
        return BuildResult(
            identity=digest_files(context.folder, ["model.json", "calibrator.json", "threshold.json"]),
            sharpe=calibrated.sharpe,
            alternatives=max(len(calibrated.tables["thresholds looked at"]), 1),
            summary=Summary(
                numbers=calibrated.numbers,
                tables=calibrated.tables,
                pictures=(pictures.reliability(context.folder, {"validation era": calibrated.validation}),),
            ),
        )

    return build


calibrators: Mapping[str, dg.AssetsDefinition] = {kind: _declare(kind) for kind in forecaster_kinds()}
"""By the kind of forecaster."""
CALIBRATORS: Mapping[str, str] = {f"{kind}_calibrator": kind for kind in calibrators}
"""The kind of forecaster by the name of the step."""
