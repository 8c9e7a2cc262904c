"""Trained policies on disk, and everything stage 1 left, as agents take it up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from safetensors.torch import load_file

from trading_assets.agents.ensemble import Members
from trading_assets.agents.hybrid import encoder_weights, hybrid_stage1
from trading_assets.agents.observations import AgentMarket
from trading_assets.agents.ppo import Weights, actor_weights
from trading_assets.config.settings import Settings
from trading_assets.errors import NotReadyError
from trading_assets.execution.networks import ActorNet, Encoder
from trading_assets.features.dataset import Dataset
from trading_assets.forecasters.preprocessing import RobustScaler
from trading_assets.forecasters.stage1 import Stage1
from trading_assets.registry.tables import read_table
from trading_assets.registry.tensors import save_tensors
from trading_assets.validation.folds import Folds


@dataclass(frozen=True)
class TrainedPolicy:
    """State of a Stable-Baselines3 policy (a hybrid's with its encoder) and the scaling of its market."""

    weights: Weights
    scaler: RobustScaler
    FILES: ClassVar = ("policy.safetensors", "scaler.json")

    @property
    def actor(self) -> ActorNet:
        return ActorNet(actor_weights(self.weights))

    @property
    def encoder(self) -> Encoder | None:
        """A hybrid's own encoder."""
        arrays = encoder_weights(self.weights)
        return Encoder(arrays) if arrays else None

    def write(self, folder: Path) -> None:
        save_tensors(folder / self.FILES[0], {name: value.numpy() for name, value in self.weights.items()})
        (folder / self.FILES[1]).write_text(json.dumps(self.scaler.to_json()))

    @classmethod
    def read(cls, folder: Path) -> Self:
        scaler = RobustScaler.from_json(json.loads((folder / cls.FILES[1]).read_bytes()))
        return cls(load_file(folder / cls.FILES[0]), scaler)


def load_market(dataset: Path, cv_folds: Path, embeddings: Path, settings: Settings) -> AgentMarket:
    """The market of verified artifacts, as agents see it before scaling."""
    data = Dataset.read(dataset)
    table = read_table(embeddings / "embeddings.parquet").to_numpy()
    stage1 = np.hstack([data.features.to_numpy(), table])
    eras = Folds.read(cv_folds).eras
    missing = data.warm_up + settings.bundle.warm_up_bars - eras.validation.start
    if missing > 0:
        raise NotReadyError(
            f"Not ready: bundle.warm_up_bars is {settings.bundle.warm_up_bars}, which reaches back "
            f"{missing} bars too far from the validation era; lower it or bring more bars."
        )
    return AgentMarket.make(data.bars, stage1, eras, settings)


def load_members(
    policies: Mapping[str, TrainedPolicy],
    market: AgentMarket,
    dataset: Path,
    embeddings: Path,
    warm_up: int,
) -> Members:
    """Every policy with the market of the validation era as it sees it."""
    stage1 = Stage1.read(embeddings)
    era = market.eras.validation
    inputs = stage1.encoder_inputs(Dataset.read(dataset).features)
    members = []
    for policy in policies.values():
        table = market.stage1
        if policy.encoder is not None:
            first = era.start - warm_up
            table = hybrid_stage1(policy.encoder, inputs, table, stage1.embedding, first, era.stop)
        members.append((policy.actor, policy.scaler.transform(table)))
    return members
