"""How an asset is declared.

`@step` turns a function into a Dagster asset partitioned per symbol. Its parameters after `work` are the
assets it is made from, unless `inputs` lists them; `settings` names the sections of the settings that change
its result; `method` is raised when its code changes the result. A step of category `models` counts as a
trial unless it says that nothing is fitted in it.
"""

import inspect
import warnings
from collections.abc import Callable, Iterable

import dagster as dg

from trading_assets.defs.materialise import materialise
from trading_assets.defs.partitions import symbols
from trading_assets.defs.steps import STEPS, Step
from trading_assets.forecasters.diagnostics import DESCRIPTIONS
from trading_assets.registry.artifacts import Built, Category


def step(
    *,
    group: str,
    category: Category,
    method: int,
    kinds: Iterable[str],
    settings: tuple[str, ...] = (),
    reads_source: bool = False,
    reads_trials: bool = False,
    fits: bool | None = None,
    checks: tuple[str, ...] = (),
    name: str | None = None,
    inputs: tuple[str, ...] | None = None,
    description: str | None = None,
) -> Callable[[Callable[..., Built]], dg.AssetsDefinition]:
    """Register the decorated function as a step and return its asset."""

    def decorate(build: Callable[..., Built]) -> dg.AssetsDefinition:
        own = name or build.__name__
        parents = tuple(inspect.signature(build).parameters)[1:] if inputs is None else inputs
        made = Step(
            own,
            group,
            category,
            method,
            settings,
            parents,
            reads_source,
            reads_trials,
            category == "models" if fits is None else fits,
            checks,
            build,
        )
        STEPS[own] = made

        def compute(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # no type suits Dagster
            return materialise(context, made)

        return dg.asset(
            name=own,
            description=inspect.cleandoc(description or build.__doc__ or ""),
            group_name=group,
            deps=parents,
            partitions_def=symbols,
            kinds=set(kinds),
            code_version=str(method),
            required_resource_keys={"workspace"},
            check_specs=[_check_spec(own, check) for check in checks],
            metadata={"settings": list(settings)},
        )(compute)

    return decorate


def _check_spec(asset: str, check: str) -> dg.AssetCheckSpec:
    """Partitioned, or all symbols would share one status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(check, asset=asset, description=DESCRIPTIONS[check], partitions_def=symbols)
