"""Floor 3: who may look at which bars."""

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files


@step(
    group="c_folds",
    category="models",
    method=1,
    kinds={"numpy"},
    settings=("folds",),
    fits=False,
)
def cv_folds(work: Work, dataset: ArtifactRef) -> Built:
    """The four eras, and purged, embargoed folds inside the first."""
    from trading_assets.features.dataset import Dataset
    from trading_assets.reports import pictures
    from trading_assets.validation.folds import make_folds

    data = Dataset.read(dataset.open())
    folds = make_folds(data, work.settings)
    folds.write(work.folder)
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
    return Built(
        identity=digest_files(work.folder, ["eras.json", "splits.safetensors"]),
        summary=Summary(
            numbers={"n_splits": len(rows), "embargo (bars)": work.settings.folds.embargo},
            tables={"eras": eras, "folds": rows},
            pictures=(pictures.folds(work.folder, folds.eras, folds.splits, len(data)),),
        ),
    )
