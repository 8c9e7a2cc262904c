"""Artifacts: their digests, versions and manifests, and the store that keeps them."""

from trading_assets.lazy import lazy_exports

__getattr__ = lazy_exports(
    __name__,
    {
        "artifacts": ("ArtifactRef", "BuildResult", "Recipe", "Summary"),
        "store": ("ArtifactStore", "StoreResult"),
        "manifest": ("verify_manifest", "write_manifest"),
    },
)
