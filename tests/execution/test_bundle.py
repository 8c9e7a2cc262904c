"""A bundle on a live machine: it decides as its backtest did, and refuses what was tampered with."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline import SYMBOL
from trading_assets.config import load_settings
from trading_assets.errors import ArtifactError
from trading_assets.execution import Policy, load_bundle
from trading_assets.risk import RiskAgent

REPLAY = """
import sys, importlib.abc
ALLOWED = {allowed!r}

class OnlyExecution(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names:
            return None
        raise ModuleNotFoundError(f"{{name}} is not on a live machine")

sys.meta_path.insert(0, OnlyExecution())
import numpy as np
from trading_assets.execution import load_bundle

rows = np.load(sys.argv[2])
policy = load_bundle(sys.argv[1], runtime={runtime!r})
n = policy.warm_up_bars
policy.warm_up(rows[:n, : rows.shape[1] - 4])
print(*(policy.predict(row)[0] for row in rows[n:]))
heavy = {{"pandas", "numba", "torch", "dagster", "lightgbm", "stable_baselines3"}} & set(sys.modules)
assert not heavy, heavy
"""


def replay(policy: Policy, observations: np.ndarray) -> np.ndarray:
    policy.warm_up(observations[: policy.warm_up_bars, :-4])
    return np.array([policy.predict(row)[0] for row in observations[policy.warm_up_bars :]])


@pytest.mark.parametrize(
    ("runtime", "allowed"),
    [
        ("numpy", ["trading_assets", "numpy", "safetensors"]),
        ("onnx", ["trading_assets", "numpy", "safetensors", "onnxruntime", "google", "packaging"]),
    ],
)
def test_a_process_with_only_the_execution_packages_decides_as_the_backtest_did(
    bundle: Path,
    decisions: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    runtime: str,
    allowed: list[str],
) -> None:
    observations, actions = decisions
    np.save(tmp_path / "rows.npy", observations)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            REPLAY.format(allowed=allowed, runtime=runtime),
            str(bundle),
            str(tmp_path / "rows.npy"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal([float(action) for action in done.stdout.split()], actions)
    assert len(np.unique(actions)) > 1


@pytest.mark.parametrize("runtime", ["numpy", "onnx", "torchscript", "fastest"])
def test_every_runtime_decides_alike(
    bundle: Path, decisions: tuple[np.ndarray, np.ndarray], runtime: str
) -> None:
    observations, actions = decisions
    assert np.array_equal(replay(load_bundle(bundle, runtime=runtime), observations), actions)


@pytest.mark.parametrize("runtime", ["numpy", "onnx", "torchscript"])
def test_the_memory_of_the_gru_is_warmed_with_the_rest(
    bundle: Path, decisions: tuple[np.ndarray, np.ndarray], runtime: str
) -> None:
    """Probabilities of the targets, which a forgotten part of the state would change, agree to 1e-5."""
    observations = decisions[0]
    policies = [load_bundle(bundle, runtime=name) for name in ("numpy", runtime)]  # type: ignore[arg-type]
    for policy in policies:
        policy.warm_up(observations[: policy.warm_up_bars, :-4])
    for row in observations[policies[0].warm_up_bars :][:50]:
        here, there = (policy.predict(row)[1]["probabilities"] for policy in policies)
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-5)


def test_the_limits_it_was_trained_with_travel_in_it_as_a_risk_agent_reads_them(bundle: Path) -> None:
    agent = RiskAgent(policy_yaml=bundle / "limits.json")
    assert agent.limits == load_settings("smoke", SYMBOL).risk
    assert agent.limits.drawdown is not None


def test_parity_and_latency_stand_in_the_metadata(bundle: Path) -> None:
    details = json.loads((bundle / "metadata.json").read_text())["details"]
    assert set(details["parity"]) == {"numpy", "onnx", "torchscript"}
    assert all(row["max difference"] < 1e-5 for row in details["parity"].values())
    for row in details["latency"]["runtimes"].values():
        assert 0 < row["p50_us"] <= row["p99_us"] <= row["p99.9_us"]
        assert row["version"]
    assert details["latency"]["processor"] and details["latency"]["threads"] == 1


def tamper_byte(bundle: Path) -> str:
    path = bundle / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return path.name


def tamper_extra(bundle: Path) -> str:
    (bundle / "evil.py").write_text("")
    return "evil.py"


def tamper_missing(bundle: Path) -> str:
    (bundle / "policy.onnx").unlink()
    return "policy.onnx"


def tamper_link(bundle: Path) -> str:
    (bundle / "policy.pt").unlink()
    (bundle / "policy.pt").symlink_to("/dev/null")
    return "policy.pt"


def tamper_no_manifest(bundle: Path) -> str:
    (bundle / "manifest.json").unlink()
    return "manifest.json"


@pytest.mark.parametrize(
    "tamper", [tamper_byte, tamper_extra, tamper_missing, tamper_link, tamper_no_manifest]
)
def test_a_tampered_bundle_is_refused_by_the_file_s_name(bundle: Path, tamper: object) -> None:
    name = tamper(bundle)  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=name):
        load_bundle(bundle)


def test_no_bundle_and_an_unknown_runtime_are_said(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no bundle at"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="Unknown runtime 'cuda'"):
        load_bundle(bundle, runtime="cuda")  # type: ignore[arg-type]


def test_a_policy_stays_flat_until_it_is_warm(bundle: Path, decisions: tuple[np.ndarray, np.ndarray]) -> None:
    policy, row = load_bundle(bundle), decisions[0][-1]
    action, info = policy.predict(row)
    assert (action, info["missing_bars"]) == (0.0, policy.warm_up_bars)
    assert info["probabilities"].sum() == pytest.approx(1)


def test_reset_forgets_all_bars(bundle: Path, decisions: tuple[np.ndarray, np.ndarray]) -> None:
    policy = load_bundle(bundle)
    first = replay(policy, decisions[0])
    policy.reset()
    assert np.array_equal(replay(policy, decisions[0]), first)


def test_a_value_that_is_not_finite_is_refused_by_name_and_changes_nothing(
    bundle: Path, decisions: tuple[np.ndarray, np.ndarray]
) -> None:
    policy, row = load_bundle(bundle), decisions[0][-1]
    broken = row.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match=policy.observation_names[3]):
        policy.predict(broken)
    with pytest.raises(ValueError, match="expected"):
        policy.predict(row[:-1])
    assert policy.predict(row)[1]["missing_bars"] == policy.warm_up_bars


def test_stochastic_actions_follow_the_probabilities(
    bundle: Path, decisions: tuple[np.ndarray, np.ndarray]
) -> None:
    policy = load_bundle(bundle)
    replay(policy, decisions[0])
    row = decisions[0][-1]
    drawn, expected = [], []
    for _ in range(2_000):
        action, info = policy.predict(row, deterministic=False)
        drawn.append(action)
        expected.append(info["probabilities"] @ policy.targets)
    assert np.mean(drawn) == pytest.approx(np.mean(expected), abs=0.08)
