"""A bundle against the policies it was made from, on the validation era."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trading_assets.agents.hybrid import encoder_weights
from trading_assets.agents.observations import AgentData
from trading_assets.agents.ppo import actor_weights
from trading_assets.agents.storage import TrainedPolicy
from trading_assets.arrays import Singles
from trading_assets.bundles.export import MemberParts
from trading_assets.bundles.parity import (
    compare_runtimes,
    trained_embedding,
    trained_probabilities,
)
from trading_assets.config.settings import POSITION_LEVELS, Settings
from trading_assets.execution.networks import sub
from trading_assets.forecasters.loading import forecaster_class
from trading_assets.forecasters.sequence import SequenceForecaster
from trading_assets.forecasters.stacking import StackedForecasters

MAX_BARS = 2_000


def members_of(policies: Mapping[str, TrainedPolicy], shares: Mapping[str, float]) -> list[MemberParts]:
    """Trained policies as parts of a bundle."""
    return [
        MemberParts(
            name,
            shares[name],
            policy.scaler,
            actor_weights(policy.weights),
            encoder_weights(policy.weights) or None,
        )
        for name, policy in policies.items()
    ]


def check_bundle(
    folder: Path,
    stack: StackedForecasters,
    policies: Mapping[str, TrainedPolicy],
    shares: Mapping[str, float],
    market: AgentData,
    settings: Settings,
) -> tuple[dict[str, dict[str, float]], Singles]:
    """Compare a written bundle with torch and Stable-Baselines3 on up to 2,000 validation bars.

    In the reference, hidden states come from the torch modules over the whole sequence and actions from
    the Stable-Baselines3 policies; the forecasters' probabilities are those of the agents' table, which
    was held against LightGBM and torch when it was made. The accounts are random.

    Returns
    -------
    parity : dict
        A row a runtime, see `parity.compare`.
    observations : ndarray of shape (n_bars, n_features + n_account)
        What the bundle was shown.
    """
    warm_up, era = settings.bundle.warm_up_bars, market.eras.validation
    stop = min(era.stop, era.start + MAX_BARS)
    shown = slice(era.start - warm_up, stop)
    n_features = len(stack.architecture["features"])
    features = np.ascontiguousarray(market.table[shown, :n_features])
    accounts = _random_accounts(len(features))
    about = stack.encoder
    forecaster = forecaster_class(about["kind"])
    assert issubclass(forecaster, SequenceForecaster)
    scaler = stack.network.encoder.scaler
    inputs = scaler(features[:, about["columns"]])
    trained = np.zeros((len(features), len(POSITION_LEVELS)))
    for name, policy in policies.items():
        encoder = encoder_weights(policy.weights) or sub(stack.weights, f"{about['kind']}.encoder")
        seen = market.table[shown].copy()
        hidden = trained_embedding(encoder, forecaster, about["settings"], inputs)
        seen[:, stack.embedding] = hidden
        observations = np.hstack([policy.scaler.transform(seen), accounts])
        hidden_size = len(policy.weights["action_net.weight"][0])
        trained += shares[name] * trained_probabilities(policy.weights, observations, hidden_size)
    architecture = json.loads((folder / "architecture.json").read_bytes())
    parity = compare_runtimes(folder, architecture, features, accounts, trained[warm_up:])
    return parity, np.hstack([features, accounts])


def _random_accounts(n: int) -> Singles:
    rng = np.random.default_rng(0)
    columns = [
        rng.choice(POSITION_LEVELS, n),
        rng.normal(0, 0.5, n).clip(-5, 5),
        rng.exponential(0.5, n).clip(0, 5),
        rng.uniform(0, 3, n),
    ]
    return np.column_stack(columns).astype(np.float32)
