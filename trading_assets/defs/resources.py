"""Settings, market and artifacts, as Dagster hands them to assets; and the IO manager of artifact names."""

from typing import Any

import dagster as dg

from trading_assets.config import Settings, load_settings
from trading_assets.config.paths import artifacts_dir, default_profile, market_dir
from trading_assets.market.sources import FolderSource
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.store import ArtifactStore


class Workspace(dg.ConfigurableResource[Any]):
    """Where bars come from, where artifacts go, and the settings of every symbol.

    Folders and the default profile come from the environment, see `config.paths`.
    """

    profile: str = ""
    """Name or YAML file of a profile; empty takes the environment's."""
    overrides: dict[str, Any] = {}  # noqa: RUF012 - a field, copied by pydantic
    """Settings for this run, for instance {'costs': {'fee_bps': 5}}."""

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(artifacts_dir())

    @property
    def source(self) -> FolderSource:
        return FolderSource(market_dir())

    def settings(self, symbol: str) -> Settings:
        return load_settings(self.profile or default_profile(), symbol, self.overrides)


class ArtifactNames(dg.IOManager):
    """Hands an asset the `ArtifactRef` in force of each of its parents; artifacts are kept by the store."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Nothing to do: `materialise` has stored the artifact."""

    def load_input(self, context: dg.InputContext) -> ArtifactRef:
        from trading_assets.defs.assets import STEPS

        step = STEPS[context.asset_key.path[-1]]
        ref = Workspace().store.current(step.category, step.name, context.partition_key)
        if ref is None:
            raise dg.Failure(
                f"{step.name} of {context.partition_key} is not there yet; materialise it first.",
                allow_retries=False,
            )
        return ref
