"""What an asset of this project is, apart from Dagster: a function, and what decides whether it has to run.

From a step follows the recipe of its artifact, by which `materialise`, the command line and the sensors
agree on what is fresh.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from trading_assets.config import Settings
from trading_assets.config.paths import ledger_file
from trading_assets.defs.declared import DeclaredSettings
from trading_assets.errors import UndeclaredError
from trading_assets.registry.artifacts import ArtifactRef, Built, Category, Recipe
from trading_assets.registry.digests import digest_json
from trading_assets.registry.ledger import TrialCount, TrialLedger, Trials
from trading_assets.registry.store import ArtifactStore

SOURCE_FILE = "file"
"""Name under which a recipe holds the digest of the market file."""
TRIALS = "trials"
"""Name under which a recipe holds the digest of all that a report's subject was chosen among."""


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


@dataclass(frozen=True)
class Inputs:
    """All that the content of a step's artifact follows from, and the recipe that says it in digests.

    Attributes
    ----------
    recipe : Recipe
    settings : DeclaredSettings
        A view of the symbol's settings.
    source_digest : str or None
        Digest of the market file and its side files; None where the step does not declare `reads_source`.
    tried : TrialCount or None
        What the step and its ancestors tried on the symbol's target; None without `reads_trials`.
    """

    recipe: Recipe
    settings: DeclaredSettings
    source_digest: str | None
    tried: TrialCount | None


def inputs_of(
    step: Step,
    settings: Settings,
    symbol: str,
    versions: Mapping[str, str],
    source_digest: Callable[[], str] | None = None,
) -> Inputs:
    """What a step's artifact is made from: the one place for building, the staleness plan and the sensors.

    Parameters
    ----------
    step : Step
    settings : Settings
        Of the symbol; the step gets a view of what it declares.
    symbol : str
    versions : mapping of str to str
        Data versions by name, at least of the step's inputs.
    source_digest : callable, optional
        Digest of the market file and its side files; called only for a step that reads them.

    Raises
    ------
    ValueError
        When the step reads the market file and no digest of it is given.
    """
    view = DeclaredSettings(settings, step.settings, step.name)
    digests = {name: versions[name] for name in step.inputs}
    source = None
    if step.reads_source:
        if source_digest is None:
            raise ValueError(f"{step.name} reads the market file; expected a digest of it.")
        source = digests[SOURCE_FILE] = source_digest()
    tried = trial_count(step, settings, symbol) if step.reads_trials else None
    if tried is not None:
        digests[TRIALS] = tried.digest
    recipe = Recipe(
        category=step.category,
        kind=step.name,
        symbol=symbol,
        method=step.method,
        settings=view.values(),
        inputs=digests,
    )
    return Inputs(recipe, view, source, tried)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step has at hand besides the artifacts it is made from.

    Attributes
    ----------
    step : Step
    inputs : Inputs
    folder : Path
        Empty; whatever is written into it becomes the artifact.
    symbol : str
    market_file : Path or None
        See `source`.
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
    """

    step: Step
    inputs: Inputs
    folder: Path
    symbol: str
    market_file: Path | None
    previous: ArtifactRef | None
    rebuild: bool
    checkpoints: Path
    studies: Path
    trials: Trials

    @property
    def settings(self) -> Settings:
        """The settings that the step declares; reading others raises `UndeclaredError`."""
        return cast(Settings, self.inputs.settings)

    @property
    def source(self) -> Path:
        """The market file, for a step that declares `reads_source=True`."""
        if self.market_file is None:
            raise self._undeclared("the market file", "reads_source")
        return self.market_file

    @property
    def source_digest(self) -> str:
        """Digest of the market file and its side files, as the recipe has it."""
        if self.inputs.source_digest is None:
            raise self._undeclared("the market file", "reads_source")
        return self.inputs.source_digest

    @property
    def tried(self) -> TrialCount:
        """What the step and its ancestors tried on the target, for one that declares `reads_trials=True`."""
        if self.inputs.tried is None:
            raise self._undeclared("the count of trials", "reads_trials")
        return self.inputs.tried

    def _undeclared(self, what: str, declaration: str) -> UndeclaredError:
        return UndeclaredError(
            f"{self.step.name} reads {what} without declaring it, so a change of it would leave the old "
            f"result in force. Declare it: {declaration}=True"
        )


_NEVER = datetime.max.replace(tzinfo=UTC)
STEPS: dict[str, Step] = {}
"""All steps in the order of the flow."""


def trials_of(step: Step, settings: Settings, symbol: str) -> Trials:
    """Where a step's trials are counted: by all that decides the fit but the bars and the seed."""
    floors = {}
    for name in sorted(with_ancestors([step.name])):
        values = DeclaredSettings(settings, STEPS[name].settings, name).values()
        values.pop("seed", None)
        floors[name] = [STEPS[name].method, values]
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
