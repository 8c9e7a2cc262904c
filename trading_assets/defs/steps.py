"""What an asset of this project is, apart from Dagster: a function, and what decides whether it has to run.

From a step follows the recipe of its artifact, by which `materialise`, the command line and the sensors
agree on what is fresh.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_assets.config import Settings
from trading_assets.registry.artifacts import ArtifactRef, Built, Category, Recipe

SOURCE_FILE = "file"
"""Name under which a recipe holds the digest of the market file."""


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
    """

    folder: Path
    settings: Settings
    symbol: str
    source: Path
    source_digest: str
    previous: ArtifactRef | None
    rebuild: bool


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


STEPS: dict[str, Step] = {}
"""All steps in the order of the flow."""


def _look_up(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree[part]
    return tree
