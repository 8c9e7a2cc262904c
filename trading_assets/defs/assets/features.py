"""Features, labels, and the dataset that all training reads."""

from typing import Any

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.tables import digest_table, read_table, write_table

GROUP = "b_features"


METHOD = 3
"""Of the features; a table of another method is computed in full."""


@symbol_asset(
    group=GROUP, category="tables", method=METHOD, kinds={"numba", "parquet"}, settings=("features",)
)
def features(context: BuildContext, bars: ArtifactRef) -> BuildResult:
    """Causal features of every bar, and the state from which later bars are computed.

    Where bars were only appended since the last version, only theirs are computed; the result is the same.
    """
    from trading_assets.features.continuation import features_of
    from trading_assets.reports import pictures

    frame = read_table(bars.open() / "bars.parquet")
    previous = None if context.rebuild else context.previous
    table, how = features_of(frame, context.settings.features, previous, method=METHOD)
    table.save(context.folder)
    values = table.frame
    missing = values.isna().sum()
    figures = values.iloc[table.warm_up :].agg(["mean", "std", "min", "max"]).astype(float).to_dict()
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
    return BuildResult(
        identity=digest_table(values),
        summary=Summary(
            numbers={"rows": len(values), "features": len(rows), "warm-up (bars)": table.warm_up},
            tables={
                "columns": rows,
                "left out": [{"feature": name, "why": why} for name, why in table.left_out.items()],
            },
            pictures=(
                pictures.correlations(context.folder, values),
                pictures.missing(context.folder, values),
            ),
            notes=(how,),
        ),
    )


@symbol_asset(group=GROUP, category="tables", method=3, kinds={"parquet"}, settings=("labels",))
def labels(context: BuildContext, bars: ArtifactRef) -> BuildResult:
    """Direction and high variance over the coming bars, the bars each depends on, and its weight."""
    from trading_assets.features.dataset import label_table, share_missing
    from trading_assets.reports import pictures

    settings = context.settings.labels
    frame = read_table(bars.open() / "bars.parquet")
    table = label_table(frame, settings)
    write_table(table, context.folder / "labels.parquet")
    span = (table["label_end"] - table["label_start"] + 1).to_numpy()
    return BuildResult(
        identity=digest_table(table),
        summary=Summary(
            numbers={
                "rows": len(table),
                "kind": settings.kind,
                "horizon (bars)": settings.horizon,
                "up": float(table["direction"].mean()),
                "high variance": float(table["high_variance"].mean()),
                "unknown yet": int((table["direction"].isna() & (table["label_end"] >= len(table))).sum()),
                "labels without a direction (share)": share_missing(table),
                "span (bars, mean)": float(span.mean()),
                "weight (mean)": float(table["weight"].mean()),
            },
            pictures=(
                pictures.balance(
                    context.folder,
                    frame["timestamp"],
                    table["direction"].to_numpy(),
                    table["high_variance"].to_numpy(),
                ),
                pictures.forward_returns(
                    context.folder, table["forward_return"].to_numpy(), settings.horizon
                ),
            ),
        ),
    )


@symbol_asset(
    group=GROUP,
    category="tables",
    method=3,
    kinds={"parquet"},
    settings=("folds.step_bars", "market.calendar"),
)
def dataset(
    context: BuildContext, bars: ArtifactRef, features: ArtifactRef, labels: ArtifactRef
) -> BuildResult:
    """Features, labels and prices up to the last bar that training may know; all training reads only this.

    That bar moves by `folds.step_bars` at a time: until so many new bars are there, the content stays the
    same, and so does everything trained on it.
    """
    from trading_assets.errors import NotReadyError
    from trading_assets.features.dataset import assemble, describe, stationarity
    from trading_assets.features.table import FeatureTable
    from trading_assets.reports import pictures
    from trading_assets.validation.eras import border

    frame = read_table(bars.open() / "bars.parquet")
    step_bars = context.settings.folds.step_bars
    end = border(len(frame), step_bars)
    if end == 0:
        raise NotReadyError(
            f"Not ready: {context.symbol} has {len(frame)} bars, a dataset needs at least {step_bars} "
            f"(folds.step_bars); {step_bars - len(frame)} are missing."
        )
    table = FeatureTable.load(features.open())
    data = assemble(
        frame,
        table.frame,
        read_table(labels.open() / "labels.parquet"),
        warm_up=table.warm_up,
        border=end,
        calendar=context.settings.market.calendar,
    )
    data.write(context.folder)
    tested = stationarity(data)
    balance = pictures.balance(
        context.folder,
        data.frame["timestamp"],
        data.target("direction"),
        data.target("high_variance"),
    )
    return BuildResult(
        identity=data.digest,
        summary=Summary(
            numbers={
                **describe(data),
                "features that may have a unit root": sum(row["verdict"] != "stationary" for row in tested),
                "digest of bars": bars.identity,
                "digest of features": features.identity,
                "digest of labels": labels.identity,
            },
            tables={"stationarity": tested},
            pictures=(balance,),
        ),
    )
