"""NaN passes nowhere: not in weights, not through the parity gate, not into a decision."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tests.pipeline import SYMBOL, current
from trading_assets.agents.ensemble import run_ensemble
from trading_assets.agents.ppo import run_policy
from trading_assets.agents.storage import TrainedPolicy, load_market, load_policies
from trading_assets.bundles.export import write_bundle
from trading_assets.bundles.graph import PolicyGraph, example_inputs, to_onnx, to_torchscript
from trading_assets.bundles.parity import compare, require_parity, run_runtime
from trading_assets.bundles.verification import members_of
from trading_assets.config import load_settings
from trading_assets.errors import ArtifactError, DivergedError, SchemaError
from trading_assets.execution import Policy, load_bundle
from trading_assets.execution.ensemble import PolicyNetwork
from trading_assets.execution.loader import RUNTIMES, open_runtime
from trading_assets.execution.networks import likeliest
from trading_assets.forecasters.stacking import StackedForecasters
from trading_assets.registry.manifest import write_manifest
from trading_assets.simulation import EnvConfig

ARCHITECTURE = {
    "features": ["x", "y"],
    "account": ["a"],
    "targets": [-1.0, 0.0, 1.0],
    "max_leverage": 1.0,
    "window": 1,
    "warm_up_bars": 2,
}
BAD = [
    [np.nan, np.nan, np.nan],
    [0.2, np.nan, 0.8],
    [np.inf, 0.0, 0.0],
    [0.5, 0.5, -np.inf],
    [np.inf, -np.inf, 1.0],
    [1.5, -0.5, 0.0],
    [0.0, 0.0, 0.0],
]


def policy_that_answers(*rows: Any) -> Policy:
    answers = iter(rows)
    return Policy(ARCHITECTURE, lambda *_: np.array(next(answers), dtype=float), 3, {})


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("deterministic", [True, False])
def test_what_are_no_probabilities_is_no_decision(bad: list[float], deterministic: bool) -> None:
    """Neither while it warms up nor after; NaN would have been a full short."""
    good, observation = [0.2, 0.3, 0.5], np.zeros(3, dtype=np.float32)
    with pytest.raises(DivergedError, match=r"expected probabilities\. No decision is made"):
        policy_that_answers(bad).predict(observation, deterministic)
    policy = policy_that_answers(good, good, bad, good)
    for _ in range(2):
        policy.predict(observation, deterministic)
    with pytest.raises(DivergedError, match="No decision is made"):
        policy.predict(observation, deterministic)
    assert policy.predict(observation)[0] == 1.0


def test_a_memory_that_is_not_finite_is_no_ground_for_a_decision() -> None:
    def evaluate(features: np.ndarray, account: np.ndarray, state: np.ndarray) -> np.ndarray:
        state[1] = np.nan
        return np.array([0.0, 0.0, 1.0])

    policy = Policy(ARCHITECTURE, evaluate, 3, {})
    with pytest.raises(DivergedError, match="remembers is not finite; load it again"):
        policy.warm_up(np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(DivergedError, match="remembers is not finite"):
        policy.predict(np.zeros(3, dtype=np.float32))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=9))
def test_the_likeliest_is_numpy_s(scores: list[float]) -> None:
    odds = np.exp(np.array(scores) - max(scores))
    assert likeliest(odds / odds.sum()) == np.argmax(odds / odds.sum())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["reference", "other"])
def test_nothing_passes_the_gate_that_is_not_finite_on_either_side(value: float, side: str) -> None:
    rows = {"reference": np.full((50, 3), 1 / 3), "other": np.full((50, 3), 1 / 3)}
    require_parity({"numpy": compare(rows["reference"], rows["other"])})
    rows[side][20, 2] = value
    with pytest.raises(ArtifactError, match=r"numpy runtime differs from its reference by .*not shipped"):
        require_parity({"numpy": compare(rows["reference"], rows["other"])})
    both = np.full((50, 3), value)
    with pytest.raises(ArtifactError, match="not shipped"):
        require_parity({"numpy": compare(both, both)})


@pytest.fixture
def parts(bundle: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return json.loads((bundle / "architecture.json").read_bytes()), load_file(bundle / "weights.safetensors")


def test_a_bundle_of_weights_that_are_not_finite_is_refused_by_name_in_every_runtime(
    bundle: Path,
    parts: tuple[dict[str, Any], dict[str, np.ndarray]],
) -> None:
    """Signed as it is. Trees and limits would have hidden the NaN, in all of the runtimes or in onnx."""
    architecture, weights = parts
    for name in (
        "lightgbm.trees.value",
        "lightgbm.scaler.center",
        "gru.scaler.limit",
        "lightgbm.trees.threshold",
    ):
        damaged = {key: value.copy() for key, value in weights.items()}
        damaged[name].reshape(-1)[0] = np.nan
        save_file(damaged, bundle / "weights.safetensors")
        (bundle / "manifest.json").unlink()
        write_manifest(bundle)
        for runtime in RUNTIMES:
            with pytest.raises(ArtifactError, match=f"'{name}' are not finite"):
                load_bundle(bundle, runtime=runtime)
            with pytest.raises(ArtifactError, match=f"'{name}' are not finite"):
                open_runtime(bundle, architecture, runtime)


@pytest.mark.parametrize(
    "name", ["members.ppo_agent.net.0.bias", "cnn_lstm.encoder.lstm.bias_ih_l0", "gru.head.bias"]
)
def test_a_graph_of_nan_decides_in_no_runtime_and_is_not_shipped(
    bundle: Path,
    parts: tuple[dict[str, Any], dict[str, np.ndarray]],
    decisions: tuple[np.ndarray, np.ndarray],
    name: str,
) -> None:
    """The weights beside the exports are sound, as a fault of an exporter would leave them."""
    (architecture, weights), row = parts, decisions[0][-1]
    damaged = {key: value.copy() for key, value in weights.items()}
    damaged[name].reshape(-1)[0] = np.nan
    network, graph = PolicyNetwork(architecture, damaged), PolicyGraph(architecture, damaged)
    example = example_inputs(architecture, network)
    (bundle / "policy.onnx").write_bytes(to_onnx(graph, example))
    (bundle / "policy.pt").write_bytes(to_torchscript(graph, example))
    features, accounts = decisions[0][-20:, :-4], np.zeros((20, 4), dtype=np.float32)
    sound = run_runtime(bundle, architecture, "numpy", features, accounts)
    opened = {runtime: open_runtime(bundle, architecture, runtime) for runtime in ("onnx", "torchscript")}
    for runtime, (evaluate, size) in {"numpy": (network, network.state_size), **opened}.items():
        with pytest.raises(DivergedError):
            Policy(architecture, evaluate, size, {}).predict(row)
        if runtime != "numpy":
            other = run_runtime(bundle, architecture, runtime, features, accounts)
            with pytest.raises(ArtifactError, match=f"The {runtime} runtime differs"):
                require_parity({runtime: compare(sound, other)})


@pytest.fixture
def policies(trained: Path) -> tuple[Any, dict[str, TrainedPolicy]]:
    folders = (current(name).path for name in ("dataset", "cv_folds", "market_embeddings"))
    market = load_market(*folders, load_settings("smoke", SYMBOL))
    return market, load_policies({kind: current(kind).path for kind in ("ppo_agent", "ppo_hybrid")}, market)


def test_an_agent_of_nan_is_neither_followed_nor_kept_nor_exported(
    policies: tuple[Any, dict[str, TrainedPolicy]], tmp_path: Path
) -> None:
    market, trained_policies = policies
    agent = trained_policies["ppo_agent"]
    era = market.eras.validation
    weights = {name: value.clone() for name, value in agent.weights.items()}
    weights["action_net.bias"][1] = torch.nan
    broken = TrainedPolicy(weights, agent.scaler, agent.trained_on)
    table = agent.scaler.transform(market.table)
    with pytest.raises(DivergedError, match="No decision is made"):
        run_policy(broken.actor, table, market, era)
    members = [(agent.actor, table), (broken.actor, table)]
    with pytest.raises(DivergedError, match="No decision is made"):
        run_ensemble(members, np.array([0.5, 0.5]), market, era)
    with pytest.raises(ArtifactError, match=r"'action_net\.bias' are not finite"):
        broken.write(tmp_path)
    stack = StackedForecasters.read(current("market_embeddings").path)
    with pytest.raises(ArtifactError, match=r"'members\.ppo_agent\.net\.out\.bias' are not finite"):
        write_bundle(
            tmp_path,
            stack,
            members_of({"ppo_agent": broken}, {"ppo_agent": 1.0}),
            trained_on=market.terms,
            warm_up_bars=10,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_trained_policy_says_what_it_was_trained_on_and_is_refused_elsewhere(
    policies: tuple[Any, dict[str, TrainedPolicy]],
) -> None:
    market, trained_policies = policies
    width = market.table.shape[1]
    expected = {"levels": [-1.0, 0.0, 1.0], "max_leverage": 1.0, "window": 1, "columns": width}
    assert all(policy.trained_on == expected for policy in trained_policies.values())
    config = EnvConfig(**market.market.config.model_dump() | {"max_leverage": 2.0})
    other = replace(market, market=market.market.under(config))
    with pytest.raises(
        SchemaError, match=r"ppo_agent was trained on .*max_leverage 1.0.*here are .*max_leverage 2"
    ):
        load_policies({"ppo_agent": current("ppo_agent").path}, other)


def test_a_bundle_is_judged_on_what_it_was_trained_on_and_on_nothing_else(
    bundle: Path,
    policies: tuple[Any, dict[str, TrainedPolicy]],
) -> None:
    from trading_assets.reports.backtest import replay_bundle

    market, _ = policies
    replay_bundle(bundle, market)
    config = EnvConfig(**market.market.config.model_dump() | {"levels": (-1.0, 0.0, 0.5)})
    other = replace(market, market=market.market.under(config))
    with pytest.raises(SchemaError, match=r"The policy was trained on levels .*here are levels"):
        replay_bundle(bundle, other)
