"""Floor 4, stage 1: the forecasters, each with its out-of-fold predictions."""

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.forecasters import OUT_OF_FOLD
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files

GROUP = "04_forecasters"


@step(
    group=GROUP,
    category="models",
    method=1,
    kinds={"lightgbm"},
    settings=("lightgbm", "seed", "labels.horizon"),
)
def lightgbm_forecaster(work: Work, dataset: ArtifactRef, cv_folds: ArtifactRef) -> Built:
    """Boosted trees on one bar's features. As a positive control they also forecast high variance."""
    from trading_assets.forecasters.lightgbm import LightGBMForecaster
    from trading_assets.forecasters.stage1_training import fit_forecaster
    from trading_assets.reports import pictures

    parameters = work.settings.lightgbm.model_dump()
    fitted = fit_forecaster(
        lambda: LightGBMForecaster(work.settings.seed, **parameters),
        dataset.open(),
        cv_folds.open(),
        horizon=work.settings.labels.horizon,
        control=True,
    )
    fitted.write(work.folder)
    gain = fitted.model.gain()
    return Built(
        identity=digest_files(work.folder, ["model.txt", "preprocessor.json", OUT_OF_FOLD]),
        summary=Summary(
            numbers=fitted.numbers,
            tables={"cross-validation": fitted.out_of_fold.folds},
            pictures=(
                pictures.fold_scores(work.folder, fitted.out_of_fold.folds),
                pictures.bars_chart(work.folder, "gain.png", gain, "share of gain"),
            ),
            notes=fitted.notes,
        ),
    )


@step(
    group=GROUP,
    category="models",
    method=1,
    kinds={"pytorch"},
    settings=("cnn_lstm", "seed", "labels.horizon"),
)
def cnn_lstm_forecaster(work: Work, dataset: ArtifactRef, cv_folds: ArtifactRef) -> Built:
    """A causal CNN-LSTM on the stationary features, trained on dense chunks."""
    from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
    from trading_assets.forecasters.stage1_training import fit_forecaster
    from trading_assets.reports import pictures

    parameters = work.settings.cnn_lstm.model_dump()
    fitted = fit_forecaster(
        lambda: CNNLSTMForecaster(work.settings.seed, **parameters),
        dataset.open(),
        cv_folds.open(),
        horizon=work.settings.labels.horizon,
    )
    fitted.write(work.folder)
    return Built(
        identity=digest_files(work.folder, ["model.safetensors", "preprocessor.json", OUT_OF_FOLD]),
        summary=Summary(
            numbers=fitted.numbers,
            tables={"cross-validation": fitted.out_of_fold.folds},
            pictures=(pictures.fold_scores(work.folder, fitted.out_of_fold.folds),),
            notes=fitted.notes,
        ),
    )
