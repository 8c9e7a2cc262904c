"""The policy bundle: what a live machine loads."""

import json

from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.pipeline import BuildContext
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Summary
from trading_assets.registry.digests import digest_files, digest_json

GROUP = "j_deploy"


@symbol_asset(
    group=GROUP,
    category="bundles",
    method=5,
    kinds={"pytorch", "onnx"},
    settings=("bundle", "environment", "costs", "risk"),
)
def policy_bundle(
    context: BuildContext,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    ppo_hybrid: ArtifactRef,
    policy_ensemble: ArtifactRef,
) -> BuildResult:
    """The ensemble with all it needs, in three runtimes; shipped only if each decides as was trained."""
    from trading_assets.agents.ensemble import EnsembleFigures
    from trading_assets.agents.storage import load_market, load_policies
    from trading_assets.bundles.export import BUNDLE_FILES, contract_of, forms_of, stamp_onnx, write_bundle
    from trading_assets.bundles.latency import measure_latency
    from trading_assets.bundles.parity import require_parity
    from trading_assets.bundles.verification import check_bundle, members_of
    from trading_assets.forecasters.stacking import StackedForecasters
    from trading_assets.reports import pictures

    settings, stack = context.settings, StackedForecasters.read(market_embeddings.open())
    shares = EnsembleFigures.read(policy_ensemble).shares
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    policies = load_policies({ref.kind: ref.open() for ref in (ppo_agent, ppo_hybrid)}, market)
    write_bundle(
        context.folder,
        stack,
        members_of(policies, shares),
        trained_on=market.terms,
        warm_up_bars=settings.bundle.warm_up_bars,
    )
    (context.folder / "limits.json").write_text(settings.risk.model_dump_json(indent=1) + "\n")
    parity, observations = check_bundle(context.folder, stack, policies, shares, market, settings)
    require_parity(parity)
    architecture = json.loads((context.folder / "architecture.json").read_bytes())
    latency = measure_latency(context.folder, architecture, observations, settings.bundle.latency_calls)
    p50 = {name: row["p50_us"] for name, row in latency["runtimes"].items()}
    return BuildResult(
        identity=digest_files(context.folder, BUNDLE_FILES),
        contract=digest_json(contract_of(stack, market.terms)),
        details={"parity": parity, "latency": latency, "forecasters": forms_of(architecture)},
        stamp=lambda version: stamp_onnx(context.folder, f"policy_bundle of {context.symbol}", version),
        summary=Summary(
            numbers={
                "fastest runtime": min(p50, key=lambda name: p50[name]),
                **{f"{name} p50 (us)": value for name, value in p50.items()},
                "size (kB)": sum(f.stat().st_size for f in context.folder.iterdir()) / 1e3,
                "processor": latency["processor"],
            },
            tables={
                "latency": [{"runtime": k, **row} for k, row in latency["runtimes"].items()],
                "parity": [{"runtime": k, **row} for k, row in parity.items()],
            },
            pictures=(pictures.bars_chart(context.folder, "latency.png", p50, "p50, microseconds"),),
        ),
    )
