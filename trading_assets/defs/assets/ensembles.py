"""The ensemble: how much weight each trained policy has."""

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files


@symbol_asset(
    group="i_ensemble",
    category="models",
    method=5,
    kinds={"numpy"},
    settings=("ensemble", "environment", "costs", "risk", "bundle.warm_up_bars"),
)
def policy_ensemble(
    context: BuildContext,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    ppo_hybrid: ArtifactRef,
) -> BuildResult:
    """Shares of agent and hybrid, chosen on validation and shrunk to equal parts.

    The width of the no-trade band, beside which the report shows them, is chosen on the same bars.
    """
    from trading_assets.agents.ensemble import EnsembleFigures, choose_weights, run_ensemble
    from trading_assets.agents.storage import load_market, load_members, load_policies
    from trading_assets.reports import pictures
    from trading_assets.simulation.baselines import BAND_WIDTHS, choose_band
    from trading_assets.validation.metrics import sharpe_ratio

    settings = context.settings
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    policies = load_policies({ref.kind: ref.open() for ref in (ppo_agent, ppo_hybrid)}, market)
    members = load_members(
        policies, market, dataset.open(), market_embeddings.open(), settings.bundle.warm_up_bars
    )
    weights, trials = choose_weights(members, market, settings.ensemble)
    shares = dict(zip(policies, weights.tolist(), strict=True))
    era = market.eras.validation
    width = choose_band(market.probability, market.during(era))
    EnsembleFigures(shares=shares, band_width=width).write(context.folder)
    result = run_ensemble(members, weights, market, era)
    returns = result.returns
    return BuildResult(
        identity=digest_files(context.folder, [EnsembleFigures.FILE]),
        sharpe=sharpe_ratio(returns, periods_per_year=1) if returns.any() else 0.0,
        alternatives=len(trials) + len(BAND_WIDTHS),
        summary=Summary(
            numbers={
                **{f"share of {name}": share for name, share in shares.items()},
                "validation equity": float(result.equity[-1]),
                "band width": width,
            },
            tables={"weights looked at": trials},
            pictures=(pictures.bars_chart(context.folder, "shares.png", shares, "share"),),
        ),
    )
