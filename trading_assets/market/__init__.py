"""Bars: the contract they keep, reading them from any file, and the sources they come from."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "bars": ("check_bars", "check_symbol", "describe_bars", "to_matrix"),
        "exchange": ("ExchangeSource",),
        "ingest": ("BarsRejected", "IngestPolicy", "IngestResult", "read_bars"),
        "report": ("Finding", "IngestReport"),
        "history": ("Change", "compare", "update_file", "update_funding"),
        "sources": ("BarSource", "FolderSource", "SyntheticSource", "fetch_bars"),
        "synthetic": ("SyntheticMarket",),
    },
)
