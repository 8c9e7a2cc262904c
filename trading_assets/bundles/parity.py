"""Does the bundle decide as the trained policy did? In every runtime?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from trading_assets.arrays import Floats, Singles
from trading_assets.errors import ArtifactError
from trading_assets.execution.loader import RUNTIMES, open_runtime
from trading_assets.execution.networks import GRU, Encoder
from trading_assets.forecasters.sequence import SequenceForecaster

PROBABILITY_TOLERANCE = 1e-4
CLOSE_CALL = 1e-4
"""Two targets whose probabilities differ by less may swap between runtimes."""


def trained_probabilities(
    policy_state: Mapping[str, torch.Tensor], observations: Singles, hidden_size: int
) -> Floats:
    """What Stable-Baselines3 itself says to scaled observations, shape (n, n_targets)."""
    layers = [hidden_size, hidden_size]
    policy = ActorCriticPolicy(
        spaces.Box(-np.inf, np.inf, (observations.shape[1],), np.float32),
        spaces.Discrete(3),
        lambda _: 0.0,
        net_arch={"pi": layers, "vf": layers},
        activation_fn=torch.nn.Tanh,
    )
    nets = {name: value for name, value in policy_state.items() if "features_extractor" not in name}
    policy.load_state_dict(nets, strict=False)
    with torch.no_grad():
        distribution = policy.get_distribution(torch.from_numpy(observations)).distribution
    assert isinstance(distribution, torch.distributions.Categorical)
    return distribution.probs.double().numpy()


def trained_embedding(
    encoder: Mapping[str, NDArray[Any]],
    forecaster: type[SequenceForecaster],
    settings: Mapping[str, Any],
    inputs: Singles,
) -> Singles:
    """Hidden states of consecutive bars by the torch module, shape (n_bars, n_hidden)."""
    module = forecaster.Module(inputs.shape[1], forecaster.Settings(**settings), 1).eval()
    state = {name: torch.from_numpy(np.array(value)) for name, value in encoder.items()}
    module.load_state_dict(state, strict=False)
    with torch.inference_mode():
        hidden: Singles = module.encode(torch.from_numpy(inputs)[None])[0].numpy()
    return hidden


def step_embedding(step: Encoder | GRU, inputs: Singles) -> Singles:
    """The same by the bundle's encoder, bar by bar."""
    state = np.zeros(step.state_size, dtype=np.float32)
    return np.stack([step(z, state) for z in inputs])


def run_runtime(
    folder: Path, architecture: dict[str, Any], runtime: str, features: Singles, accounts: Singles
) -> Floats:
    """Probabilities of consecutive bars from a fresh state, shape (n_bars, n_targets)."""
    evaluate, state_size = open_runtime(folder, architecture, runtime)
    state = np.zeros(state_size, dtype=np.float32)
    rows = [evaluate(x, account, state).copy() for x, account in zip(features, accounts, strict=True)]
    return np.stack(rows)


def compare(reference: Floats, other: Floats) -> dict[str, float]:
    """Largest difference, share of equal actions, and of unequal ones that were no close call."""
    ranked = np.sort(reference, axis=1)
    with np.errstate(invalid="ignore"):  # of infinities, which `require_parity` refuses
        clear = ranked[:, -1] - ranked[:, -2] > CLOSE_CALL
        difference = np.abs(reference - other).max()
    differs = reference.argmax(axis=1) != other.argmax(axis=1)
    return {
        "max difference": float(difference),
        "equal actions": float(1 - differs.mean()),
        "clear actions that differ": float((differs & clear).sum()),
    }


def require_parity(report: Mapping[str, Mapping[str, float]]) -> None:
    """Raise an error for a runtime that does not decide like the trained policy.

    What is not finite on either side differs.

    Parameters
    ----------
    report : mapping
        As from `compare_runtimes`.

    Raises
    ------
    ArtifactError
        Naming the runtime and how far it is off.

    Examples
    --------
    >>> require_parity(compare_runtimes(folder, architecture, features, accounts, trained))  # doctest: +SKIP
    """
    for name, row in report.items():
        alike = row["max difference"] <= PROBABILITY_TOLERANCE and row["clear actions that differ"] == 0
        if not alike:
            raise ArtifactError(
                f"The {name} runtime differs from its reference by {row['max difference']:.2e} "
                f"(allowed {PROBABILITY_TOLERANCE:.0e}), {row['clear actions that differ']:.0f} clear "
                "actions are not the same. The bundle is not shipped."
            )


def compare_runtimes(
    folder: Path, architecture: dict[str, Any], features: Singles, accounts: Singles, trained: Floats
) -> dict[str, dict[str, float]]:
    """numpy against the trained policy, every other runtime against numpy.

    Parameters
    ----------
    folder : Path
        Of the bundle.
    architecture : dict
        Its `architecture.json`.
    features, accounts : ndarray of shape (n_bars, n_features) and (n_bars, n_account), float32
        Of consecutive bars.
    trained : ndarray of shape (n, n_targets)
        Probabilities of the trained policy at the last n of them.

    Returns
    -------
    dict of str to dict
        By runtime: share of equal decisions, largest differences.

    Examples
    --------
    See `require_parity`.
    """
    numpy_rows = run_runtime(folder, architecture, "numpy", features, accounts)
    report = {"numpy": compare(trained, numpy_rows[-len(trained) :])}
    for runtime in RUNTIMES[1:]:
        other = run_runtime(folder, architecture, runtime, features, accounts)
        report[runtime] = compare(numpy_rows, other)
    return report
