"""Every number a user may choose, typed, bounded and frozen. What is not listed here is not a setting."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from trading_assets.config.explain import explain
from trading_assets.config.limits import Limit, RiskLimits
from trading_assets.config.section import Count, Duration, Positive, Section, Share
from trading_assets.errors import SettingsError


class IngestPolicy(Section):
    """How a file of bars is read, and what is forgiven.

    Examples
    --------
    >>> IngestPolicy(time_zone="America/New_York", calendar="XNYS").calendar
    'XNYS'
    """

    time_zone: str | None = None
    """Zone of times of day that are written without one, for instance 'UTC' or 'Europe/Berlin'."""
    day_first: bool | None = None
    """Whether 03/04/2024 is in April (true) or in March; without it the rows of a file have to decide."""
    stamp: Literal["open", "close"] | None = None
    """The moment of a bar that its time is; without it what the times show, which is said, else the open."""
    decimal: Literal[".", ","] | None = None
    """What stands before decimals in text; without it what fits the most prices."""
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

    Examples
    --------
    >>> FeatureSet(timeframes=(), names=("return_1", "rsi_14")).names
    ('return_1', 'rsi_14')
    """

    names: tuple[str, ...] = ("*",)
    """Columns (`rsi_14`), families (`volatility`) and patterns (`return_*`); `!` in front takes away."""
    parameters: dict[str, tuple[tuple[float, ...], ...]] = Field(default_factory=dict)
    """Instead of an indicator's default parameters: `{rsi: [[7], [28]]}` gives `rsi_7` and `rsi_28`."""
    timeframes: tuple[Duration, ...] = ("4h", "1d")
    """Larger bars whose features are seen too, as of their close."""
    timeframe_names: tuple[str, ...] = ("return_1", "sma_gap_24", "channel_24", "parkinson_24")
    """Columns computed on each of them (`return_1`), or on one only (`4h_return_1`)."""


class LabelSettings(Section):
    """What the forecasters are asked.

    Examples
    --------
    >>> LabelSettings(kind="triple_barrier", horizon=12).horizon
    12
    """

    kind: Literal["direction", "triple_barrier", "trend"] = "direction"
    """Up or down over the horizon; whichever barrier is met first; the strongest trend up to the horizon."""
    horizon: Count = 24
    """Bars between entering at the next open and leaving, at the latest."""
    profit_taking: Positive = 2.0
    """Distance of the upper barrier, in deviations of the return over the horizon."""
    stop_loss: Positive = 2.0
    """Distance of the lower barrier, in the same deviations."""
    variance_horizon: Count = 24
    """Bars ahead whose variance is called high or low."""
    variance_lookback: Duration = "30d"
    """The time so far whose median variance is the line between high and low."""
    variance_lookback_bars: Count = 60
    """At least so many bars count, where that time has fewer."""
    weights: Literal["uniqueness", "return", "none"] = "uniqueness"
    """Labels count by how few others share their bars, by the return they explain, or all alike."""


class FoldSettings(Section):
    """Eras and folds; lengths in bars."""

    n_splits: Annotated[int, Field(ge=2, le=50)] = 5
    """Purged folds within the forecasters' era."""
    embargo: Annotated[int, Field(ge=0)] = 24
    """Bars left out after every test fold and era."""
    step_bars: Count = 168
    """The border of what training may know moves in steps of this many bars."""
    min_bars: Count = 5_000
    """Fewer bars up to the border than this are not enough to train on."""
    forecaster_train: Share = 0.5
    """Share of the bars that forecasters and calibrators are fitted on."""
    agent_train: Share = 0.25
    """Share that agents are trained on; all forecasts are out of sample there."""
    validation: Share = 0.125
    """What the three shares leave is the test era."""

    @field_validator("embargo", mode="before")
    @classmethod
    def _is_in_bars(cls, embargo: Any) -> Any:
        if isinstance(embargo, float) and 0 < embargo < 1:
            bars = max(round(5_000 * embargo), 1)
            raise ValueError(
                f"expected a whole number of bars, not a share of them; of 5,000 it would be {bars}"
            )
        return embargo

    @model_validator(mode="after")
    def _leaves_a_test_era(self) -> FoldSettings:
        used = self.forecaster_train + self.agent_train + self.validation
        if used > 0.95:
            raise ValueError(f"the first three eras take {used:.0%}; leave at least 5% for test")
        return self


class Winsorize(Section):
    """Clip every column at two quantiles of the training rows."""

    step: Literal["winsorize"] = "winsorize"
    lower: Annotated[float, Field(ge=0, lt=0.5)] = 0.005
    """Quantile that smaller values are raised to."""
    upper: Annotated[float, Field(gt=0.5, le=1)] = 0.995
    """Quantile that larger values are cut to."""


class RobustScale(Section):
    """Center on the median, divide by the interquartile range over 1.349, clip."""

    step: Literal["robust_scale"] = "robust_scale"
    limit: Positive = 5.0
    """Scaled values are clipped at plus and minus this."""


class Standardize(Section):
    """Center on the mean, divide by the standard deviation, clip."""

    step: Literal["standardize"] = "standardize"
    limit: Positive = 5.0
    """Scaled values are clipped at plus and minus this."""


class QuantileTransform(Section):
    """Replace values by their rank among the training rows."""

    step: Literal["quantile"] = "quantile"
    n_quantiles: Annotated[int, Field(ge=2, le=10_000)] = 200
    """Quantiles that are remembered."""
    output: Literal["normal", "uniform"] = "normal"
    """Distribution of the ranks."""


class FractionalDifference(Section):
    """Difference of a fractional order, a weighted sum of the last bars."""

    step: Literal["fractional_difference"] = "fractional_difference"
    order: Annotated[float, Field(gt=0, le=2)] = 0.4
    """Of the difference; 1 is the ordinary one."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Weights below it are cut off; they decide how many bars are needed."""


class PrincipalComponents(Section):
    """Project on the directions of largest variance."""

    step: Literal["pca"] = "pca"
    n_components: Count = 16
    """Directions that are kept."""


PreprocessingStep = Annotated[
    Winsorize | RobustScale | Standardize | QuantileTransform | FractionalDifference | PrincipalComponents,
    Field(discriminator="step"),
]


class ForecasterSettings(Section):
    """What every forecaster has."""

    preprocessing: tuple[PreprocessingStep, ...] = (RobustScale(),)
    """Steps that inputs go through, fitted on the training rows alone."""
    early_stopping: Annotated[int, Field(ge=0)] = 0
    """Looks at the held-out rows without improvement until training stops; 0 trains to the end."""
    holdout: Share = 0.1
    """Last share of the training rows that early stopping looks at, purged; not held out without it."""


class LightGBMSettings(ForecasterSettings):
    """How LightGBM grows its trees.

    Examples
    --------
    >>> LightGBMSettings(n_estimators=100).n_estimators
    100
    """

    n_estimators: Count = 150
    """Trees."""
    learning_rate: Positive = 0.03
    """What each tree adds."""
    num_leaves: Annotated[int, Field(ge=2, le=255)] = 15
    """Leaves of a tree, at most."""
    min_child_samples: Count = 100
    """Rows of a leaf, at least."""
    colsample_bytree: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the features that a tree may use."""
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the rows that a tree is grown on."""
    reg_lambda: Annotated[float, Field(ge=0)] = 10.0
    """L2 penalty on the leaves' values."""
    max_depth: Annotated[int, Field(ge=1, le=16)] = 6
    """Bounds the steps from root to leaf, and with them the latency of a bundle."""


class TrainingSettings(Section):
    """How a torch module is fitted; see `forecasters.training`."""

    batch_size: Count = 8
    """Chunks (or pairs) of one optimizer step, over all processes."""
    micro_batches: Count = 1
    """Parts that a batch is computed in, one after the other, to save memory."""
    learning_rate: Positive = 3e-3
    """Of the optimizer (AdamW), after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Of the optimizer."""
    steps: Count = 400
    """Optimizer steps of one fit."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate after the warm-up."""
    warm_up_steps: Annotated[int, Field(ge=0)] = 0
    """Steps in which the learning rate rises from 0."""
    clip_norm: Positive = 1.0
    """Norm that a step's gradient is cut to."""
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.985
    """Kept of the running average of the weights in each step; 0 takes the last weights."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the forward pass; fp16 needs CUDA."""
    evaluate_every: Count = 25
    """Steps between two looks at the held-out rows."""
    checkpoint_every: Count = 200
    """Steps between two checkpoints, from which an interrupted fit goes on."""


class SequenceSettings(ForecasterSettings, TrainingSettings):
    """A causal model trained on dense chunks of bars."""

    inputs: Literal["sequence", "all"] = "sequence"
    """The catalogue's stationary inputs for sequences, or all features."""
    hidden_size: Count = 32
    """Size of the recurrent state."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the hidden state that is dropped in training."""
    chunk: Count = 128
    """Bars of one training sequence that count towards the loss."""
    burn_in: Annotated[int, Field(ge=0)] = 32
    """Bars before them that only warm the state."""
    mirror: bool = False
    """Show half of the chunks with rises as falls and the answer turned, so that what holds for the one is
    learnt for the other; for answers that turn with the market, such as direction."""


class GRUSettings(SequenceSettings):
    """The GRU: a projection of the inputs, one recurrent layer, a linear head.

    Examples
    --------
    >>> GRUSettings(hidden_size=48).hidden_size
    48
    """

    channels: Count = 24
    """Size of the projection of the inputs."""
    learning_rate: Positive = 8e-3
    """Of the optimizer (AdamW), after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    """Of the optimizer."""


class CNNLSTMSettings(SequenceSettings):
    """The CNN-LSTM: a causal convolution, one LSTM layer, a linear head.

    Examples
    --------
    >>> CNNLSTMSettings(kernel_size=3).kernel_size
    3
    """

    channels: Count = 24
    """Channels of the convolution."""
    kernel_size: Annotated[int, Field(ge=2, le=32)] = 2
    """Bars that the convolution sees."""
    learning_rate: Positive = 8e-3
    """Of the optimizer (AdamW), after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    """Of the optimizer."""


class SearchSettings(Section):
    """Search of a forecaster's hyperparameters on the purged folds."""

    trials: Annotated[int, Field(ge=0)] = 0
    """Parameter sets that are tried; 0 takes the settings as they are."""
    workers: Count = 1
    """Processes that try at once; with more than one the order of trials, and so the result, varies."""


class CalibrationSettings(Section):
    method: Literal["best", "isotonic", "platt", "beta", "none"] = "best"
    """The best has the lowest Brier score on folds that it was not fitted on, if it gains beyond chance."""
    mirror: bool = False
    """Fit on every forecast and on its mirror image, so that the drift of the training era is not learnt."""


class CostSettings(Section):
    """What trading and holding cost; basis points are of traded notional, on each side."""

    fee_bps: Annotated[float, Field(ge=0, le=1_000)] = 10.0
    """Fee, in basis points of the traded notional."""
    slippage_bps: Annotated[float, Field(ge=0, le=1_000)] = 5.0
    """How much worse than the open an order fills, in basis points."""
    slippage_volatility: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Slippage besides, in standard deviations of a bar's return."""
    impact: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Y of the square-root law: Y standard deviations of a bar's return times the root of the order's share
    of a bar's volume."""
    liquidity_window: Annotated[int, Field(ge=2, le=10_000)] = 24
    """Bars up to the decision whose returns and volumes give the two above."""
    funding: bool = True
    """Pay, or receive, the funding rates of markets that have them."""
    borrow_rate: Annotated[float, Field(ge=0, le=10)] = 0.0
    """A year, on what is borrowed: the notional of a short, the cash beyond one's own of a long."""
    capital: Annotated[float, Field(ge=1e-3, le=1e15)] = 10_000.0
    """Equity at the start, in the currency of the prices: what impact and smallest orders are measured by."""
    min_order: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    """Notional below which no order is sent, except to close a position."""


POSITION_LEVELS = (-1.0, 0.0, 1.0)
"""Position targets of the pipeline's agents, as fractions of equity, in the order of their actions."""


class EnvironmentSettings(Section):
    """How agents of the pipeline are trained: episodes, rewards, margin, and what risk rules do."""

    maintenance_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Equity over notional at which a position is closed by a margin call."""
    liquidation_bps: Annotated[float, Field(ge=0, le=1_000)] = 50.0
    """What a margin call costs, in basis points of the notional."""
    reward: Literal["log_return", "differential_sharpe", "mean_variance"] = "log_return"
    """Of a bar, before the risk penalty."""
    sharpe_decay: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Weight of the newest bar in the averages of the differential Sharpe ratio."""
    risk_aversion: Annotated[float, Field(ge=0, le=1_000)] = 1.0
    """Of the mean-variance reward: return less half of this times its square."""
    risk_penalty: Annotated[float, Field(ge=0, le=1_000)] = 0.1
    """Reward lost per bar where one risk rule is at its hard level."""
    enforce_limits: bool = False
    """Have the risk rules act as they do in execution, and not only advise."""
    starts: Literal["random", "sequential"] = "random"
    """Where episodes begin."""
    episode_bars: Count = 512
    """Bars of a training episode."""


class EnvConfig(EnvironmentSettings):
    """Everything that decides what the simulator does with bars and actions.

    Raises
    ------
    SettingsError
        When a parameter is unknown or out of its range; the message names both.

    Examples
    --------
    >>> EnvConfig(window=4, max_leverage=2.0).levels
    (-1.0, 0.0, 1.0)
    """

    window: Annotated[int, Field(ge=1, le=4_096)] = 1
    """Bars that an observation shows."""
    levels: tuple[Annotated[float, Field(ge=-1, le=1)], ...] | None = POSITION_LEVELS
    """Discrete position targets; without any the action is a number from -1 to 1."""
    max_leverage: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Exposure, in units of equity, of a position target of 1."""
    costs: CostSettings = CostSettings()
    risk: RiskLimits = RiskLimits()
    reward_scale: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Log return that counts as a reward of 1, for instance the deviation of a bar's return."""

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(explain(error, type(self), "EnvConfig")) from None

    @model_validator(mode="after")
    def _levels_rise(self) -> EnvConfig:
        if self.levels is not None and (
            len(self.levels) < 2 or any(b <= a for a, b in pairwise(self.levels))
        ):
            raise ValueError(f"levels are {self.levels}; expected two or more that rise from -1 to 1")
        if self.max_leverage * self.maintenance_margin >= 1:
            raise ValueError(
                f"max_leverage is {self.max_leverage} and maintenance_margin {self.maintenance_margin}: a "
                "full position would be called at once; their product must be below 1"
            )
        return self


class PPOSettings(Section):
    total_steps: Count = 131_072
    """Environment steps of the whole training."""
    n_envs: Count = 64
    """Accounts that trade at the same time."""
    n_steps: Count = 64
    """Bars of each account between two updates."""
    batch_size: Count = 2_048
    """Rows of a minibatch."""
    n_epochs: Count = 4
    """Passes over what was collected, at each update."""
    learning_rate: Positive = 1e-3
    """Of the optimizer."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Discount of a bar."""
    gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Of generalized advantage estimation."""
    ent_coef: Annotated[float, Field(ge=0)] = 0.002
    """Weight of the entropy in the loss."""
    hidden_size: Count = 32
    """Width of the two hidden layers of policy and value net."""
    evaluations: Count = 8
    """Times during training that the validation era is replayed; the best policy is kept."""


class HybridSettings(Section):
    total_steps: Count = 65_536
    """Environment steps of the whole training."""
    learning_rate: Positive = 3e-4
    """Of encoder, policy and value net alike."""
    evaluations: Count = 4
    """Times that it is looked at on the validation era; the best weights are kept."""


class EnsembleSettings(Section):
    grid: Annotated[int, Field(ge=2, le=100)] = 10
    """Weights are multiples of 1/grid before they are shrunk."""
    shrinkage: Annotated[float, Field(ge=0, le=1)] = 0.5
    """0 keeps the weights validation liked best, 1 gives every member 1/N."""


class BundleSettings(Section):
    warm_up_bars: Annotated[int, Field(ge=256)] = 512
    """Bars a freshly loaded policy must see before its first decision."""
    latency_calls: Annotated[int, Field(ge=100)] = 2_000
    """Decisions that the latency is measured on."""


class Settings(Section):
    """All settings of one symbol.

    Examples
    --------
    See `load_settings`.
    """

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of everything random; equal seeds give equal models."""
    market: IngestPolicy = IngestPolicy()
    features: FeatureSet = FeatureSet()
    labels: LabelSettings = LabelSettings()
    folds: FoldSettings = FoldSettings()
    lightgbm: LightGBMSettings = LightGBMSettings()
    gru: GRUSettings = GRUSettings()
    cnn_lstm: CNNLSTMSettings = CNNLSTMSettings()
    search: SearchSettings = SearchSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    costs: CostSettings = CostSettings()
    risk: RiskLimits = RiskLimits(drawdown=Limit(soft=0.1, hard=0.25, cool_down=168))
    environment: EnvironmentSettings = EnvironmentSettings()
    ppo: PPOSettings = PPOSettings()
    hybrid: HybridSettings = HybridSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    bundle: BundleSettings = BundleSettings()
