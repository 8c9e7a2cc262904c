"""Floor 2: causal features, labels, and the dataset that everything below reads."""

from typing import Any

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.tables import digest_table, read_table, write_table

GROUP = "02_features"


@step(group=GROUP, category="tables", method=1, kinds={"numba", "parquet"})
def features(work: Work, bars: ArtifactRef) -> Built:
    """Causal features of every bar, and the state to continue them from."""
    import pandas as pd
    from safetensors.numpy import save_file

    from trading_assets.features.catalogue import CATALOGUE, NAMES, WARM_UP
    from trading_assets.features.table import compute_features
    from trading_assets.market.bars import to_matrix
    from trading_assets.reports import pictures

    table = compute_features(to_matrix(read_table(bars.open() / "bars.parquet")))
    frame = pd.DataFrame(table.values, columns=list(NAMES))
    write_table(frame, work.folder / "features.parquet")
    save_file({"state": table.state}, work.folder / "state.safetensors")
    figures = frame.iloc[WARM_UP:].agg(["mean", "std", "min", "max"]).astype(float).to_dict()
    rows: list[dict[str, Any]] = [
        {
            "feature": feature.name,
            "family": feature.family,
            "unit": feature.unit,
            "warm-up": feature.warm_up,
            "formula": feature.formula,
            **figures[feature.name],
        }
        for feature in CATALOGUE
    ]
    return Built(
        identity=digest_table(frame),
        summary=Summary(
            numbers={"rows": len(frame), "features": len(NAMES), "warm-up (bars)": WARM_UP},
            tables={"features": rows},
            pictures=(pictures.correlations(work.folder, frame),),
        ),
    )


@step(group=GROUP, category="tables", method=1, kinds={"parquet"}, settings=("labels",))
def labels(work: Work, bars: ArtifactRef) -> Built:
    """Direction and high variance over the coming bars, each with the bars it depends on."""
    from dataclasses import asdict

    import numpy as np
    import pandas as pd

    from trading_assets.features.labels import make_labels
    from trading_assets.market.bars import to_matrix
    from trading_assets.reports import pictures

    made = make_labels(
        to_matrix(read_table(bars.open() / "bars.parquet")), **work.settings.labels.model_dump()
    )
    frame = pd.DataFrame(asdict(made))
    write_table(frame, work.folder / "labels.parquet")
    horizon = work.settings.labels.horizon
    return Built(
        identity=digest_table(frame),
        summary=Summary(
            numbers={
                "rows": len(frame),
                "horizon (bars)": horizon,
                "up": float(np.nanmean(made.direction)),
                "high variance": float(np.nanmean(made.high_variance)),
                "unknown yet": int(np.isnan(made.direction).sum()),
            },
            pictures=(pictures.forward_returns(work.folder, made.forward_return, horizon),),
        ),
    )


@step(group=GROUP, category="tables", method=1, kinds={"parquet"}, settings=("folds.step_bars",))
def dataset(work: Work, bars: ArtifactRef, features: ArtifactRef, labels: ArtifactRef) -> Built:
    """Features, labels and prices up to the border. Training reads this and nothing above it.

    The border moves in steps: until a step of new bars is complete the content stays the same, and
    so does everything trained on it.
    """
    from trading_assets.errors import NotReadyError
    from trading_assets.features.dataset import assemble, describe
    from trading_assets.reports import pictures
    from trading_assets.validation.eras import border

    frame = read_table(bars.open() / "bars.parquet")
    step_bars = work.settings.folds.step_bars
    end = border(len(frame), step_bars)
    if end == 0:
        raise NotReadyError(
            f"Not ready: {work.symbol} has {len(frame)} bars, one step needs {step_bars} "
            f"(folds.step_bars); {step_bars - len(frame)} are missing."
        )
    made = assemble(
        frame,
        read_table(features.open() / "features.parquet"),
        read_table(labels.open() / "labels.parquet"),
        border=end,
    )
    made.write(work.folder)
    balance = pictures.balance(
        work.folder,
        made.frame["timestamp"],
        made.target("direction"),
        made.target("high_variance"),
    )
    return Built(
        identity=digest_table(made.frame),
        summary=Summary(numbers=describe(made), pictures=(balance,)),
    )
