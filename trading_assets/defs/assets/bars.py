"""Floor 1: bars that keep the contract."""

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.errors import BarsRejected
from trading_assets.registry.artifacts import Built, Summary
from trading_assets.registry.digests import sha256_file
from trading_assets.registry.tables import digest_table, write_table


@step(group="01_market", category="tables", method=1, kinds={"parquet"}, reads_source=True)
def bars(work: Work) -> Built:
    """Validated OHLCV bars of one symbol, with a report on their quality."""
    from trading_assets.market.bars import describe_bars, read_bars
    from trading_assets.reports import pictures

    frame = read_bars(work.source)
    if sha256_file(work.source) != work.source_digest:
        raise BarsRejected(f"{work.source} changed while it was read; run again when it rests.")
    write_table(frame, work.folder / "bars.parquet")
    return Built(
        identity=digest_table(frame),
        summary=Summary(
            numbers=describe_bars(frame),
            pictures=(pictures.price(work.folder, frame),),
            notes=(f"read from {work.source.name}",),
        ),
    )
