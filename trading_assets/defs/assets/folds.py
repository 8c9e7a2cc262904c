"""Eras and folds: which bars may be used for what."""

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files


@symbol_asset(
    group="c_folds",
    category="models",
    method=1,
    kinds={"numpy"},
    settings=("folds",),
    fits=False,
)
def cv_folds(context: BuildContext, dataset: ArtifactRef) -> BuildResult:
    """The four eras, and purged, embargoed folds inside the first."""
    from trading_assets.features.dataset import Dataset
    from trading_assets.reports import pictures
    from trading_assets.validation.folds import make_folds

    data = Dataset.read(dataset.open())
    folds = make_folds(data, context.settings)
    folds.write(context.folder)
    eras = [
        {
            "era": name,
            "first": str(data.frame["timestamp"].iloc[era["start"]]),
            "last": str(data.frame["timestamp"].iloc[era["stop"] - 1]),
            "bars": era["stop"] - era["start"],
        }
        for name, era in folds.eras.to_json().items()
    ]
    rows = [
        {
            "fold": number + 1,
            "train bars": len(train),
            "test bars": len(test),
            "purged or embargoed": len(folds.eras.forecaster_train) - len(train) - len(test),
        }
        for number, (train, test) in enumerate(folds.splits)
    ]
    return BuildResult(
        identity=digest_files(context.folder, ["eras.json", "splits.safetensors"]),
        summary=Summary(
            numbers={"n_splits": len(rows), "embargo (bars)": context.settings.folds.embargo},
            tables={"eras": eras, "folds": rows},
            pictures=(pictures.folds(context.folder, folds.eras, folds.splits, len(data)),),
        ),
    )
