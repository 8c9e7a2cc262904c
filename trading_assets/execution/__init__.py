"""What runs on the trading box: load a verified bundle, ask it for actions.

Needs numpy and safetensors (onnxruntime or torch for the runtimes of those names), nothing else.
"""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "forecasters": ("ForecasterForm", "register_form"),
        "loader": ("load_bundle",),
        "policy": ("Policy",),
    },
)
