"""Bars: the contract they keep, the folder they come from, and a synthetic market with a known answer."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "bars": ("check_bars", "check_symbol", "describe_bars", "to_matrix"),
        "ingest": ("IngestResult", "read_bars"),
        "report": ("Finding", "IngestReport"),
        "history": ("Change", "compare", "update_file"),
        "sources": ("BarSource", "FolderSource", "SyntheticSource", "fetch_bars"),
        "synthetic": ("SyntheticMarket",),
    },
)
