"""On a number, a price or a clock that cannot be trusted nothing is ordered, and nothing is remembered."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.risk.accounts import HOUR, START, every_rule, limit, random_prices
from trading_assets.config.limits import RiskLimits
from trading_assets.risk import AccountState, RiskAgent, RiskDecision, RiskRequest

GOOD = AccountState(START + HOUR, 101.0, 990.0, 2.0, 100.0, 1.0, -5.0)


def warm_agent(limits: RiskLimits) -> RiskAgent:
    """An agent that knows the market and one bar of the account."""
    agent = RiskAgent(limits)
    agent.warm_up(random_prices(60, 31))
    first = RiskRequest(AccountState(START, 100.0, 1_000.0, 0.0), 0.0, 0.2)
    assert agent.evaluate_and_enforce(first).assessment is not None
    return agent


def rejected(request: RiskRequest, tmp_path: Path) -> RiskDecision:
    """The decision on a faulty request, after checks that it changed nothing."""
    agent, other = warm_agent(every_rule()), warm_agent(every_rule())
    agent.save(tmp_path / "before.json")
    decision = agent.evaluate_and_enforce(request)
    agent.save(tmp_path / "after.json")
    assert decision.action == "reject"
    assert decision.assessment is None
    assert decision.target == request.held or math.isnan(request.held)
    assert (tmp_path / "before.json").read_bytes() == (tmp_path / "after.json").read_bytes()
    good = RiskRequest(GOOD._replace(time=START + 2 * HOUR), 0.2, 0.3)
    after, never = agent.evaluate_and_enforce(good), other.evaluate_and_enforce(good)
    assert (after.action, after.target, after.reasons) == (never.action, never.target, never.reasons)
    assert after.assessment.use == never.assessment.use
    return decision


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", AccountState._fields)
def test_an_account_with_a_number_that_is_not_finite_is_rejected(
    field: str, value: float, tmp_path: Path
) -> None:
    request = RiskRequest(GOOD._replace(**{field: value}), 0.2, 0.3)
    assert rejected(request, tmp_path).reasons == ("unusable number",)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["held", "target", "price_time"])
def test_a_request_with_a_number_that_is_not_finite_is_rejected(
    field: str, value: float, tmp_path: Path
) -> None:
    request = RiskRequest(GOOD, 0.2, 0.3, GOOD.time)._replace(**{field: value})
    decision = rejected(request, tmp_path)
    assert decision.reasons == ("unusable number",)
    assert math.isfinite(decision.target) == math.isfinite(request.held)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_clock_that_shows_no_time_is_rejected_though_the_price_has_one(
    value: float, tmp_path: Path
) -> None:
    assert rejected(RiskRequest(GOOD._replace(time=value), 0.2, 0.3, GOOD.time), tmp_path).reasons


def test_infinities_that_cancel_each_other_are_rejected(tmp_path: Path) -> None:
    state = GOOD._replace(equity=math.inf, closed_pnl=-math.inf)
    assert rejected(RiskRequest(state, 0.2, 0.3), tmp_path).reasons == ("unusable number",)
    request = RiskRequest(GOOD, math.inf, -math.inf)
    assert rejected(request, tmp_path).reasons == ("unusable number",)


@pytest.mark.parametrize("price", [0.0, -0.0, -100.0])
def test_a_price_that_is_not_positive_is_rejected(price: float, tmp_path: Path) -> None:
    request = RiskRequest(GOOD._replace(price=price), 0.2, 0.3)
    assert rejected(request, tmp_path).reasons == ("unusable number",)


@pytest.mark.parametrize("time", [START, START - 1e-3, START - 1e6, 0.0])
def test_a_clock_that_stands_or_goes_back_is_rejected(time: float, tmp_path: Path) -> None:
    request = RiskRequest(GOOD._replace(time=time), 0.2, 0.3)
    assert rejected(request, tmp_path).reasons == ("clock went back",)


@pytest.mark.parametrize("age", [3_600.001, 1e7, -3_600.001, -1e7])
def test_a_price_that_is_stale_or_from_the_future_is_rejected(age: float, tmp_path: Path) -> None:
    request = RiskRequest(GOOD, 0.2, 0.3, GOOD.time - age)
    assert rejected(request, tmp_path).reasons == ("stale price",)


@pytest.mark.parametrize("age", [0.0, 0.001, 3_600.0])
def test_a_price_as_old_as_the_limit_is_used(age: float) -> None:
    decision = warm_agent(RiskLimits()).evaluate_and_enforce(RiskRequest(GOOD, 0.2, 0.3, GOOD.time - age))
    assert (decision.action, decision.target) == ("approve", 0.3)


def test_the_greatest_age_of_a_price_is_the_one_in_the_limits() -> None:
    request = RiskRequest(GOOD, 0.2, 0.3, GOOD.time - 61)
    actions = [
        warm_agent(RiskLimits(max_price_age=age)).evaluate_and_enforce(request).action for age in (60, 62)
    ]
    assert actions == ["reject", "approve"]


def test_all_faults_of_a_request_are_named(tmp_path: Path) -> None:
    request = RiskRequest(GOOD._replace(time=START - HOUR), 0.2, 0.3, START - 9 * HOUR)
    assert rejected(request, tmp_path).reasons == ("clock went back", "stale price")


def test_a_reduction_is_rejected_too_on_a_price_that_is_stale(tmp_path: Path) -> None:
    request = RiskRequest(GOOD, 0.2, 0.0, GOOD.time - 2 * HOUR)
    assert rejected(request, tmp_path).target == 0.2


def test_the_first_bar_may_come_at_any_time() -> None:
    agent = RiskAgent(RiskLimits(leverage=limit(1, 2)))
    state = AccountState(-1e9, 100.0, 1_000.0, 0.0)
    assert agent.evaluate_and_enforce(RiskRequest(state, 0.0, 1.0)).action == "approve"
    assert agent.evaluate_and_enforce(RiskRequest(state, 0.0, 1.0)).reasons == ("clock went back",)


def test_a_faulty_first_bar_does_not_open_the_account() -> None:
    agent = RiskAgent(every_rule())
    packed = agent.state.packed.copy()
    faulty = AccountState(START + 9 * HOUR, math.nan, 1_000.0, 0.0)
    agent.evaluate_and_enforce(RiskRequest(faulty, 0.0, 1.0))
    assert np.array_equal(agent.state.packed, packed)
    first = AccountState(START, 100.0, 1_000.0, 0.0)
    assert agent.evaluate_and_enforce(RiskRequest(first, 0.0, 0.0)).action == "approve"
