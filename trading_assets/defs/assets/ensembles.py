"""Floor 9: how much each trained policy counts."""

import json

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files


@step(
    group="i_ensemble",
    category="models",
    method=4,
    kinds={"numpy"},
    settings=("ensemble", "environment", "costs", "risk", "bundle.warm_up_bars"),
)
def policy_ensemble(
    work: Work,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    ppo_hybrid: ArtifactRef,
) -> Built:
    """Shares of agent and hybrid, chosen on validation and shrunk to equal parts.

    The width of the no-trade band, beside which the report shows them, is chosen on the same bars.
    """
    from trading_assets.agents.ensemble import choose_weights, run_ensemble
    from trading_assets.agents.storage import load_market, load_members, load_policies
    from trading_assets.reports import pictures
    from trading_assets.simulation.baselines import BAND_WIDTHS, choose_band
    from trading_assets.validation.metrics import sharpe_ratio

    settings = work.settings
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    policies = load_policies({ref.kind: ref.open() for ref in (ppo_agent, ppo_hybrid)}, market)
    members = load_members(
        policies, market, dataset.open(), market_embeddings.open(), settings.bundle.warm_up_bars
    )
    weights, trials = choose_weights(members, market, settings.ensemble)
    shares = dict(zip(policies, weights.tolist(), strict=True))
    era = market.eras.validation
    width = choose_band(market.probability, market.during(era))
    (work.folder / "shares.json").write_text(json.dumps(shares))
    (work.folder / "band.json").write_text(json.dumps({"width": width}))
    result = run_ensemble(members, weights, market, era)
    returns = result.returns
    return Built(
        identity=digest_files(work.folder, ["shares.json", "band.json"]),
        sharpe=sharpe_ratio(returns, periods_per_year=1) if returns.any() else 0.0,
        alternatives=len(trials) + len(BAND_WIDTHS),
        summary=Summary(
            numbers={
                **{f"share of {name}": share for name, share in shares.items()},
                "validation equity": float(result.equity[-1]),
                "band width": width,
            },
            tables={"weights looked at": trials},
            pictures=(pictures.bars_chart(work.folder, "shares.png", shares, "share"),),
        ),
    )
