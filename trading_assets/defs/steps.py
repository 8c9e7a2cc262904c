"""What an asset of this project is, apart from Dagster: a function, and what decides whether it has to run.

From a step follows the recipe of its artifact, by which `materialise`, the command line and the sensors
agree on what is fresh.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.config import Settings
from trading_assets.config.paths import ledger_file
from trading_assets.registry.artifacts import ArtifactRef, Built, Category, Recipe
from trading_assets.registry.digests import digest_json
from trading_assets.registry.ledger import TrialCount, TrialLedger, Trials
from trading_assets.registry.store import ArtifactStore

SOURCE_FILE = "file"
"""Name under which a recipe holds the digest of the market file."""
TRIALS = "trials"
"""Name under which a recipe holds the digest of all that a report's subject was chosen among."""


@dataclass(frozen=True)
class Work:
    """What a step has at hand besides its inputs.

    Attributes
    ----------
    folder : Path
        Empty; whatever is written into it becomes the artifact.
    settings : Settings
        Of the symbol.
    symbol : str
    source : Path
        The market file; only `bars` may read it.
    source_digest : str
        Digest of it and its side files, as the recipe has it.
    previous : ArtifactRef or None
        The version in force until now.
    rebuild : bool
        Make everything anew; otherwise what can be continued from `previous` may be, if it comes out the
        same.
    checkpoints : Path
        Folder for what lets an interrupted build go on; emptied when the artifact is there.
    studies : Path
        Journal of the step's searches for the symbol, which outlives its artifacts.
    trials : Trials
        Where what the step tries, besides the fit it is, has to be counted.
    tried : TrialCount
        What was tried by the step's ancestors, for this target.
    """

    folder: Path
    settings: Settings
    symbol: str
    source: Path
    source_digest: str
    previous: ArtifactRef | None
    rebuild: bool
    checkpoints: Path
    studies: Path
    trials: Trials
    tried: TrialCount


@dataclass(frozen=True)
class Step:
    """One floor's work, without Dagster."""

    name: str
    group: str
    category: Category
    method: int
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    reads_source: bool
    reads_trials: bool
    """The recipe holds what the ancestors tried on the symbol's target: one trial more makes it stale."""
    fits: bool
    """What it makes could have been chosen for what it earns: it counts as a trial."""
    checks: tuple[str, ...]
    build: Callable[..., Built]

    def recipe(self, settings: Settings, symbol: str, inputs: Mapping[str, str]) -> Recipe:
        """The recipe for inputs given by their data versions."""
        chosen = {name: _look_up(settings.model_dump(), name) for name in self.settings}
        return Recipe(
            category=self.category,
            kind=self.name,
            symbol=symbol,
            method=self.method,
            settings=chosen,
            inputs=inputs,
        )


_NEVER = datetime.max.replace(tzinfo=UTC)
STEPS: dict[str, Step] = {}
"""All steps in the order of the flow."""


def trials_of(step: Step, settings: Settings, symbol: str) -> Trials:
    """Where a step's trials are counted: by all that decides the fit but the bars and the seed."""
    tree = settings.model_dump(mode="json")
    floors = {
        name: [STEPS[name].method, {p: _look_up(tree, p) for p in STEPS[name].settings if p != "seed"}]
        for name in sorted(with_ancestors([step.name]))
    }
    ledger = TrialLedger(ledger_file())
    return Trials(ledger, symbol, target_of(settings), step.name, digest_json(floors), settings.seed)


def trial_count(step: Step, settings: Settings, symbol: str) -> TrialCount:
    """What the step and its ancestors tried on what the settings ask of a symbol."""
    return TrialLedger(ledger_file()).count(symbol, target_of(settings), with_ancestors([step.name]))


def lost_trials(store: ArtifactStore, symbols: Iterable[str]) -> str | None:
    """A warning where fits are stored that were made before the ledger's first trial of their step."""
    first: dict[tuple[str, str], datetime] = {}
    for row in TrialLedger(ledger_file()).rows():
        key = row["symbol"], row["name"].partition(".")[0]
        first.setdefault(key, datetime.fromisoformat(row["started_at"]))
    lost = []
    for symbol in symbols:
        for step in (step for step in STEPS.values() if step.fits):
            made = store.oldest(step.category, step.name, symbol)
            started = first.get((symbol, step.name), _NEVER) - timedelta(
                seconds=1
            )  # versions have no fractions
            if made is not None and made.built_at < started:
                lost.append(f"{step.name} of {symbol}")
    if not lost:
        return None
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"WARNING: the ledger of trials {ledger_file()} does not know when {lost[0]}{more} was first fitted: "
        "it was lost, emptied or left behind. Sharpe ratios are deflated by fewer trials than were made. "
        "Restore it from a copy."
    )


def target_of(settings: Settings) -> str:
    """What is forecast, for instance `direction over 24 bars`."""
    return f"{settings.labels.kind} over {settings.labels.horizon} bars"


def with_ancestors(goals: Iterable[str]) -> set[str]:
    """The goals and all they are made from."""
    found: set[str] = set()
    queue = list(goals)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += STEPS[name].inputs
    return found


def _look_up(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree[part]
    return tree
