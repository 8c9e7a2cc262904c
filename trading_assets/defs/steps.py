"""What an asset of this project is: a domain function, and what decides whether it has to run.

`@step` turns a function into a Dagster asset partitioned per symbol. Its parameters after `work` are
the assets it is made from; `settings` names the sections of the settings that change its result;
`method` is raised when its code changes the result. From these follows the recipe, by which
`materialise`, the command line and the sensors agree on what is fresh.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.config import Settings
from trading_assets.defs.partitions import symbols
from trading_assets.registry.artifacts import Built, Category, Recipe

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
        Its sha256 as the recipe has it.
    """

    folder: Path
    settings: Settings
    symbol: str
    source: Path
    source_digest: str


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


def step(
    *,
    group: str,
    category: Category,
    method: int,
    kinds: Iterable[str],
    settings: tuple[str, ...] = (),
    reads_source: bool = False,
) -> Callable[[Callable[..., Built]], dg.AssetsDefinition]:
    """Register the decorated function as a step and return its asset."""

    def decorate(build: Callable[..., Built]) -> dg.AssetsDefinition:
        name = build.__name__
        inputs = tuple(inspect.signature(build).parameters)[1:]
        made = Step(name, group, category, method, settings, inputs, reads_source, build)
        STEPS[name] = made

        def compute(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
            from trading_assets.defs.materialise import materialise

            return materialise(context, made)

        return dg.asset(
            name=name,
            description=inspect.cleandoc(build.__doc__ or ""),
            group_name=group,
            deps=inputs,
            partitions_def=symbols,
            kinds=set(kinds),
            code_version=str(method),
            required_resource_keys={"workspace"},
            metadata={"settings": list(settings)},
        )(compute)

    return decorate


def _look_up(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree[part]
    return tree
