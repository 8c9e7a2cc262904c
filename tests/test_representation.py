"""What a notebook shows of an object is one line that says what it is."""

from pathlib import Path

import numpy as np
import pytest

from trading_assets.agents import AgentData
from trading_assets.config import load_settings
from trading_assets.execution import Policy
from trading_assets.features import (
    Dataset,
    DatasetBuilder,
    FeatureStream,
    FeatureTable,
    LabelSettings,
    cusum_events,
    make_labels,
    triple_barrier,
)
from trading_assets.forecasters import (
    BetaCalibrator,
    CNNLSTMForecaster,
    GRUForecaster,
    IsotonicCalibrator,
    LightGBMForecaster,
    PlattCalibrator,
    PreprocessorManager,
    cross_fit,
)
from trading_assets.market import SyntheticMarket, read_bars
from trading_assets.risk import ProductionRiskAdvisor, RiskAgent, RiskLimits
from trading_assets.simulation import Market, TradingEnv, backtest, make_env
from trading_assets.validation import (
    BlockingTimeSeriesSplit,
    CombinatorialPurgedCV,
    PurgedKFold,
    PurgedTimeSeriesSplit,
    make_folds,
)

LIMITS = RiskLimits.model_validate(
    {
        "drawdown": {"soft": 0.1, "hard": 0.2, "cool_down": 1},
        "order_rate": {"soft": 6, "hard": 12, "cool_down": 0},
    }
)
COLUMNS = ["return_z", "return_z_ema_5", "rsi_14"]


@pytest.fixture(scope="module")
def fitted(dataset: Dataset) -> LightGBMForecaster:
    model = LightGBMForecaster(seed=3, learning_rate=0.2)
    rows = np.arange(dataset.warm_up, dataset.warm_up + 400)
    return model.fit(dataset.features[COLUMNS], dataset.target("direction"), rows=rows)


def one_line(shown: object, expected: str) -> None:
    text = repr(shown)
    assert text == expected
    assert len(text) <= 160


def test_tables(table: FeatureTable, dataset: Dataset, market: SyntheticMarket) -> None:
    one_line(table, "FeatureTable(3,000 bars of 3600 s, 79 features)")
    one_line(
        dataset,
        "Dataset(3,000 bars from 2018-01-01 00:00:00+00:00 to 2018-05-05 23:00:00+00:00, 79 features)",
    )
    one_line(FeatureStream(), "FeatureStream(no bar seen)")
    one_line(FeatureStream(state=table.state), "FeatureStream(3,000 bars seen, 79 features)")
    one_line(market, "SyntheticMarket(design='price', strength=1.0, n_bars=3000, seed=7)")


def test_markets(bars: np.ndarray, table: FeatureTable) -> None:
    market = Market.make(bars, table, start=1_000)
    shown = "Market(3,000 bars of 3600 s with 79 columns, traded from 1,000 to 2,999)"
    one_line(market, shown)
    result = backtest(np.zeros(market.n_decisions), market)
    one_line(result, "BacktestResult(1,999 decisions, 0 round trips, equity 1)")


def test_splitters() -> None:
    one_line(
        PurgedKFold(5, label_end=np.arange(3_000) + 25, embargo=24),
        "PurgedKFold(n_splits=5, label_end=<ndarray 3,000>, embargo=24)",
    )
    one_line(PurgedKFold(label_horizon=1), "PurgedKFold(n_splits=5, label_horizon=1, embargo=0)")
    many = (PurgedTimeSeriesSplit, BlockingTimeSeriesSplit, CombinatorialPurgedCV)
    for splitter in many:
        text = repr(splitter(label_end=list(range(50))))
        assert text.startswith(f"{splitter.__name__}(n_")
        assert "label_end=<list of 50>" in text
        assert "\n" not in text


def test_models(fitted: LightGBMForecaster) -> None:
    one_line(GRUForecaster(), "GRUForecaster(), not fitted")
    one_line(
        CNNLSTMForecaster(seed=4, task="regression"),
        "CNNLSTMForecaster(seed=4, task='regression'), not fitted",
    )
    one_line(fitted, "LightGBMForecaster(seed=3, learning_rate=0.2), fitted on 3 features")
    one_line(PreprocessorManager.for_model("gru"), "PreprocessorManager(steps=('robust_scale',)), not fitted")
    for step in fitted.preprocessor_.steps_:
        assert "\n" not in repr(step)


def test_calibrators(fitted: LightGBMForecaster, dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(400)
    y = rng.random(400) < p
    one_line(PlattCalibrator(), "PlattCalibrator(), not fitted")
    learnt = BetaCalibrator().fit(p, y).parameters_
    one_line(
        BetaCalibrator().fit(p, y),
        "BetaCalibrator(" + ", ".join(f"{k}={v!r}" for k, v in learnt.items()) + ")",
    )
    knots = len(IsotonicCalibrator().fit(p, y).parameters_["x"])
    text = f"IsotonicCalibrator(x=<list of {knots}>, y=<list of {knots}>)"
    one_line(IsotonicCalibrator().fit(p, y), text)
    fitted.calibrator_ = IsotonicCalibrator().fit(p, y)
    one_line(
        fitted, f"LightGBMForecaster(seed=3, learning_rate=0.2), fitted on 3 features, calibrated by {text}"
    )
    fitted.calibrator_ = None


def test_policies() -> None:
    architecture = {
        "features": ["a", "b"],
        "account": ["c"],
        "targets": [-1.0, 0.0, 1.0],
        "max_leverage": 1.0,
        "window": 1,
        "warm_up_bars": 1_200,
    }
    policy = Policy(architecture, lambda f, a, s: np.ones(3) / 3, 4, {})
    policy.predict(np.zeros(3, np.float32))
    one_line(policy, "Policy(2 features, 3 targets from -1 to 1, 1 bars seen, warm-up 1,200)")
    one_line(RiskAgent(LIMITS), "RiskAgent(1 account, limits: order_rate, drawdown)")
    one_line(
        ProductionRiskAdvisor(RiskLimits(), n_accounts=64), "ProductionRiskAdvisor(64 accounts, limits: none)"
    )


def test_everything_else_that_holds_arrays(
    bars: np.ndarray, dataset: Dataset, table: FeatureTable, market: SyntheticMarket, tmp_path: Path
) -> None:
    settings = load_settings("smoke", "SYN-PRICE", {"folds": {"min_bars": 1_000, "step_bars": 100}})
    folds = make_folds(dataset, settings)
    path = tmp_path / "SYN.parquet"
    market.bars.to_parquet(path)
    _, report = DatasetBuilder().build(market.bars)
    splits = list(PurgedKFold(2, label_horizon=25).split(np.zeros(600)))
    X, y = dataset.features[COLUMNS].iloc[700:1_300], dataset.target("direction")[700:1_300]
    shown = [
        folds,
        folds.eras,
        read_bars(path),
        read_bars(path).report,
        report,
        DatasetBuilder(cache=tmp_path),
        table.state,
        make_labels(bars, LabelSettings()),
        triple_barrier(bars, horizon=24, profit_taking=1.0, stop_loss=1.0, events=cusum_events(bars, 0.05)),
        cross_fit(LightGBMForecaster, X, y, splits),
        AgentData.make(bars, table.frame.to_numpy(), folds.eras, settings, 1),
        TradingEnv(Market.make(bars)),
        make_env(Market.make(bars), 3),
    ]
    for one in shown:
        assert "\n" not in repr(one), type(one)
        assert len(repr(one)) < 500, repr(one)
