"""Floor 7: agents."""

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files


@step(
    group="g_agents",
    category="models",
    method=4,
    kinds={"pytorch"},
    settings=("ppo", "environment", "costs", "risk", "seed"),
)
def ppo_agent(
    work: Work, dataset: ArtifactRef, cv_folds: ArtifactRef, market_embeddings: ArtifactRef
) -> Built:
    """PPO on features, embeddings, calibrated probabilities and its account; costs and risk inside."""
    from trading_assets.agents.ppo import train_ppo
    from trading_assets.agents.storage import TrainedPolicy, load_market
    from trading_assets.forecasters.preprocessing import RobustScaler
    from trading_assets.reports import pictures

    settings = work.settings
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    scaler = RobustScaler.fit(market.table[market.eras.agent_train.rows])
    table = scaler.transform(market.table)
    weights, history = train_ppo(market, table, settings.ppo, settings.seed)
    TrainedPolicy(weights, scaler, market.terms).write(work.folder)
    kept = next(row for row in history if row["kept"])
    return Built(
        identity=digest_files(work.folder, TrainedPolicy.FILES),
        sharpe=kept["sharpe per bar"],
        alternatives=len(history),
        summary=Summary(
            numbers={
                "validation equity": kept["equity"],
                "kept after steps": kept["steps"],
                "validation orders": kept["orders"],
            },
            tables={"training": history},
            pictures=(pictures.training(work.folder, history),),
        ),
    )
