"""Artifacts: their digests, versions and manifests, and the store that keeps them."""

from typing import TYPE_CHECKING

from trading_assets.lazy import lazy_exports

if TYPE_CHECKING:
    from trading_assets.registry.artifacts import ArtifactRef as ArtifactRef
    from trading_assets.registry.artifacts import BuildResult as BuildResult
    from trading_assets.registry.artifacts import Recipe as Recipe
    from trading_assets.registry.artifacts import Summary as Summary
    from trading_assets.registry.manifest import verify_manifest as verify_manifest
    from trading_assets.registry.manifest import write_manifest as write_manifest
    from trading_assets.registry.store import ArtifactStore as ArtifactStore
    from trading_assets.registry.store import StoreResult as StoreResult
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
