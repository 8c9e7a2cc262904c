"""Proximal policy optimization on the market simulator, and its policy as plain weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy

from trading_assets.agents.observations import AgentData
from trading_assets.arrays import Singles
from trading_assets.config.settings import POSITION_LEVELS, PPOSettings
from trading_assets.execution.networks import ActorNet, likeliest
from trading_assets.progress import report
from trading_assets.simulation.backtesting import BacktestResult, backtest
from trading_assets.simulation.environments import TradingVecEnv, make_env
from trading_assets.validation.eras import Era
from trading_assets.validation.metrics import sharpe_ratio
from trading_assets.validation.ties import TIE

Weights = dict[str, torch.Tensor]
History = list[dict[str, float]]


def policy_arguments(hidden_size: int) -> dict[str, Any]:
    """Shape of policy and value net: two hidden tanh layers each, nothing shared."""
    layers = [hidden_size, hidden_size]
    return {"net_arch": {"pi": layers, "vf": layers}, "activation_fn": torch.nn.Tanh}


def training_env(market: AgentData, table: Singles, settings: PPOSettings) -> TradingVecEnv:
    """Training environments on the agents' era; `make_ppo` seeds them."""
    return make_env(market.during(market.eras.agent_train).showing(table), settings.n_envs)


def make_ppo(
    env: TradingVecEnv,
    settings: PPOSettings,
    seed: int,
    policy: type[ActorCriticPolicy] | str = "MlpPolicy",
    **policy_kwargs: Any,
) -> PPO:
    """An untrained agent; everything that decides its training is in the arguments."""
    torch.set_num_threads(1)
    return PPO(
        policy,
        env,
        learning_rate=settings.learning_rate,
        n_steps=settings.n_steps,
        batch_size=settings.batch_size,
        n_epochs=settings.n_epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        ent_coef=settings.ent_coef,
        policy_kwargs={**policy_arguments(settings.hidden_size), **policy_kwargs},
        seed=seed,
        device="cpu",
    )


def train_ppo(market: AgentData, table: Singles, settings: PPOSettings, seed: int) -> tuple[Weights, History]:
    """Train on `agent_train`; keep the weights that did best on `validation`.

    Parameters
    ----------
    market : AgentData
    table : ndarray of shape (n_bars, n_columns), float32
        The market as the agent sees it, scaled.
    settings : PPOSettings
    seed : int

    Returns
    -------
    weights : dict of str to Tensor
        State of the Stable-Baselines3 policy.
    history : list of dict
        Validation figures at each evaluation, the one kept marked by `kept`.

    Examples
    --------
    >>> weights, history = train_ppo(market, table, settings.ppo, seed=0)  # doctest: +SKIP
    """
    model = make_ppo(training_env(market, table, settings), settings, seed)

    def validate() -> BacktestResult:
        return run_policy(actor_of(model.policy), table, market, market.eras.validation)

    keeper = KeepBest(validate, settings.total_steps, settings.evaluations)
    model.learn(settings.total_steps, callback=keeper)
    return keeper.best(), keeper.history


class KeepBest(BaseCallback):
    """Replays validation at even intervals and remembers the weights with the highest final equity.

    Of several that only rounding tells apart it keeps the first, which took the least training.

    Rollouts are whole, so evaluations fall on the first rollout after each interval. With
    `from_start` the weights before any training are a candidate too.
    """

    def __init__(
        self,
        validate: Callable[[], BacktestResult],
        total_steps: int,
        evaluations: int,
        *,
        from_start: bool = False,
    ) -> None:
        super().__init__()
        self.validate = validate
        self.total_steps = total_steps
        self.interval = max(total_steps // evaluations, 1)
        self.history: History = []
        self._next = 0 if from_start else self.interval
        self._best: tuple[int, Weights] | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        report(self.num_timesteps / self.total_steps, f"{self.num_timesteps:,} steps")
        if self.num_timesteps >= self._next:
            self._evaluate()
            self._next += self.interval

    def _on_training_end(self) -> None:
        self._evaluate()

    def _evaluate(self) -> None:
        result = self.validate()
        equity = float(result.equity[-1])
        orders = int(np.count_nonzero(result.traded))
        sharpe = sharpe_ratio(result.returns, periods_per_year=1) if result.returns.any() else 0.0
        row = {"steps": self.num_timesteps, "equity": equity, "orders": orders, "sharpe per bar": sharpe}
        self.history.append(row)
        if self._best is None or equity > self.history[self._best[0]]["equity"] * (1 + 2 * TIE):
            state = self.model.policy.state_dict()
            # Actor and critic share one extractor; Stable-Baselines3 lists it under three names.
            aliases = ("pi_features_extractor", "vf_features_extractor")
            kept = {name: value.clone() for name, value in state.items() if not name.startswith(aliases)}
            self._best = (len(self.history) - 1, kept)

    def best(self) -> Weights:
        """The weights kept; marks their evaluation in the history."""
        if self._best is None:
            raise RuntimeError("best() was called before any evaluation.")
        for number, row in enumerate(self.history):
            row["kept"] = float(number == self._best[0])
        return self._best[1]


def actor_weights(policy_state: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """From the policy's state to the arrays of `execution.networks.ActorNet`."""
    layers = {
        "0": "mlp_extractor.policy_net.0",
        "1": "mlp_extractor.policy_net.2",
        "out": "action_net",
    }
    return {
        f"{short}.{part}": np.asarray(policy_state[f"{name}.{part}"])
        for short, name in layers.items()
        for part in ("weight", "bias")
    }


def actor_of(policy: ActorCriticPolicy) -> ActorNet:
    """The policy's actor as it will run in a bundle, frozen at this moment."""
    state = {name: value.detach().clone() for name, value in policy.state_dict().items()}
    return ActorNet(actor_weights(state))


def run_policy(actor: ActorNet, table: Singles, market: AgentData, era: Era) -> BacktestResult:
    """Follow the actor's likeliest target through an era."""

    def decide(t: int, account: Singles) -> float:
        return POSITION_LEVELS[likeliest(actor(np.concatenate([table[t], account])))]

    return backtest(decide, market.during(era))
