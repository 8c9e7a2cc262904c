"""The forecasters' hidden state and probabilities of every bar, which agents learn from."""

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.assets.calibrators import CALIBRATORS
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files, digest_json
from trading_assets.registry.tables import digest_table, write_table


@symbol_asset(
    group="f_embeddings",
    category="models",
    method=3,
    kinds={"numpy", "parquet"},
    inputs=("dataset", "cv_folds", *CALIBRATORS),
    fits=False,
)
def market_embeddings(
    context: BuildContext, dataset: ArtifactRef, cv_folds: ArtifactRef, **inputs: ArtifactRef
) -> BuildResult:
    """The encoder's hidden state and the calibrated probabilities of every bar.

    Computed with the network that ships, so that an agent meets live what it met in training.
    """
    from trading_assets.features.dataset import Dataset
    from trading_assets.forecasters.crossfit import score
    from trading_assets.forecasters.loading import load_forecaster
    from trading_assets.forecasters.stacking import StackedForecasters
    from trading_assets.reports import pictures
    from trading_assets.validation.folds import Folds

    data, eras = Dataset.read(dataset.open()), Folds.read(cv_folds.open()).eras
    models = {kind: load_forecaster(inputs[name].open()) for name, kind in CALIBRATORS.items()}
    stack = StackedForecasters.stack(models)
    stack.write(context.folder)
    table = stack.table(data.features)
    stack.require_parity(table, data.features, models)
    write_table(table, context.folder / "embeddings.parquet")
    y = data.target("direction")[eras.agent_train.rows]
    columns = {name: table[name].to_numpy(dtype="float64") for name in stack.probabilities}
    rows = [
        {"probability": name, "era": "agent_train", **score(y, p[eras.agent_train.rows])}
        for name, p in columns.items()
    ]
    return BuildResult(
        identity=digest_json(
            [digest_files(context.folder, ["architecture.json", "weights.safetensors"]), digest_table(table)]
        ),
        summary=Summary(
            numbers={"rows": len(table), "embedding size": table.shape[1] - len(columns)},
            tables={"out of sample": rows},
            pictures=(pictures.probabilities(context.folder, data.frame["timestamp"], columns),),
        ),
    )
