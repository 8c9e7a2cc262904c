"""The decorator that makes an asset of the pipeline out of a function.

The function's parameters after the first are the assets it is made from, unless `inputs` lists them;
`settings` names what it reads of the settings, sections (`costs`) or fields (`bundle.warm_up_bars`), and a
change of anything else leaves it fresh; `method` is raised when its code changes the result. An asset of
category `models` counts as a trial unless it says that nothing is fitted in it.
"""

import inspect
import warnings
from collections.abc import Callable, Iterable

import dagster as dg

from trading_assets.defs.materialize import materialize
from trading_assets.defs.partitions import symbols
from trading_assets.defs.pipeline import PIPELINE, PipelineAsset
from trading_assets.forecasters.diagnostics import DESCRIPTIONS
from trading_assets.registry.artifacts import BuildResult, Category


def symbol_asset(
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
) -> Callable[[Callable[..., BuildResult]], dg.AssetsDefinition]:
    """Make a Dagster asset, partitioned per symbol, of the decorated function, and enter it in `PIPELINE`.

    Parameters
    ----------
    group : str
        Of Dagster; its first letter keeps the groups in the order of the flow.
    category : {'tables', 'models', 'bundles', 'reports'}
    method : int
        Raised by one when the same inputs give another result.
    kinds : iterable of str
        Tags that Dagster shows.
    settings : tuple of str
        What the function reads of the settings; reading anything else raises `UndeclaredError`.
    reads_source, reads_trials : bool
        Whether it reads the market file, and what was tried on the symbol; see `pipeline.BuildContext`.
    fits : bool, optional
        Whether it counts as a trial; by default where the category is `models`.
    checks : tuple of str
        Names of the checks in its summary; see `forecasters.diagnostics`.
    name, description : str, optional
        By default the function's.
    inputs : tuple of str, optional
        Names of the assets it is made from, which are passed by name.
    """

    def decorate(build: Callable[..., BuildResult]) -> dg.AssetsDefinition:
        key = name or build.__name__
        parents = tuple(inspect.signature(build).parameters)[1:] if inputs is None else inputs
        asset = PipelineAsset(
            name=key,
            group=group,
            category=category,
            method=method,
            settings=settings,
            inputs=parents,
            reads_source=reads_source,
            reads_trials=reads_trials,
            fits=category == "models" if fits is None else fits,
            checks=checks,
            build=build,
        )
        PIPELINE[key] = asset

        def compute(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # no type suits Dagster
            return materialize(context, asset)

        return dg.asset(
            name=key,
            description=inspect.cleandoc(description or build.__doc__ or ""),
            group_name=group,
            deps=parents,
            partitions_def=symbols,
            kinds=set(kinds),
            code_version=str(method),
            required_resource_keys={"workspace"},
            check_specs=[_check_spec(key, check) for check in checks],
            metadata={"settings": list(settings)},
        )(compute)

    return decorate


def _check_spec(asset: str, check: str) -> dg.AssetCheckSpec:
    """Partitioned, or all symbols would share one status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(check, asset=asset, description=DESCRIPTIONS[check], partitions_def=symbols)
