"""Policy bundles: export, parity with the trained policy, latency."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "export": ("MemberParts", "write_bundle"),
        "latency": ("measure_latency",),
        "parity": ("compare_runtimes", "require_parity"),
    },
)
