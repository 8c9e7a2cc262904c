"""What runs on a live machine: load a verified bundle, ask it for actions.

Needs numpy and safetensors (onnxruntime or torch for the runtimes of those names), nothing else.
"""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.execution.forecasters import ForecasterForm as ForecasterForm
    from trading_assets.execution.forecasters import register_form as register_form
    from trading_assets.execution.loader import load_bundle as load_bundle
    from trading_assets.execution.policy import Policy as Policy
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
