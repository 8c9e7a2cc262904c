"""Bars: the market file, read, checked and repaired."""

from typing import TYPE_CHECKING

from trading_assets.config.paths import quarantine_dir
from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.errors import ArtifactError, BarsRejected
from trading_assets.market.sources import FolderSource
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.tables import digest_table, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

    from trading_assets.market.updates import Change


@symbol_asset(
    group="a_market", category="tables", method=3, kinds={"parquet"}, settings=("market",), reads_source=True
)
def bars(context: BuildContext) -> BuildResult:
    """Validated OHLCV bars of one symbol (with funding where there is), and a report on their quality."""
    from trading_assets.market.bars import describe_bars
    from trading_assets.market.ingest import read_bars
    from trading_assets.reports import pictures

    policy = context.settings.market.model_copy(update={"quarantine_dir": quarantine_dir()})
    read = read_bars(context.source, symbol=context.symbol, policy=policy)
    if FolderSource(context.source.parent).digest(context.symbol) != context.source_digest:
        raise BarsRejected(f"{context.source} changed while it was read; run again when it rests.")
    write_table(read.bars, context.folder / "bars.parquet")
    notes = [f"read from {context.source.name}: {read.report.format}, {read.report.layout}"]
    if context.previous is not None and (change := _since(context.previous, read.bars)) is not None:
        notes.append(f"since version {context.previous.version}: {change}")
        if change.revised:
            read.report.warned("revised history", f"{change} (since version {context.previous.version})")
    read.report.write(context.folder / "report.json")
    return BuildResult(
        identity=digest_table(read.bars),
        summary=Summary(
            numbers={
                **describe_bars(read.bars),
                "rows read": read.report.rows_read,
                "repairs": len(read.report.repairs),
                "warnings": len(read.report.warnings),
            },
            tables={"quality": read.report.table()},
            pictures=(pictures.candles(context.folder, read.bars), pictures.price(context.folder, read.bars)),
            notes=tuple(notes),
        ),
    )


def _since(previous: ArtifactRef, bars: "pd.DataFrame") -> "Change | None":
    """How the bars differ from the version before; None where that one is damaged."""
    from trading_assets.market.updates import compare

    try:
        return compare(read_table(previous.open() / "bars.parquet"), bars)
    except ArtifactError:
        return None
