"""Floor 9, stage 4: how much each trained policy counts."""

import json

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files


@step(
    group="09_ensemble",
    category="models",
    method=1,
    kinds={"numpy"},
    settings=("ensemble", "costs", "risk", "bundle.warm_up_bars"),
)
def policy_ensemble(
    work: Work,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    ppo_hybrid: ArtifactRef,
) -> Built:
    """Shares of agent and hybrid, chosen on validation and shrunk to equal parts."""
    from trading_assets.agents.ensemble import choose_weights, run_ensemble
    from trading_assets.agents.storage import TrainedPolicy, load_market, load_members
    from trading_assets.reports import pictures

    settings = work.settings
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    policies = {ref.kind: TrainedPolicy.read(ref.open()) for ref in (ppo_agent, ppo_hybrid)}
    members = load_members(
        policies, market, dataset.open(), market_embeddings.open(), settings.bundle.warm_up_bars
    )
    weights, trials = choose_weights(members, market, settings.ensemble)
    shares = dict(zip(policies, weights.tolist(), strict=True))
    (work.folder / "shares.json").write_text(json.dumps(shares))
    result = run_ensemble(members, weights, market, market.eras.validation)
    return Built(
        identity=digest_files(work.folder, ["shares.json"]),
        summary=Summary(
            numbers={
                **{f"share of {name}": share for name, share in shares.items()},
                "validation equity": float(result.equity[-1]),
            },
            tables={"weights looked at": trials},
            pictures=(pictures.bars_chart(work.folder, "shares.png", shares, "share"),),
        ),
    )
