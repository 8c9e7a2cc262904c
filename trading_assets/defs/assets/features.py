"""Floor 2: causal features, labels, and the dataset that everything below reads."""

from typing import Any

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.tables import digest_table, read_table, write_table

GROUP = "b_features"


METHOD = 3
"""Of the features; a table made by another method is not continued."""


@step(group=GROUP, category="tables", method=METHOD, kinds={"numba", "parquet"}, settings=("features",))
def features(work: Work, bars: ArtifactRef) -> Built:
    """Causal features of every bar, and the state to continue them from.

    Where the bars only grew since the version in force, it is continued; the result is the same.
    """
    from trading_assets.features.continuation import features_of
    from trading_assets.reports import pictures

    frame = read_table(bars.open() / "bars.parquet")
    previous = None if work.rebuild else work.previous
    table, how = features_of(frame, work.settings.features, previous, method=METHOD)
    table.save(work.folder)
    made = table.frame
    missing = made.isna().sum()
    figures = made.iloc[table.warm_up :].agg(["mean", "std", "min", "max"]).astype(float).to_dict()
    rows: list[dict[str, Any]] = [
        {
            "feature": column.name,
            "family": column.family,
            "unit": column.unit,
            "missing": int(missing[column.name]),
            **figures[column.name],
            "formula": column.formula,
        }
        for column in table.columns
    ]
    return Built(
        identity=digest_table(made),
        summary=Summary(
            numbers={"rows": len(made), "features": len(rows), "warm-up (bars)": table.warm_up},
            tables={
                "columns": rows,
                "left out": [{"feature": name, "why": why} for name, why in table.left_out.items()],
            },
            pictures=(pictures.correlations(work.folder, made), pictures.missing(work.folder, made)),
            notes=(how,),
        ),
    )


@step(group=GROUP, category="tables", method=3, kinds={"parquet"}, settings=("labels",))
def labels(work: Work, bars: ArtifactRef) -> Built:
    """Direction and high variance over the coming bars, the bars each depends on, and its weight."""
    from trading_assets.features.dataset import label_table, share_missing
    from trading_assets.reports import pictures

    frame = read_table(bars.open() / "bars.parquet")
    made = label_table(frame, work.settings.labels)
    write_table(made, work.folder / "labels.parquet")
    chosen = work.settings.labels
    span = (made["label_end"] - made["label_start"] + 1).to_numpy()
    return Built(
        identity=digest_table(made),
        summary=Summary(
            numbers={
                "rows": len(made),
                "kind": chosen.kind,
                "horizon (bars)": chosen.horizon,
                "up": float(made["direction"].mean()),
                "high variance": float(made["high_variance"].mean()),
                "unknown yet": int((made["direction"].isna() & (made["label_end"] >= len(made))).sum()),
                "labels without a direction (share)": share_missing(made),
                "span (bars, mean)": float(span.mean()),
                "weight (mean)": float(made["weight"].mean()),
            },
            pictures=(
                pictures.balance(
                    work.folder,
                    frame["timestamp"],
                    made["direction"].to_numpy(),
                    made["high_variance"].to_numpy(),
                ),
                pictures.forward_returns(work.folder, made["forward_return"].to_numpy(), chosen.horizon),
            ),
        ),
    )


@step(
    group=GROUP,
    category="tables",
    method=3,
    kinds={"parquet"},
    settings=("folds.step_bars", "market.calendar"),
)
def dataset(work: Work, bars: ArtifactRef, features: ArtifactRef, labels: ArtifactRef) -> Built:
    """Features, labels and prices up to the border. Training reads this and nothing above it.

    The border moves in steps: until a step of new bars is complete the content stays the same, and
    so does everything trained on it.
    """
    from trading_assets.errors import NotReadyError
    from trading_assets.features.dataset import assemble, describe, stationarity
    from trading_assets.features.table import FeatureTable
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
    table = FeatureTable.load(features.open())
    made = assemble(
        frame,
        table.frame,
        read_table(labels.open() / "labels.parquet"),
        warm_up=table.warm_up,
        border=end,
        calendar=work.settings.market.calendar,
    )
    made.write(work.folder)
    tested = stationarity(made)
    balance = pictures.balance(
        work.folder,
        made.frame["timestamp"],
        made.target("direction"),
        made.target("high_variance"),
    )
    return Built(
        identity=made.digest,
        summary=Summary(
            numbers={
                **describe(made),
                "features that may have a unit root": sum(row["verdict"] != "stationary" for row in tested),
                "digest of bars": bars.identity,
                "digest of features": features.identity,
                "digest of labels": labels.identity,
            },
            tables={"stationarity": tested},
            pictures=(balance,),
        ),
    )
