"""What an asset of the pipeline is, apart from Dagster: a function, and all that decides its result.

`inputs_of` gathers what decides it, in one place for building, for the staleness of assets and for the
sensors. Dagster's side is in `asset_factory` and `materialize`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from trading_assets import compilation
from trading_assets.config import Settings
from trading_assets.config.paths import ledger_file
from trading_assets.defs.settings_view import DeclaredSettings
from trading_assets.errors import UndeclaredError
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Category, Recipe
from trading_assets.registry.digests import digest_json
from trading_assets.registry.ledger import TrialCount, TrialLedger, Trials
from trading_assets.registry.store import ArtifactStore

SOURCE_FILE = "file"
"""Name under which a recipe holds the digest of the market file."""
TRIALS = "trials"
"""Name under which a recipe holds the digest of all that a report's subject was chosen among."""


@dataclass(frozen=True)
class PipelineAsset:
    """A function that builds an artifact for one symbol, and what it declares; see `asset_factory`."""

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
    """What it builds could have been chosen for what it earns: it counts as a trial."""
    checks: tuple[str, ...]
    build: Callable[..., BuildResult]


@dataclass(frozen=True)
class Inputs:
    """All that decides what an asset builds, and the recipe, which names it by digests.

    Attributes
    ----------
    recipe : Recipe
    settings : DeclaredSettings
        A view of the symbol's settings.
    source_digest : str or None
        Digest of the market file and its side files; None where the asset does not declare `reads_source`.
    tried : TrialCount or None
        What the asset and its ancestors tried on the symbol's target; None without `reads_trials`.
    """

    recipe: Recipe
    settings: DeclaredSettings
    source_digest: str | None
    tried: TrialCount | None


def inputs_of(
    asset: PipelineAsset,
    settings: Settings,
    symbol: str,
    versions: Mapping[str, str],
    source_digest: Callable[[], str] | None = None,
) -> Inputs:
    """All that decides what an asset builds for a symbol.

    Parameters
    ----------
    asset : PipelineAsset
    settings : Settings
        Of the symbol; the asset gets a view of what it declares.
    symbol : str
    versions : mapping of str to str
        Data versions by name, at least of the asset's inputs.
    source_digest : callable, optional
        Digest of the market file and its side files; called only for an asset that reads them.

    Raises
    ------
    ValueError
        When the asset reads the market file and no digest of it is given.
    """
    view = DeclaredSettings(settings, asset.settings, asset.name)
    digests = {name: versions[name] for name in asset.inputs}
    source = None
    if asset.reads_source:
        if source_digest is None:
            raise ValueError(f"{asset.name} reads the market file; expected a digest of it.")
        source = digests[SOURCE_FILE] = source_digest()
    tried = trial_count(asset, settings, symbol) if asset.reads_trials else None
    if tried is not None:
        digests[TRIALS] = tried.digest
    recipe = Recipe(
        category=asset.category,
        kind=asset.name,
        symbol=symbol,
        method=asset.method,
        settings=view.values(),
        inputs=digests,
        code=compilation.source_digest(),
    )
    return Inputs(recipe, view, source, tried)


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """What the function of an asset gets besides the artifacts it is made from.

    Attributes
    ----------
    asset : PipelineAsset
    inputs : Inputs
    folder : Path
        Empty; whatever is written into it becomes the artifact.
    symbol : str
    market_file : Path or None
        See `source`.
    previous : ArtifactRef or None
        The current version, which this build replaces.
    rebuild : bool
        Compute everything again; otherwise the build may go on from `previous` where the result is the
        same.
    checkpoints : Path
        Folder from which an interrupted build goes on; deleted when the artifact is stored.
    studies : Path
        Journal of the asset's hyperparameter searches for the symbol; kept when artifacts are deleted.
    trials : Trials
        Where the asset counts what it tries besides its one fit.
    """

    asset: PipelineAsset
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
        """The settings that the asset declares; reading others raises `UndeclaredError`."""
        return cast(Settings, self.inputs.settings)

    @property
    def source(self) -> Path:
        """The market file, for an asset that declares `reads_source=True`."""
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
        """What the asset and its ancestors tried on the target, for one that declares `reads_trials=True`."""
        if self.inputs.tried is None:
            raise self._undeclared("the count of trials", "reads_trials")
        return self.inputs.tried

    def _undeclared(self, what: str, declaration: str) -> UndeclaredError:
        return UndeclaredError(
            f"{self.asset.name} reads {what} without declaring it; a change of it would go unnoticed. "
            f"Declare it: {declaration}=True"
        )


_NEVER = datetime.max.replace(tzinfo=UTC)
PIPELINE: dict[str, PipelineAsset] = {}
"""All assets in the order of the flow."""


def trials_of(asset: PipelineAsset, settings: Settings, symbol: str) -> Trials:
    """Where an asset's trials are counted: by all that decides the fit but the bars and the seed."""
    methods = {}
    for name in sorted(with_ancestors([asset.name])):
        values = DeclaredSettings(settings, PIPELINE[name].settings, name).values()
        values.pop("seed", None)
        methods[name] = [PIPELINE[name].method, values]
    ledger = TrialLedger(ledger_file())
    return Trials(ledger, symbol, target_of(settings), asset.name, digest_json(methods), settings.seed)


def trial_count(asset: PipelineAsset, settings: Settings, symbol: str) -> TrialCount:
    """What the asset and its ancestors tried on the symbol's target."""
    return TrialLedger(ledger_file()).count(symbol, target_of(settings), with_ancestors([asset.name]))


def lost_trials(store: ArtifactStore, symbols: Iterable[str]) -> str | None:
    """A warning where fits are stored that were made before the ledger's first trial of their asset."""
    first: dict[tuple[str, str], datetime] = {}
    for row in TrialLedger(ledger_file()).rows():
        key = row["symbol"], row["name"].partition(".")[0]
        first.setdefault(key, datetime.fromisoformat(row["started_at"]))
    lost = []
    for symbol in symbols:
        for asset in (asset for asset in PIPELINE.values() if asset.fits):
            oldest = store.oldest(asset.category, asset.name, symbol)
            # Build times have whole seconds.
            started = first.get((symbol, asset.name), _NEVER) - timedelta(seconds=1)
            if oldest is not None and oldest.built_at < started:
                lost.append(f"{asset.name} of {symbol}")
    if not lost:
        return None
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"WARNING: the ledger of trials {ledger_file()} does not know when {lost[0]}{more} was first fitted: "
        "it was lost, emptied or not moved along. Sharpe ratios are deflated by fewer trials than there "
        "were. Restore it from a copy."
    )


def target_of(settings: Settings) -> str:
    """What is forecast, for instance `direction over 24 bars`."""
    return f"{settings.labels.kind} over {settings.labels.horizon} bars"


def with_ancestors(goals: Iterable[str]) -> set[str]:
    """The goals and all they are made from."""
    names: set[str] = set()
    queue = list(goals)
    while queue:
        name = queue.pop()
        if name not in names:
            names.add(name)
            queue += PIPELINE[name].inputs
    return names
