"""What would have to run for a symbol, found out without running anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trading_assets.config import Settings
from trading_assets.defs.assets import STEPS
from trading_assets.defs.steps import SOURCE_FILE, TRIALS, Step, trial_count, with_ancestors
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
    planned = []
    for step in STEPS.values():
        if step.reads_source and source is None:
            ref = store.current(step.category, step.name, symbol)
            state: State = "stale" if ref is None else "fresh"
            if ref is not None:
                versions[step.name] = ref.data_version
        else:
            state = _state(store, source, settings, symbol, step, versions)
        planned.append(Planned(step, state))
    return planned


def to_run(planned: Iterable[Planned], goals: Iterable[str] | None = None) -> list[str]:
    """Names of the steps that are not fresh, of those that `goals` need (all without goals)."""
    wanted = set(STEPS) if goals is None else with_ancestors(goals)
    return [p.step.name for p in planned if p.state != "fresh" and p.step.name in wanted]


def settings_digest(settings: Settings) -> str:
    """Digest of all settings; a change anywhere changes it."""
    return digest_json(settings.model_dump())


def _state(
    store: ArtifactStore,
    source: FolderSource | None,
    settings: Settings,
    symbol: str,
    step: Step,
    versions: dict[str, str],
) -> State:
    """The state of one step; notes its data version in `versions` where that is known."""
    if any(name not in versions for name in step.inputs):
        return "unknown"
    inputs = {name: versions[name] for name in step.inputs}
    if step.reads_source and source is not None:
        inputs[SOURCE_FILE] = source.digest(symbol)
    if step.reads_trials:
        inputs[TRIALS] = trial_count(step, settings, symbol).digest
    recipe = step.recipe(settings, symbol, inputs)
    if (known := store.find(recipe)) is not None:
        versions[step.name] = known.data_version
    elif step.category != "tables":
        versions[step.name] = recipe.digest
    return "fresh" if store.is_current(recipe) else "stale"
