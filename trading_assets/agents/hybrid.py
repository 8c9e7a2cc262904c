"""Encoder and policy optimized jointly, starting from the forecaster and the agent.

The observation is [bar index, account]. With gradients on, the whole era is encoded once a minibatch
and the minibatch's bars are gathered from it; without, rows come from a table refreshed before every
rollout. That costs a tenth of encoding a window for every observation.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from trading_assets.agents.observations import AgentData
from trading_assets.agents.ppo import (
    History,
    KeepBest,
    Weights,
    actor_of,
    make_ppo,
    run_policy,
    training_env,
)
from trading_assets.arrays import Singles
from trading_assets.config.forecasters import ENCODER
from trading_assets.config.settings import Settings
from trading_assets.execution.networks import GRU, Encoder
from trading_assets.forecasters.loading import forecaster_class
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.forecasters.sequence import CausalModule, SequenceForecaster
from trading_assets.simulation.backtesting import BacktestResult
from trading_assets.validation.eras import Era

CHUNK, BURN_IN = 256, 64


class EraEncoder(BaseFeaturesExtractor):
    """From [bar index, account] to [scaled market with fresh embeddings, account].

    Parameters
    ----------
    observation_space : Box
    module : CausalModule
        Optimized from the weights it comes with.
    inputs : ndarray of shape (n_bars, n_inputs), float32
        The encoder's scaled inputs.
    table : ndarray of shape (n_bars, width), float32
        Unscaled; the columns at `embedding` are replaced by the module's hidden states.
    scaler : RobustScaler
        The agent's, for the whole width.
    embedding : slice
    era : Era

    Examples
    --------
    See `train_hybrid`.
    """

    def __init__(
        self,
        observation_space: gym.spaces.Box,
        *,
        module: CausalModule,
        inputs: Singles,
        table: Singles,
        scaler: RobustScaler,
        embedding: slice,
        era: Era,
    ) -> None:
        n_account = int(observation_space.shape[0]) - 1
        super().__init__(observation_space, table.shape[1] + n_account)
        self.module = module
        self.start = era.start
        first = np.arange(era.start, era.stop, CHUNK)[:, None]
        where = np.clip(first + np.arange(-BURN_IN, CHUNK), 0, era.stop - 1)
        self._chunks = torch.from_numpy(inputs[where])
        self._market = torch.from_numpy(scaler.transform(table[era.rows]))
        self._center = torch.from_numpy(scaler.center[embedding].astype(np.float32))
        self._scale = torch.from_numpy(scaler.scale[embedding].astype(np.float32))
        self._limit = scaler.limit
        self._embedding = embedding
        self._table = torch.empty(0)

    def encode_era(self) -> torch.Tensor:
        """The market of every bar of the era as the policy sees it, shape (len(era), width)."""
        hidden = self.module.encode(self._chunks)[:, BURN_IN:].flatten(0, 1)[: len(self._market)]
        scaled = ((hidden - self._center) / self._scale).clamp(-self._limit, self._limit)
        low, high = self._embedding.start, self._embedding.stop
        return torch.cat([self._market[:, :low], scaled, self._market[:, high:]], dim=1)

    def refresh(self) -> None:
        """Bring the table that rollouts read up to the module's weights."""
        with torch.no_grad():
            self._table = self.encode_era()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        table = self.encode_era() if torch.is_grad_enabled() else self._table
        rows = observations[:, 0].long() - self.start
        return torch.cat([table[rows], observations[:, 1:]], dim=1)


class _RefreshTable(BaseCallback):
    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        policy = self.model.policy
        assert isinstance(policy, ActorCriticPolicy)
        encoder = policy.features_extractor
        assert isinstance(encoder, EraEncoder)
        encoder.refresh()


def with_embeddings(
    encoder: Encoder | GRU, inputs: Singles, table: Singles, embedding: slice, first: int, stop: int
) -> Singles:
    """`table` with the embeddings of bars `first` to `stop - 1` computed by `encoder`, bar by bar."""
    own, state = table.copy(), np.zeros(encoder.state_size, dtype=np.float32)
    for t in range(first, stop):
        own[t, embedding] = encoder(inputs[t], state)
    return own


def encoder_of(policy_state: dict[str, Any]) -> Encoder | GRU:
    """The hybrid's encoder as it will run in a bundle, from the state of its policy."""
    forecaster = forecaster_class(ENCODER)
    assert issubclass(forecaster, SequenceForecaster)
    return forecaster.encoder_type()(encoder_weights(policy_state))


def encoder_weights(policy_state: dict[str, Any]) -> dict[str, Any]:
    """The arrays of its encoder in the state of a hybrid's policy."""
    prefix = "features_extractor.module."
    return {
        name.removeprefix(prefix): np.array(torch.as_tensor(value).cpu().numpy())
        for name, value in policy_state.items()
        if name.startswith(prefix) and not name.startswith(prefix + "head.")
    }


def train_hybrid(
    market: AgentData,
    module: CausalModule,
    inputs: Singles,
    scaler: RobustScaler,
    embedding: slice,
    parent: Weights,
    settings: Settings,
    *,
    warm_up: int,
) -> tuple[Weights, History]:
    """Go on training the parents together on `agent_train`; keep what did best on `validation`.

    The untrained pair is a candidate, so the hybrid is not worse than its parents on validation.

    Parameters
    ----------
    market : AgentData
    module : CausalModule
        The forecaster's network.
    inputs : ndarray of shape (n_bars, n_inputs), float32
        Its scaled inputs.
    scaler : RobustScaler
        The agent's.
    embedding : slice
        Columns of `market.table` that hold the module's hidden state.
    parent : dict of str to Tensor
        State of the agent's policy, from `train_ppo`.
    settings : Settings
    warm_up : int
        Bars that warm the encoder before validation.

    Returns
    -------
    weights, history
        As from `train_ppo`.

    Examples
    --------
    >>> weights, history = train_hybrid(
    ...     market, module, inputs, scaler, embedding, parent, settings, warm_up=512
    ... )  # doctest: +SKIP
    """
    hybrid, era = settings.hybrid, market.eras.agent_train
    ppo = settings.ppo.model_copy(update={"learning_rate": hybrid.learning_rate})
    seed = settings.seed + 1
    index = np.arange(len(market.table), dtype=np.float32)[:, None]
    model = make_ppo(
        training_env(market, index, ppo),
        ppo,
        seed,
        ActorCriticPolicy,
        features_extractor_class=EraEncoder,
        features_extractor_kwargs={
            "module": module,
            "inputs": inputs,
            "table": market.table,
            "scaler": scaler,
            "embedding": embedding,
            "era": era,
        },
        ortho_init=False,
    )
    nets = {name: value for name, value in parent.items() if "features_extractor" not in name}
    model.policy.load_state_dict(nets, strict=False)
    validation = market.eras.validation
    first = validation.start - warm_up

    def validate() -> BacktestResult:
        state = {name: value.detach() for name, value in model.policy.state_dict().items()}
        encoder = encoder_of(state)
        seen = with_embeddings(encoder, inputs, market.table, embedding, first, validation.stop)
        table = scaler.transform(seen)
        return run_policy(actor_of(model.policy), table, market, validation)

    keeper = KeepBest(validate, hybrid.total_steps, hybrid.evaluations, from_start=True)
    model.learn(hybrid.total_steps, callback=CallbackList([_RefreshTable(), keeper]))
    return keeper.best(), keeper.history
