"""What no function can work with is refused by name and value, and with what is expected."""
# ruff: noqa: E501 - tables: one line a call

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trading_assets.arguments import as_number, as_numbers, as_whole_number, require
from trading_assets.errors import ArgumentError, TradingAssetsError
from trading_assets.features import (
    Dataset,
    DatasetBuilder,
    FeatureState,
    FeatureStream,
    FeatureTable,
    append_features,
    compute_features,
)
from trading_assets.forecasters import LightGBMForecaster, PreprocessorManager
from trading_assets.market import (
    FolderSource,
    SyntheticMarket,
    SyntheticSource,
    check_symbol,
    read_bars,
    update_file,
)
from trading_assets.reports import tear_sheet
from trading_assets.risk import AccountState, ProductionRiskAdvisor, RiskAgent, RiskLimits, RiskRequest
from trading_assets.simulation import (
    EnvConfig,
    Market,
    always_flat,
    backtest,
    buy_and_hold,
    choose_band,
    no_trade_band,
)
from trading_assets.validation import (
    Era,
    Eras,
    Folds,
    TradingMetrics,
    bootstrap_interval,
    optimal_threshold,
    probability_of_backtest_overfitting,
)

TIME = 1.7e9
FREE = TradingMetrics(fee_bps=0, slippage_bps=0, periods_per_year=1)
GOOD = AccountState(TIME, 100.0, 1_000.0, 1.0)
SECONDS = "expected seconds since 1970 as a number, for instance timestamp.timestamp()"


@pytest.fixture
def agent() -> RiskAgent:
    return RiskAgent(RiskLimits.model_validate({"leverage": {"soft": 0.5, "hard": 2, "cool_down": 0}}))


@pytest.fixture(scope="module")
def a_market(bars: np.ndarray) -> Market:
    return Market.make(bars[:200])


REQUESTS: dict[str, tuple[object, str]] = {
    "text for an order": ("buy", "request is 'buy'; expected a RiskRequest."),
    "a tuple": ((GOOD, 0.0, 1.0, None), "request is (AccountState("),
    "no account": (RiskRequest((TIME, 100.0), 0.0, 1.0), "account is (1700000000.0, 100.0); expected an AccountState."),  # type: ignore[arg-type]
    "a time for seconds": (
        RiskRequest(GOOD._replace(time=pd.Timestamp("2024-01-01", tz="UTC")), 0.0, 1.0),
        f"time is Timestamp('2024-01-01 00:00:00+0000', tz='UTC'); {SECONDS}.",
    ),
    "numpy's time": (
        RiskRequest(GOOD, 0.0, 1.0, price_time=np.datetime64("2024-01-01")),  # type: ignore[arg-type]
        "price_time is datetime.date(2024, 1, 1); expected seconds",
    ),
    "a text time": (RiskRequest(GOOD._replace(time="2024-01-01"), 0.0, 1.0), f"time is '2024-01-01'; {SECONDS}."),
    "a side": (RiskRequest(GOOD, 0.0, "buy"), "target is 'buy'; expected a number."),  # type: ignore[arg-type]
    "digits": (RiskRequest(GOOD, "0.5", 1.0), "held is '0.5'; expected a number."),  # type: ignore[arg-type]
    "nothing": (RiskRequest(GOOD._replace(equity=None), 0.0, 1.0), "equity is None; expected a number."),
}  # fmt: skip


@pytest.mark.parametrize("what", list(REQUESTS))
def test_a_request_that_is_none_is_refused_and_forgotten(agent: RiskAgent, what: str) -> None:
    request, said = REQUESTS[what]
    agent.evaluate_and_enforce(RiskRequest(GOOD._replace(time=TIME - 60), 0.0, 1.0))
    before = agent.state.packed.copy()
    with pytest.raises(ArgumentError) as refusal:
        agent.evaluate_and_enforce(request)  # type: ignore[arg-type]
    assert said in str(refusal.value)
    np.testing.assert_array_equal(agent.state.packed, before)


def test_whatever_is_a_number_is_one(agent: RiskAgent) -> None:
    """numpy's, whole ones and decimals decide as Python's floats do."""
    other = RiskAgent(agent.limits)
    plain = agent.evaluate_and_enforce(RiskRequest(GOOD, 0.5, 1.0))
    odd = AccountState(np.int64(TIME), Decimal("100"), np.float32(1_000), True)  # type: ignore[arg-type]
    assert other.evaluate_and_enforce(RiskRequest(odd, np.float64(0.5), 1))[:3] == plain[:3]
    np.testing.assert_array_equal(other.state.packed, agent.state.packed)


def test_an_advisor_refuses_what_is_no_account() -> None:
    advisor = ProductionRiskAdvisor(RiskLimits())
    with pytest.raises(ArgumentError, match=r"state is \(1, 2\); expected an AccountState\."):
        advisor.evaluate((1, 2))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"price is '100'; expected a number\."):
        advisor.evaluate(GOOD._replace(price="100"))
    with pytest.raises(ArgumentError, match=r"states is \[\['2024', 1\.0.*expected numbers\."):
        advisor.evaluate_many([["2024", 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"prices is 'high'; expected numbers\."):
        advisor.warm_up("high")  # type: ignore[arg-type]


NO_POLICY = "expected targets from -1 to 1, a function of bar and account, or an agent with predict()."
CALLS: dict[str, tuple[Callable[[Market, FeatureTable, pd.DataFrame], object], str]] = {
    "text for a policy": (lambda m, t, b: backtest("buy", m), f"policy is 'buy'; {NO_POLICY}"),
    "a class for an agent": (
        lambda m, t, b: backtest(LightGBMForecaster, m),  # type: ignore[arg-type]
        "policy is the class LightGBMForecaster; expected an agent that was made of it.",
    ),
    "texts for targets": (lambda m, t, b: backtest(["long"] * m.n_decisions, m), "policy is <list of 199>; expected targets"),
    "unequal rows": (lambda m, t, b: backtest([[1.0], [1.0, 0.0]], m), "policy is [[1.0], [1.0, 0.0]]; "),
    "times for targets": (lambda m, t, b: backtest(b["timestamp"], m), NO_POLICY),
    "nothing for a policy": (lambda m, t, b: backtest(None, m), f"policy is None; {NO_POLICY}"),
    "text for a market": (lambda m, t, b: backtest([0.0], "BTCUSDT"), "market is 'BTCUSDT'; expected a Market."),
    "a decision that is text": (
        lambda m, t, b: backtest(lambda bar, account: "buy", m),
        "The target decided at bar 0 is 'buy'; expected a number from -1 to 1.",
    ),
    "holding text": (lambda m, t, b: buy_and_hold("BTC"), "market is 'BTC'; expected a Market."),
    "flat in text": (lambda m, t, b: always_flat(3), "market is 3; expected a Market."),
    "a band of text": (lambda m, t, b: no_trade_band("up", 0.1, m), "probability is 'up'; expected numbers."),
    "a width of text": (lambda m, t, b: no_trade_band(np.zeros(200), "wide", m), "width is 'wide'; expected a n"),
    "a band nowhere": (lambda m, t, b: choose_band(np.zeros(200), None), "market is None; expected a Market."),
    "a market of text": (lambda m, t, b: Market.make("BTC"), "bars is 'BTC'; expected numbers."),
    "a dict for a config": (
        lambda m, t, b: Market.make(b, t, {"window": 4}), "config is {'window': 4}; expected an EnvConfig."
    ),
    "text for a table": (lambda m, t, b: Market.make(b, "table"), "table is 'table'; expected a row of numbers a bar."),
    "text for a start": (lambda m, t, b: m.between("first", 100), "start is 'first'; expected a whole number."),
    "half a bar": (lambda m, t, b: m.between(0, 99.5), "stop is 99.5; expected a whole number."),
    "text for features": (lambda m, t, b: compute_features(b, "rsi"), "feature_set is 'rsi'; expected a FeatureSet."),
    "a frame for a table": (lambda m, t, b: append_features(t.frame, b), "expected a FeatureTable."),
    "text for a stream": (lambda m, t, b: FeatureStream("rsi"), "feature_set is 'rsi'; expected a FeatureSet."),
    "a path for a state": (lambda m, t, b: FeatureStream(state="state"), "state is 'state'; expected a FeatureState."),
    "a dict for labels": (
        lambda m, t, b: DatasetBuilder(labels={"horizon": 24}), "labels is {'horizon': 24}; expected a LabelSettings."
    ),
    "text for a policy of ingestion": (
        lambda m, t, b: read_bars("BTC.csv", policy="strict"), "policy is 'strict'; expected an IngestPolicy."
    ),
    "a number for a symbol": (lambda m, t, b: check_symbol(700), "symbol is 700; expected a str."),
    "a number for a cache": (lambda m, t, b: DatasetBuilder(cache=3), "cache is 3; expected a path."),  # type: ignore[arg-type]
    "text for positions": (lambda m, t, b: FREE.evaluate("long", [0.1]), "positions is 'long'; expected numbers."),
    "text for probabilities": (
        lambda m, t, b: optimal_threshold("up", [0.1], fee_bps=1, slippage_bps=1), "probabilities is 'up'; expected numbers."
    ),
    "text for strategies": (
        lambda m, t, b: probability_of_backtest_overfitting("all"), "returns is 'all'; expected numbers."
    ),
    "text to draw again from": (lambda m, t, b: bootstrap_interval("all", np.mean), "returns is 'all'; expected numbers."),
    "a number for a path": (lambda m, t, b: read_bars(3), "path is 3; expected a path."),
}  # fmt: skip


@pytest.mark.parametrize("what", list(CALLS))
def test_a_call_with_something_else_is_answered_with_name_value_and_what_is_expected(
    what: str, a_market: Market, table: FeatureTable, market: SyntheticMarket
) -> None:
    call, said = CALLS[what]
    with pytest.raises(ArgumentError) as refusal:
        call(a_market, table, market.bars)
    assert said in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("value", [1, np.int32(1), True, 1.0, np.float32(1), Decimal(1), np.array(1.0)])
def test_a_number_of_any_kind_is_a_float(value: object) -> None:
    assert type(as_number("x", value)) is float
    assert as_number("x", value) == 1.0


@pytest.mark.parametrize(
    "value", ["1", b"1", None, [1.0, 2.0], 1j, pd.Timestamp(0), np.datetime64(0, "s"), 10**400]
)
def test_what_is_no_number_is_none_whatever_float_makes_of_it(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"x is .*; expected a number"):
        as_number("x", value)


@pytest.mark.parametrize(
    "values",
    ["1", ["1"], None, [[1.0], [1.0, 2.0]], [1.0, "2"], pd.to_datetime(["2024"]), np.array([1j]), {"a": 1}],
)
def test_what_are_no_numbers_is_refused(values: object) -> None:
    with pytest.raises(ArgumentError, match=r"x is .*; expected"):
        as_numbers("x", values)


def test_numbers_keep_their_shape_and_are_not_copied_where_they_are_as_they_should_be() -> None:
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert as_numbers("x", given, np.float32) is given
    assert as_numbers("x", given.astype(object)).tolist() == given.tolist()
    assert as_numbers("x", given.T).flags.c_contiguous
    assert as_numbers("x", []).shape == (0,)
    assert as_whole_number("x", np.int8(3)) == 3


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(ArgumentError) as refusal:
        require("config", list(range(100_000)), EnvConfig)
    assert len(str(refusal.value)) < 120


def test_the_error_is_of_the_kinds_that_python_has_for_it() -> None:
    for kind in (TypeError, ValueError, TradingAssetsError):
        with pytest.raises(kind, match="config is <ndarray 5 x 3>; expected an EnvConfig"):
            require("config", np.zeros((5, 3)), EnvConfig)


def test_a_path_may_be_given_as_text(
    tmp_path: Path, table: FeatureTable, dataset: Dataset, market: SyntheticMarket, a_market: Market
) -> None:
    """And what is saved makes its folder."""
    new = f"{tmp_path}/new"
    table.save(f"{new}/table")
    assert FeatureTable.load(f"{new}/table").frame.equals(table.frame)
    dataset.write(f"{new}/dataset")
    assert Dataset.read(f"{new}/dataset").digest == dataset.digest
    table.state.save(f"{new}/table/again.safetensors")
    assert FeatureState.load(f"{new}/table/again.safetensors").feature_set == table.feature_set
    folds = Folds(Eras(*[Era(10 * i, 10 * i + 9) for i in range(4)]), [(np.arange(3), np.arange(3, 5))])
    folds.write(f"{new}/folds")
    assert Folds.read(f"{new}/folds").eras == folds.eras

    X, y = dataset.features.iloc[-300:], dataset.target("direction")[-300:]
    preprocessor = PreprocessorManager.for_model("gru").fit(X)
    preprocessor.save(f"{new}/preprocessor")
    assert PreprocessorManager.load(f"{new}/preprocessor").digest == preprocessor.digest
    model = LightGBMForecaster(n_estimators=2).fit(X, y)
    Path(f"{new}/model").mkdir()
    model.save(f"{new}/model")
    np.testing.assert_array_equal(LightGBMForecaster.load(f"{new}/model").predict(X), model.predict(X))

    source = SyntheticSource({"SYN": market})
    path, _ = update_file(source, "SYN", f"{new}/market")
    assert path == Path(new) / "market" / "SYN.parquet"
    assert FolderSource(f"{new}/market").symbols() == ["SYN"]  # type: ignore[arg-type]
    read_bars(str(path)).report.write(f"{new}/report.json")
    result = backtest(np.ones(a_market.n_decisions), a_market)
    times = pd.Series(market.bars["timestamp"][1:200])
    assert all(
        Path(f"{new}/pictures/{name}").is_file()
        for name in tear_sheet(f"{new}/pictures", times, result, 8_766)
    )
    agent = RiskAgent(RiskLimits())
    agent.state.save(f"{new}/risk.json")
    agent.restore(f"{new}/risk.json")
