"""The whole policy in plain numpy: forecasters, then the policies of the ensemble on what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trading_assets.arrays import Floats, Singles
from trading_assets.execution.forecasters import Forecasters
from trading_assets.execution.networks import GRU, ActorNet, Encoder, Scaler, Weights, sub


class Member:
    """One policy of the ensemble: its scaling, its net and, for a hybrid, an encoder of its own."""

    def __init__(self, weights: Weights, n_features: int, encoder: type[Encoder] | type[GRU]) -> None:
        self.scaler = Scaler(sub(weights, "scaler"))
        self.net = ActorNet(sub(weights, "net"))
        own = sub(weights, "encoder")
        self.encoder = encoder(own) if own else None
        self.state_size = self.encoder.state_size if self.encoder else 0
        self.n_features = n_features

    def see(self, market: Singles, z: Singles, state: Singles) -> Singles:
        """The market as this member sees it; does not depend on the account."""
        if self.encoder is not None:
            market = market.copy()
            hidden = self.encoder(z, state)
            market[self.n_features : self.n_features + len(hidden)] = hidden
        return self.scaler(market)


class PolicyNetwork:
    """Everything between a bar's features and the ensemble's probabilities of the targets."""

    def __init__(self, architecture: Mapping[str, Any], weights: Weights) -> None:
        n_features = len(architecture["features"])
        self.forecasters = Forecasters(architecture, weights)
        encoder = self.forecasters.encoder.encoder_type
        self.members = [
            Member(sub(weights, f"members.{member['name']}"), n_features, encoder)
            for member in architecture["members"]
        ]
        self.shares = [float(member["weight"]) for member in architecture["members"]]
        sizes = [self.forecasters.state_size, *(member.state_size for member in self.members)]
        ends = np.cumsum(sizes)
        self._slices = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self.state_size = int(ends[-1])
        self._market = np.empty(self.forecasters.width, dtype=np.float32)

    def see(self, features: Singles, state: Singles) -> list[Singles]:
        """What each member sees of the market; moves `state` on by one bar."""
        z = self.forecasters(features, state[self._slices[0]], self._market)
        return [
            member.see(self._market, z, state[part])
            for member, part in zip(self.members, self._slices[1:], strict=True)
        ]

    def __call__(self, features: Singles, account: Singles, state: Singles) -> Floats:
        """Probabilities of the targets, shape (n_targets,); moves `state` on by one bar."""
        total: Any = 0.0
        for member, share, seen in zip(self.members, self.shares, self.see(features, state), strict=True):
            total = total + share * member.net(np.concatenate([seen, account]))
        return np.asarray(total)
