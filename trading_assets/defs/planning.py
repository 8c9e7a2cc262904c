"""What would have to run for a symbol, found out without running anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from trading_assets.config import Settings
from trading_assets.defs.assets import STEPS
from trading_assets.defs.steps import Step, inputs_of, with_ancestors
from trading_assets.market.sources import FolderSource
from trading_assets.registry.digests import digest_json
from trading_assets.registry.store import ArtifactStore

State = Literal["fresh", "stale", "unknown"]
"""`unknown`: made from a table that must be built before its content is known."""


@dataclass(frozen=True)
class Planned:
    step: Step
    state: State


def plan(store: ArtifactStore, source: FolderSource | None, settings: Settings, symbol: str) -> list[Planned]:
    """The state of every step of a symbol, in the order of the flow.

    Parameters
    ----------
    store : ArtifactStore
    source : FolderSource or None
        None takes the bars in force as they are and looks at no file.
    settings : Settings
    symbol : str

    Raises
    ------
    MarketError
        When there are no bars for the symbol.
    """
    versions: dict[str, str] = {}
    source_digest = None if source is None else partial(source.digest, symbol)
    planned = []
    for step in STEPS.values():
        state: State = "unknown"
        data_version = None
        if step.reads_source and source is None:
            current = store.current(step.category, step.name, symbol)
            state = "stale" if current is None else "fresh"
            data_version = None if current is None else current.data_version
        elif all(name in versions for name in step.inputs):
            recipe = inputs_of(step, settings, symbol, versions, source_digest).recipe
            state = "fresh" if store.is_current(recipe) else "stale"
            known = store.find(recipe)
            data_version = recipe.data_version() if known is None else known.data_version
        if data_version is not None:
            versions[step.name] = data_version
        planned.append(Planned(step, state))
    return planned


def to_run(planned: Iterable[Planned], goals: Iterable[str] | None = None) -> list[str]:
    """Names of the steps that are not fresh, of those that `goals` need (all without goals)."""
    wanted = set(STEPS) if goals is None else with_ancestors(goals)
    return [p.step.name for p in planned if p.state != "fresh" and p.step.name in wanted]


def settings_digest(settings: Settings) -> str:
    """Digest of all settings; a change anywhere changes it."""
    return digest_json(settings.model_dump(mode="json"))
