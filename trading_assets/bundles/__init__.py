"""Policy bundles: export, parity with the trained policy, latency."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.bundles.export import MemberParts as MemberParts
    from trading_assets.bundles.export import write_bundle as write_bundle
    from trading_assets.bundles.latency import measure_latency as measure_latency
    from trading_assets.bundles.parity import compare_runtimes as compare_runtimes
    from trading_assets.bundles.parity import require_parity as require_parity
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
