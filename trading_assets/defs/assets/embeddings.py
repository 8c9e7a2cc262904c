"""The forecasters' hidden state and probabilities of every bar, which agents learn from."""

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files, digest_json
from trading_assets.registry.tables import digest_table, write_table


@symbol_asset(group="f_embeddings", category="models", method=2, kinds={"numpy", "parquet"}, fits=False)
def market_embeddings(
    context: BuildContext,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    lightgbm_calibrator: ArtifactRef,
    gru_calibrator: ArtifactRef,
    cnn_lstm_calibrator: ArtifactRef,
) -> BuildResult:
    """The CNN-LSTM's hidden state and the calibrated probabilities of every bar.

    Computed with the network that ships, so that an agent meets live what it met in training.
    """
    from trading_assets.execution.networks import PROBABILITIES
    from trading_assets.features.dataset import Dataset
    from trading_assets.forecasters import load_forecaster
    from trading_assets.forecasters.crossfit import score
    from trading_assets.forecasters.stage1 import Stage1
    from trading_assets.reports import pictures
    from trading_assets.validation.folds import Folds

    data, eras = Dataset.read(dataset.open()), Folds.read(cv_folds.open()).eras
    calibrated = (lightgbm_calibrator, gru_calibrator, cnn_lstm_calibrator)
    models = {ref.kind.removesuffix("_calibrator"): load_forecaster(ref.open()) for ref in calibrated}
    stage1 = Stage1.join(models)
    stage1.write(context.folder)
    table = stage1.table(data.features)
    stage1.require_parity(table, data.features, models)
    write_table(table, context.folder / "embeddings.parquet")
    y = data.target("direction")[eras.agent_train.rows]
    columns = {name: table[name].to_numpy(dtype="float64") for name in PROBABILITIES}
    rows = [
        {"probability": name, "era": "agent_train", **score(y, p[eras.agent_train.rows])}
        for name, p in columns.items()
    ]
    return BuildResult(
        identity=digest_json(
            [digest_files(context.folder, ["architecture.json", "weights.safetensors"]), digest_table(table)]
        ),
        summary=Summary(
            numbers={"rows": len(table), "embedding size": table.shape[1] - len(PROBABILITIES)},
            tables={"out of sample": rows},
            pictures=(pictures.probabilities(context.folder, data.frame["timestamp"], columns),),
        ),
    )
