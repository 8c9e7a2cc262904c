"""Floor 5, stage 1: from scores to probabilities, fitted on out-of-fold predictions."""

import json

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.forecasters import OUT_OF_FOLD
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files
from trading_assets.registry.tables import read_table

GROUP = "05_calibration"


@step(group=GROUP, category="models", method=1, kinds={"scikitlearn"}, settings=("calibration",))
def lightgbm_calibrator(work: Work, lightgbm_forecaster: ArtifactRef) -> Built:
    """Isotonic, Platt or beta calibration of the trees, the best by Brier score out of fold."""
    return _calibrate(work, lightgbm_forecaster)


@step(group=GROUP, category="models", method=1, kinds={"scikitlearn"}, settings=("calibration",))
def cnn_lstm_calibrator(work: Work, cnn_lstm_forecaster: ArtifactRef) -> Built:
    """Isotonic, Platt or beta calibration of the CNN-LSTM, the best by Brier score out of fold."""
    return _calibrate(work, cnn_lstm_forecaster)


def _calibrate(work: Work, forecaster: ArtifactRef) -> Built:
    from trading_assets.forecasters.calibration import (
        calibrate,
        choose_calibrator,
        expected_calibration_error,
    )
    from trading_assets.reports import pictures

    frame = read_table(forecaster.open() / OUT_OF_FOLD)
    p, y = frame["p"].to_numpy(), frame["y"].to_numpy()
    calibrator, scores = choose_calibrator(p, y, frame["fold"].to_numpy(), work.settings.calibration)
    (work.folder / "calibrator.json").write_text(json.dumps(calibrator))
    after = calibrate(calibrator, p)
    return Built(
        identity=digest_files(work.folder, ["calibrator.json"]),
        summary=Summary(
            numbers={
                "method": calibrator["method"],
                "rows": len(frame),
                "ECE before": expected_calibration_error(y, p),
                "ECE after (same rows)": expected_calibration_error(y, after),
            },
            tables={
                "Brier score, cross-fitted": [
                    {"method": name, "Brier": value} for name, value in scores.items()
                ]
            },
            pictures=(pictures.reliability(work.folder, y, p, after),),
        ),
    )
