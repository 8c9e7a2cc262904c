"""Floor 10: the bundle that leaves the system."""

import json

from trading_assets.defs.declare import step
from trading_assets.defs.steps import Work
from trading_assets.registry.artifacts import ArtifactRef, Built, Summary
from trading_assets.registry.digests import digest_files, digest_json

GROUP = "j_deploy"


@step(
    group=GROUP,
    category="bundles",
    method=5,
    kinds={"pytorch", "onnx"},
    settings=("bundle", "costs", "risk"),
)
def policy_bundle(
    work: Work,
    dataset: ArtifactRef,
    cv_folds: ArtifactRef,
    market_embeddings: ArtifactRef,
    ppo_agent: ArtifactRef,
    ppo_hybrid: ArtifactRef,
    policy_ensemble: ArtifactRef,
) -> Built:
    """The ensemble with all it needs, in three runtimes; shipped only if each decides as was trained."""
    from trading_assets.agents.storage import load_market, load_policies
    from trading_assets.bundles.export import BUNDLE_FILES, contract_of, forms_of, stamp_onnx, write_bundle
    from trading_assets.bundles.latency import measure_latency
    from trading_assets.bundles.parity import require_parity
    from trading_assets.bundles.verification import check_bundle, members_of
    from trading_assets.forecasters.stacking import StackedForecasters
    from trading_assets.reports import pictures

    settings, stack = work.settings, StackedForecasters.read(market_embeddings.open())
    shares = json.loads((policy_ensemble.open() / "shares.json").read_bytes())
    market = load_market(dataset.open(), cv_folds.open(), market_embeddings.open(), settings)
    policies = load_policies({ref.kind: ref.open() for ref in (ppo_agent, ppo_hybrid)}, market)
    write_bundle(
        work.folder,
        stack,
        members_of(policies, shares),
        trained_on=market.terms,
        warm_up_bars=settings.bundle.warm_up_bars,
    )
    (work.folder / "limits.json").write_text(settings.risk.model_dump_json(indent=1) + "\n")
    parity, observations = check_bundle(work.folder, stack, policies, shares, market, settings)
    require_parity(parity)
    architecture = json.loads((work.folder / "architecture.json").read_bytes())
    latency = measure_latency(work.folder, architecture, observations, settings.bundle.latency_calls)
    p50 = {name: row["p50_us"] for name, row in latency["runtimes"].items()}
    return Built(
        identity=digest_files(work.folder, BUNDLE_FILES),
        contract=digest_json(contract_of(stack, market.terms)),
        details={"parity": parity, "latency": latency, "forecasters": forms_of(architecture)},
        stamp=lambda version: stamp_onnx(work.folder, f"policy_bundle of {work.symbol}", version),
        summary=Summary(
            numbers={
                "fastest runtime": min(p50, key=lambda name: p50[name]),
                **{f"{name} p50 (us)": value for name, value in p50.items()},
                "size (kB)": sum(f.stat().st_size for f in work.folder.iterdir()) / 1e3,
                "processor": latency["processor"],
            },
            tables={
                "latency": [{"runtime": k, **row} for k, row in latency["runtimes"].items()],
                "parity": [{"runtime": k, **row} for k, row in parity.items()],
            },
            pictures=(pictures.bars_chart(work.folder, "latency.png", p50, "p50, microseconds"),),
        ),
    )
