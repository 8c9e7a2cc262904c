"""Every number a user may choose, typed, bounded and frozen. What is not listed here is not a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """Base of all settings: immutable, and a misspelt field is an error rather than a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IngestPolicy(Section):
    """How a file of bars is read, and what is forgiven."""

    time_zone: str | None = None
    """Zone of times of day that are written without one, for instance 'UTC' or 'Europe/Berlin'."""
    calendar: str | None = None
    """Name in exchange-calendars ('XNYS', '24/5') whose nights and holidays are no gaps."""
    max_gap_days: Positive = 7.0
    """Longest time without bars; with a calendar only its open hours count."""
    tick_size: Positive | None = None
    """By so much a high or low may be off; without it, the last decimal that the prices are written with."""
    accept_jumps: bool = False
    """Take jumps between two bars as real that are as large as a split."""
    allow_negative_prices: bool = False
    """For instruments such as spreads or oil futures; returns and features need positive prices."""
    quarantine_dir: Path | None = None
    """Folder that gets a copy of a rejected file with the report beside it; the pipeline sets its own."""


class FeatureSet(Section):
    """Which features are computed.

    `names` are columns (`rsi_14`), families (`volatility`) or patterns (`return_*`), with `!` in front what
    is not wanted; `parameters` replaces an indicator's default parameters: `{'rsi': [[7], [28]]}` makes the
    columns `rsi_7` and `rsi_28`.
    """

    names: tuple[str, ...] = ("*",)
    parameters: dict[str, tuple[tuple[float, ...], ...]] = {}
    timeframes: tuple[Annotated[str, Field(pattern=r"^[1-9]\d*[mhdw]$")], ...] = ("4h", "1d")
    """Larger bars whose features are seen too, as of their close."""
    timeframe_names: tuple[str, ...] = ("return_1", "sma_gap_24", "channel_24", "parkinson_24")
    """Columns computed on each of them (`return_1`), or on one only (`4h_return_1`)."""


class LabelSettings(Section):
    """What the forecasters are asked."""

    kind: Literal["direction", "triple_barrier", "trend"] = "direction"
    """Up or down over the horizon; whichever barrier is met first; the strongest trend up to the horizon."""
    horizon: Count = 24
    """Bars between entering at the next open and leaving, at the latest."""
    profit_taking: Positive = 2.0
    stop_loss: Positive = 2.0
    """Distance of the two barriers in deviations of the return over the horizon."""
    variance_horizon: Count = 24
    """Bars ahead whose realised variance is called high or low."""
    variance_lookback: Count = 720
    """Trailing bars whose median variance is the line between high and low."""
    weights: Literal["uniqueness", "return", "none"] = "uniqueness"
    """Labels count by how few others share their bars, by the return they explain, or all alike."""


class FoldSettings(Section):
    """Eras and folds; lengths in bars."""

    n_splits: Annotated[int, Field(ge=2, le=50)] = 5
    embargo: Annotated[int, Field(ge=0)] = 24
    step_bars: Count = 168
    """The border of what training may know moves in steps of this many bars."""
    min_bars: Count = 5_000
    forecaster_train: Share = 0.5
    agent_train: Share = 0.25
    validation: Share = 0.125
    """What the three shares leave is the test era."""

    @model_validator(mode="after")
    def _leaves_a_test_era(self) -> FoldSettings:
        used = self.forecaster_train + self.agent_train + self.validation
        if used > 0.95:
            raise ValueError(f"the first three eras take {used:.0%}; leave at least 5% for test")
        return self


class LightGBMSettings(Section):
    n_estimators: Count = 150
    learning_rate: Positive = 0.03
    num_leaves: Annotated[int, Field(ge=2, le=255)] = 15
    min_child_samples: Count = 100
    colsample_bytree: Annotated[float, Field(gt=0, le=1)] = 0.5
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.7
    reg_lambda: Annotated[float, Field(ge=0)] = 10.0


class CNNLSTMSettings(Section):
    channels: Count = 24
    kernel_size: Annotated[int, Field(ge=2, le=32)] = 2
    hidden_size: Count = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    chunk: Count = 128
    """Bars of one training sequence that count towards the loss."""
    burn_in: Count = 32
    """Bars before them that only warm the state."""
    batch_size: Count = 8
    learning_rate: Positive = 8e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    steps: Count = 400
    """Optimiser steps of one fit. A fixed number: stopping early on a noisy tail stopped too soon."""


class CostSettings(Section):
    """What a trade costs, in basis points of traded notional, on each side."""

    fee_bps: Annotated[float, Field(ge=0, le=1_000)] = 10.0
    slippage_bps: Annotated[float, Field(ge=0, le=1_000)] = 5.0


class RiskSettings(Section):
    """The drawdown rule that advises agents in training."""

    drawdown_soft: Share = 0.1
    """Drawdown at which the penalty starts."""
    drawdown_hard: Share = 0.25
    """Drawdown at which the penalty is full."""
    penalty: Annotated[float, Field(ge=0)] = 0.1
    """Full penalty per bar, in standard deviations of a bar's return."""

    @model_validator(mode="after")
    def _soft_below_hard(self) -> RiskSettings:
        if self.drawdown_soft >= self.drawdown_hard:
            raise ValueError(
                f"drawdown_soft is {self.drawdown_soft}; it must lie below drawdown_hard "
                f"({self.drawdown_hard})"
            )
        return self


class PPOSettings(Section):
    total_steps: Count = 131_072
    n_envs: Count = 64
    n_steps: Count = 64
    batch_size: Count = 2_048
    n_epochs: Count = 4
    learning_rate: Positive = 1e-3
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.9
    gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.9
    ent_coef: Annotated[float, Field(ge=0)] = 0.002
    hidden_size: Count = 32
    """Width of the two hidden layers of policy and value net."""
    episode_bars: Count = 512
    evaluations: Count = 8
    """Times during training that the validation era is replayed; the best policy is kept."""


class HybridSettings(Section):
    total_steps: Count = 65_536
    learning_rate: Positive = 3e-4
    """Of encoder, policy and value net alike."""
    evaluations: Count = 4


class EnsembleSettings(Section):
    grid: Annotated[int, Field(ge=2, le=100)] = 10
    """Weights are multiples of 1/grid before they are shrunk."""
    shrinkage: Annotated[float, Field(ge=0, le=1)] = 0.5
    """0 keeps the weights validation liked best, 1 gives every member 1/N."""


class BundleSettings(Section):
    warm_up_bars: Annotated[int, Field(ge=256)] = 512
    """Bars a freshly loaded policy must see before its first decision."""
    latency_calls: Annotated[int, Field(ge=100)] = 2_000


class Settings(Section):
    """All settings of one symbol."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    market: IngestPolicy = IngestPolicy()
    features: FeatureSet = FeatureSet()
    labels: LabelSettings = LabelSettings()
    folds: FoldSettings = FoldSettings()
    lightgbm: LightGBMSettings = LightGBMSettings()
    cnn_lstm: CNNLSTMSettings = CNNLSTMSettings()
    calibration: Literal["best", "isotonic", "platt", "beta"] = "best"
    costs: CostSettings = CostSettings()
    risk: RiskSettings = RiskSettings()
    ppo: PPOSettings = PPOSettings()
    hybrid: HybridSettings = HybridSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    bundle: BundleSettings = BundleSettings()
