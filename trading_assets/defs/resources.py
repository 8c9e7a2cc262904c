"""Settings, market and artifacts, as Dagster hands them to assets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.config import Settings, load_settings
from trading_assets.config.page import sections
from trading_assets.config.paths import artifacts_dir, default_profile, market_dir
from trading_assets.config.profiles import profile_tree
from trading_assets.config.settings import FeatureSet
from trading_assets.defs.liveness import working_on
from trading_assets.market.policies import check_policy
from trading_assets.market.sources import FolderSource
from trading_assets.registry.digests import digest_json
from trading_assets.registry.store import ArtifactStore

OVERRIDES = "Settings for this run as a tree, for instance {'costs': {'fee_bps': 5}}. " + " ".join(
    f"{name}: {about}." for name, about in sections().items()
)
"""What Dagster's launchpad shows."""


class Workspace(dg.ConfigurableResource[Any]):
    """Where bars come from, where artifacts go, and the settings of every symbol.

    Folders and the default profile come from the environment, see `config.paths`.
    """

    profile: str = Field(
        default="", description="Name or YAML file of a profile; empty takes the environment's."
    )
    overrides: dict[str, Any] = Field(default_factory=dict, description=OVERRIDES)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Workspace"]:
        """Itself; a run has it from before its first step to after its last, and is alive for as long."""
        if context.run is None or context.instance is None:
            yield self
            return
        with working_on(context.instance, context.run):
            yield self

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(artifacts_dir())

    @property
    def source(self) -> FolderSource:
        return FolderSource(market_dir())

    def settings_basis(self) -> str:
        """Digest of all that the settings of any symbol are made from; costs one reading of the profile."""
        return digest_json(repr([profile_tree(self.profile or default_profile()), self.overrides]))

    def settings(self, symbol: str) -> Settings:
        """Settings of a symbol, whose zone, calendar and features exist.

        Raises
        ------
        SettingsError
            As `load_settings`, and where something is named that there is not.
        """
        settings = load_settings(self.profile or default_profile(), symbol, self.overrides)
        check_policy(settings.market)
        if settings.features != FeatureSet():
            from trading_assets.features.catalogue import select

            select(settings.features)
        return settings
