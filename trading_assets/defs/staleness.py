"""Which assets of a symbol are fresh and which would have to run, without running anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from trading_assets.config import Settings
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.pipeline import PipelineAsset, inputs_of, with_ancestors
from trading_assets.market.sources import FolderSource
from trading_assets.registry.digests import digest_json
from trading_assets.registry.store import ArtifactStore

State = Literal["fresh", "stale", "unknown"]
"""`unknown`: made from a table whose content is known only once it is built."""


@dataclass(frozen=True)
class AssetState:
    """An asset of a symbol, and whether its current artifact is what a build would give."""

    asset: PipelineAsset
    state: State


def asset_states(
    store: ArtifactStore, source: FolderSource | None, settings: Settings, symbol: str
) -> list[AssetState]:
    """The state of every asset of a symbol, in the order of the flow.

    Parameters
    ----------
    store : ArtifactStore
    source : FolderSource or None
        None takes the current bars as they are and reads no market file.
    settings : Settings
    symbol : str

    Raises
    ------
    MarketError
        When there are no bars for the symbol.
    """
    versions: dict[str, str] = {}
    source_digest = None if source is None else partial(source.digest, symbol)
    states = []
    for asset in PIPELINE.values():
        state: State = "unknown"
        data_version = None
        if asset.reads_source and source is None:
            current = store.current(asset.category, asset.name, symbol)
            state = "stale" if current is None else "fresh"
            data_version = None if current is None else current.data_version
        elif all(name in versions for name in asset.inputs):
            recipe = inputs_of(asset, settings, symbol, versions, source_digest).recipe
            state = "fresh" if store.is_current(recipe) else "stale"
            known = store.find(recipe)
            data_version = recipe.data_version() if known is None else known.data_version
        if data_version is not None:
            versions[asset.name] = data_version
        states.append(AssetState(asset, state))
    return states


def to_run(states: Iterable[AssetState], goals: Iterable[str] | None = None) -> list[str]:
    """Names of the assets that are not fresh, of those that `goals` need (all without goals)."""
    wanted = set(PIPELINE) if goals is None else with_ancestors(goals)
    return [s.asset.name for s in states if s.state != "fresh" and s.asset.name in wanted]


def settings_digest(settings: Settings) -> str:
    """Digest of all settings; a change anywhere changes it."""
    return digest_json(settings.model_dump(mode="json"))
