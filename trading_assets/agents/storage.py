"""Trained policies on disk, and what the forecasters say, as agents take it up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from safetensors.torch import load_file

from trading_assets.agents.ensemble import Members
from trading_assets.agents.hybrid import encoder_of, encoder_weights, with_embeddings
from trading_assets.agents.observations import AgentData
from trading_assets.agents.ppo import Weights, actor_weights
from trading_assets.config.settings import Settings
from trading_assets.errors import NotReadyError
from trading_assets.execution.networks import GRU, ActorNet, Encoder, require_finite
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.forecasters.stacking import StackedForecasters
from trading_assets.registry.tables import read_table
from trading_assets.registry.tensors import save_tensors
from trading_assets.simulation.spaces import Terms, require_same_terms
from trading_assets.validation.folds import Folds


@dataclass(frozen=True)
class TrainedPolicy:
    """State of a Stable-Baselines3 policy (a hybrid's with its encoder), the scaling of its market, and the
    terms (`simulation.spaces`) that it was trained on."""

    weights: Weights
    scaler: RobustScaler
    trained_on: Terms
    FILES: ClassVar = ("policy.safetensors", "scaler.json", "trained_on.json")

    @property
    def actor(self) -> ActorNet:
        return ActorNet(actor_weights(self.weights))

    @property
    def encoder(self) -> Encoder | GRU | None:
        """A hybrid's own encoder."""
        return encoder_of(self.weights) if encoder_weights(self.weights) else None

    def write(self, folder: Path) -> None:
        weights = {name: value.numpy() for name, value in self.weights.items()}
        require_finite(weights)
        save_tensors(folder / self.FILES[0], weights)
        (folder / self.FILES[1]).write_text(json.dumps(self.scaler.to_json()))
        (folder / self.FILES[2]).write_text(json.dumps(dict(self.trained_on)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        scaler, trained_on = (json.loads((folder / name).read_bytes()) for name in cls.FILES[1:])
        return cls(load_file(folder / cls.FILES[0]), RobustScaler.from_json(scaler), trained_on)


def load_policies(folders: Mapping[str, Path], market: AgentData) -> dict[str, TrainedPolicy]:
    """Trained policies by name; raises `SchemaError` for one that was trained on other terms."""
    policies = {name: TrainedPolicy.read(folder) for name, folder in folders.items()}
    for name, policy in policies.items():
        require_same_terms(name, policy.trained_on, market.terms)
    return policies


def load_market(dataset: Path, cv_folds: Path, embeddings: Path, settings: Settings) -> AgentData:
    """The market of verified artifacts, as agents see it before scaling."""
    data = Dataset.read(dataset)
    said = read_table(embeddings / "embeddings.parquet")
    n_forecasters = sum(str(name).startswith("p_") for name in said)
    table = np.hstack([data.features.to_numpy(), said.to_numpy()])
    eras = Folds.read(cv_folds).eras
    missing = data.warm_up + settings.bundle.warm_up_bars - eras.validation.start
    if missing > 0:
        raise NotReadyError(
            f"Not ready: bundle.warm_up_bars is {settings.bundle.warm_up_bars}, which reaches back "
            f"{missing} bars too far from the validation era; lower it or bring more bars."
        )
    return AgentData.make(data.bars, table, eras, settings, n_forecasters)


def load_members(
    policies: Mapping[str, TrainedPolicy],
    market: AgentData,
    dataset: Path,
    embeddings: Path,
    warm_up: int,
) -> Members:
    """Every policy with the market of the validation era as it sees it."""
    stack = StackedForecasters.read(embeddings)
    era = market.eras.validation
    inputs = stack.encoder_inputs(Dataset.read(dataset).features)
    members = []
    for policy in policies.values():
        table = market.table
        if policy.encoder is not None:
            first = era.start - warm_up
            table = with_embeddings(policy.encoder, inputs, table, stack.embedding, first, era.stop)
        members.append((policy.actor, policy.scaler.transform(table)))
    return members
