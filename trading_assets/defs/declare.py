"""How an asset is declared.

`@step` turns a function into a Dagster asset partitioned per symbol. Its parameters after `work` are
the assets it is made from; `settings` names the sections of the settings that change its result;
`method` is raised when its code changes the result.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import dagster as dg

from trading_assets.defs.materialise import materialise
from trading_assets.defs.partitions import symbols
from trading_assets.defs.steps import STEPS, Step
from trading_assets.registry.artifacts import Built, Category


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
