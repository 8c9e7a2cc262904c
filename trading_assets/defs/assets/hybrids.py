"""Hybrids: a forecaster's encoder and an agent's policy, trained end to end."""

from trading_assets.config.forecasters import ENCODER
from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files


@symbol_asset(
    group="h_hybrids",
    category="models",
    method=4,
    kinds={"pytorch"},
    inputs=("dataset", "cv_folds", "market_embeddings", "ppo_agent", f"{ENCODER}_forecaster"),
    settings=("hybrid", "ppo", "environment", "costs", "risk", "seed", "bundle.warm_up_bars"),
)
def ppo_hybrid(
    context: BuildContext,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    **inputs: ArtifactRef,
) -> BuildResult:
    """The encoder and the agent optimized jointly for what the account earns."""
    from trading_assets.agents.hybrid import train_hybrid
    from trading_assets.agents.storage import TrainedPolicy, load_market, load_policies
    from trading_assets.features.dataset import Dataset
    from trading_assets.forecasters.loading import load_forecaster
    from trading_assets.forecasters.sequence import SequenceForecaster
    from trading_assets.forecasters.stacking import StackedForecasters
    from trading_assets.reports import pictures

    settings, stack = context.settings, StackedForecasters.read(market_embeddings.open())
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    parent = load_policies({ppo_agent.kind: ppo_agent.open()}, market)[ppo_agent.kind]
    encoder = load_forecaster(inputs[f"{ENCODER}_forecaster"].open())
    assert isinstance(encoder, SequenceForecaster)
    weights, history = train_hybrid(
        market,
        encoder.module_,
        stack.encoder_inputs(Dataset.read(dataset.open()).features),
        parent.scaler,
        stack.embedding,
        parent.weights,
        settings,
        warm_up=settings.bundle.warm_up_bars,
    )
    TrainedPolicy(weights, parent.scaler, market.terms).write(context.folder)
    best = next(row for row in history if row["kept"])
    return BuildResult(
        identity=digest_files(context.folder, TrainedPolicy.FILES),
        sharpe=best["sharpe per bar"],
        alternatives=len(history),
        summary=Summary(
            numbers={
                "validation equity": best["equity"],
                "parents' validation equity": history[0]["equity"],
                "kept after steps": best["steps"],
            },
            tables={"training": history},
            pictures=(pictures.training(context.folder, history),),
        ),
    )
