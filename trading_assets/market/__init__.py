"""Bars: the contract they keep, reading them from any file, and the sources they come from."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.config.settings import IngestPolicy as IngestPolicy
    from trading_assets.errors import BarsRejected as BarsRejected
    from trading_assets.market.bars import check_bars as check_bars
    from trading_assets.market.bars import check_symbol as check_symbol
    from trading_assets.market.bars import describe_bars as describe_bars
    from trading_assets.market.bars import to_matrix as to_matrix
    from trading_assets.market.exchange import ExchangeSource as ExchangeSource
    from trading_assets.market.ingest import IngestResult as IngestResult
    from trading_assets.market.ingest import read_bars as read_bars
    from trading_assets.market.report import Finding as Finding
    from trading_assets.market.report import IngestReport as IngestReport
    from trading_assets.market.sources import BarSource as BarSource
    from trading_assets.market.sources import FolderSource as FolderSource
    from trading_assets.market.sources import SyntheticSource as SyntheticSource
    from trading_assets.market.sources import fetch_bars as fetch_bars
    from trading_assets.market.synthetic import SyntheticMarket as SyntheticMarket
    from trading_assets.market.updates import Change as Change
    from trading_assets.market.updates import compare as compare
    from trading_assets.market.updates import update_file as update_file
    from trading_assets.market.updates import update_funding as update_funding
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
