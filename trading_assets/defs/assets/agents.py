"""Agents: policies trained by reinforcement learning."""

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files


@symbol_asset(
    group="g_agents",
    category="models",
    method=4,
    kinds={"pytorch"},
    settings=("ppo", "environment", "costs", "risk", "seed", "bundle.warm_up_bars"),
)
def ppo_agent(
    context: BuildContext, dataset: ArtifactRef, cv_folds: ArtifactRef, market_embeddings: ArtifactRef
) -> BuildResult:
    """PPO on features, embeddings, calibrated probabilities and its account; costs and risk inside."""
    from trading_assets.agents.ppo import train_ppo
    from trading_assets.agents.storage import TrainedPolicy, load_market
    from trading_assets.forecasters.preprocessing import RobustScaler
    from trading_assets.reports import pictures

    settings = context.settings
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    scaler = RobustScaler.fit(market.table[market.eras.agent_train.rows])
    table = scaler.transform(market.table)
    weights, history = train_ppo(market, table, settings.ppo, settings.seed)
    TrainedPolicy(weights, scaler, market.terms).write(context.folder)
    best = next(row for row in history if row["kept"])
    return BuildResult(
        identity=digest_files(context.folder, TrainedPolicy.FILES),
        sharpe=best["sharpe per bar"],
        alternatives=len(history),
        summary=Summary(
            numbers={
                "validation equity": best["equity"],
                "kept after steps": best["steps"],
                "validation orders": best["orders"],
            },
            tables={"training": history},
            pictures=(pictures.training(context.folder, history),),
        ),
    )
