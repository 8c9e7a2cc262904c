"""Floor 8: encoder and policy trained end to end."""

from trading_assets.config.forecasters import ENCODER
from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files


@step(
    group="h_hybrids",
    category="models",
    method=4,
    kinds={"pytorch"},
    inputs=("dataset", "cv_folds", "market_embeddings", "ppo_agent", f"{ENCODER}_forecaster"),
    settings=("hybrid", "ppo", "environment", "costs", "risk", "seed", "bundle.warm_up_bars"),
)
def ppo_hybrid(
    work: Work,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    **inputs: ArtifactRef,
) -> Built:
    """The encoder and the agent optimised jointly for what the account earns."""
    from trading_assets.agents.hybrid import train_hybrid
    from trading_assets.agents.storage import TrainedPolicy, load_market, load_policies
    from trading_assets.features.dataset import Dataset
    from trading_assets.forecasters import load_forecaster
    from trading_assets.forecasters.sequence import SequenceForecaster
    from trading_assets.forecasters.stacking import StackedForecasters
    from trading_assets.reports import pictures

    settings, stack = work.settings, StackedForecasters.read(market_embeddings.open())
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
    TrainedPolicy(weights, parent.scaler, market.terms).write(work.folder)
    kept = next(row for row in history if row["kept"])
    return Built(
        identity=digest_files(work.folder, TrainedPolicy.FILES),
        sharpe=kept["sharpe per bar"],
        alternatives=len(history),
        summary=Summary(
            numbers={
                "validation equity": kept["equity"],
                "parents' validation equity": history[0]["equity"],
                "kept after steps": kept["steps"],
            },
            tables={"training": history},
            pictures=(pictures.training(work.folder, history),),
        ),
    )
