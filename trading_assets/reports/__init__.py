"""What forecasters and finished bundles were worth: figures, verdicts, pictures, the tear sheet."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.reports.backtest import compare_on_test as compare_on_test
    from trading_assets.reports.daily import daily_returns as daily_returns
    from trading_assets.reports.daily import days_per_year as days_per_year
    from trading_assets.reports.html import write_html as write_html
    from trading_assets.reports.tearsheet import tear_sheet as tear_sheet
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
