"""The hybrid's two ways to the same embedding, and what it takes over from its parents."""

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from tests.pipeline import SYMBOL, current
from trading_assets.agents.ensemble import choose_weights, run_ensemble, weight_grid
from trading_assets.agents.hybrid import EraEncoder, encoder_weights
from trading_assets.agents.ppo import make_ppo, training_env
from trading_assets.agents.storage import TrainedPolicy, load_market, load_members
from trading_assets.config import Settings, load_settings
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.cnn_lstm import CNNLSTMForecaster
from trading_assets.forecasters.stacking import StackedForecasters

pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture
def chosen() -> Settings:
    return load_settings("smoke", SYMBOL)


@pytest.fixture
def market(trained: Any, chosen: Settings) -> Any:
    return load_market(*(current(name).path for name in ("dataset", "cv_folds", "market_embeddings")), chosen)


@pytest.fixture
def model(market: Any, chosen: Settings) -> Any:
    """A hybrid as it is before training."""
    stack = StackedForecasters.read(current("market_embeddings").path)
    parent = TrainedPolicy.read(current("ppo_agent").path)
    features = Dataset.read(current("dataset").path).features
    index = np.arange(len(market.table), dtype=np.float32)[:, None]
    made = make_ppo(
        training_env(market, index, chosen.ppo),
        chosen.ppo,
        0,
        ActorCriticPolicy,
        features_extractor_class=EraEncoder,
        features_extractor_kwargs={
            "module": CNNLSTMForecaster.load(current("cnn_lstm_forecaster").path).module_,
            "inputs": stack.encoder_inputs(features),
            "table": market.table,
            "scaler": parent.scaler,
            "embedding": stack.embedding,
            "era": market.eras.agent_train,
        },
        ortho_init=False,
    )
    nets = {k: v for k, v in parent.weights.items() if "features_extractor" not in k}
    made.policy.load_state_dict(nets, strict=False)
    return made


def test_the_gradient_path_and_the_table_give_the_same_log_probabilities(model: Any) -> None:
    policy = model.policy
    policy.features_extractor.refresh()
    observations = torch.as_tensor(model.env.reset())
    with torch.no_grad():
        actions, _, before = policy(observations)
    _, after, _ = policy.evaluate_actions(observations, actions)
    assert (after - before).abs().max() < 1e-5
    assert after.requires_grad


def test_the_chunked_encoding_is_close_to_the_exact_state(model: Any, market: Any) -> None:
    era = market.eras.agent_train
    encoder = model.policy.features_extractor
    stack = StackedForecasters.read(current("market_embeddings").path)
    exact = TrainedPolicy.read(current("ppo_agent").path).scaler.transform(market.table[era.rows])
    chunked = encoder.encode_era().detach().numpy()
    assert np.array_equal(chunked[:, : stack.embedding.start], exact[:, : stack.embedding.start])
    assert np.abs(chunked - exact).max() < 2e-2


def test_every_weight_of_the_parents_is_taken_over(model: Any) -> None:
    state = model.policy.state_dict()
    parent = TrainedPolicy.read(current("ppo_agent").path).weights
    for name, value in parent.items():
        if "features_extractor" not in name:
            assert torch.equal(state[name], value), name
    forecaster = CNNLSTMForecaster.load(current("cnn_lstm_forecaster").path).weights()
    for name, value in encoder_weights(state).items():
        assert np.array_equal(value, forecaster[name]), name


def test_training_moves_encoder_and_policy_and_leaves_scaling_alone() -> None:
    hybrid = TrainedPolicy.read(current("ppo_hybrid").path)
    agent = TrainedPolicy.read(current("ppo_agent").path)
    kept = current("ppo_hybrid").summary.numbers["kept after steps"]
    forecaster = CNNLSTMForecaster.load(current("cnn_lstm_forecaster").path).weights()
    moved = not np.array_equal(encoder_weights(hybrid.weights)["conv.weight"], forecaster["conv.weight"])
    assert moved == (kept > 0)
    assert np.array_equal(hybrid.scaler.center, agent.scaler.center)
    assert agent.encoder is None and hybrid.encoder is not None


def test_the_hybrid_is_not_worse_than_its_parents_on_validation() -> None:
    numbers = current("ppo_hybrid").summary.numbers
    assert numbers["validation equity"] >= numbers["parents' validation equity"]


def test_ensemble_shares_are_the_best_point_shrunk_to_equal_parts(market: Any, chosen: Settings) -> None:
    policies = {n: TrainedPolicy.read(current(n).path) for n in ("ppo_agent", "ppo_hybrid")}
    members = load_members(policies, market, current("dataset").path, current("market_embeddings").path, 512)
    weights, trials = choose_weights(members, market, chosen.ensemble)
    points = weight_grid(2, chosen.ensemble.grid)
    assert len(trials) == len(points) == chosen.ensemble.grid + 1
    best = points[int(np.argmax([trial["equity"] for trial in trials]))]
    assert np.allclose(weights, 0.5 * best + 0.25)
    alone = run_ensemble(members, np.array([1.0, 0.0]), market, market.eras.validation)
    assert alone.equity[-1] == pytest.approx(trials[-1]["equity"])
