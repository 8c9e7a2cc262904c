"""How long a rule acts once its limit is reached, and that it then measures anew: none acts for ever."""

import pytest
from hypothesis import given, settings

from tests.risk.accounts import (
    HOUR,
    START,
    limit,
    random_prices,
    settings_of_limits,
    streams,
)
from trading_assets.config.limits import RiskLimits
from trading_assets.risk import AccountState, RiskAgent, RiskDecision, RiskRequest

COOL_DOWNS = [1, 2, 3, 24]


class Session:
    """An account that asks an agent bar after bar, at a constant price."""

    def __init__(self, limits: RiskLimits) -> None:
        self.agent, self.bars, self.held = RiskAgent(limits), 0, 0.0

    def ask(
        self, target: float = 1.0, *, equity: float = 1_000.0, exposure: float = 0.0, **rest: float
    ) -> RiskDecision:
        state = AccountState(START + self.bars * HOUR, 10.0, equity, exposure * equity / 10.0, **rest)
        decision = self.agent.evaluate_and_enforce(RiskRequest(state, self.held, target))
        self.bars, self.held = self.bars + 1, decision.target
        return decision


def closed_by(decision: RiskDecision, rule: str) -> bool:
    return decision.action == "clip" and decision.target == 0 and decision.reasons == (rule,)


def free(decision: RiskDecision) -> bool:
    return decision.action == "approve" and decision.target == 1 and decision.reasons == ()


@pytest.mark.parametrize("cool_down", COOL_DOWNS)
@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
def test_a_fall_closes_for_its_cool_down_and_is_then_measured_from_there(rule: str, cool_down: int) -> None:
    session = Session(RiskLimits(**{rule: limit(0.1, 0.25, cool_down)}))
    equity = 1_000.0
    assert free(session.ask(equity=equity))
    for _ in range(3):
        assert free(session.ask(equity=0.76 * equity))
        equity *= 0.74
        for _ in range(cool_down):
            assert closed_by(session.ask(equity=equity), rule)
        assert free(session.ask(equity=equity)), "exactly cool_down bars after the trip"


@pytest.mark.parametrize("cool_down", COOL_DOWNS)
def test_a_losing_streak_closes_for_its_cool_down_and_is_then_counted_from_there(cool_down: int) -> None:
    session = Session(RiskLimits(loss_streak=limit(1, 3, cool_down)))
    for _ in range(3):
        assert free(session.ask(closed_pnl=-1.0))
        assert free(session.ask(closed_pnl=-0.1))
        assert closed_by(session.ask(closed_pnl=-5.0), "loss_streak")
        for _ in range(cool_down - 1):
            assert closed_by(session.ask(), "loss_streak")
        assert free(session.ask())


def test_a_loss_while_the_position_is_closed_does_not_close_the_next_one() -> None:
    session = Session(RiskLimits(loss_streak=limit(1, 2, 3), drawdown=limit(0.1, 0.25, 3)))
    session.ask(closed_pnl=-1.0)
    assert session.ask(closed_pnl=-1.0, equity=740.0).target == 0
    assert session.ask(closed_pnl=-1.0, equity=500.0).target == 0
    assert session.ask(closed_pnl=-1.0, equity=480.0).target == 0
    assert free(session.ask(closed_pnl=-1.0, equity=470.0))


def test_rules_of_different_cool_downs_act_each_for_its_own() -> None:
    session = Session(RiskLimits(drawdown=limit(0.1, 0.25, 4), daily_loss=limit(0.1, 0.2, 2)))
    session.ask()
    reasons = [session.ask(equity=equity).reasons for equity in [790, 740, 740, 740, 740, 740]]
    assert reasons == [
        ("daily_loss",),
        ("drawdown", "daily_loss"),
        ("drawdown",),
        ("drawdown",),
        ("drawdown",),
        (),
    ]


def test_a_new_day_does_not_end_the_cool_down_of_a_daily_loss() -> None:
    session = Session(RiskLimits(daily_loss=limit(0.1, 0.2, 4)))
    session.bars = 22
    assert free(session.ask())
    assert [free(session.ask(equity=790.0)) for _ in range(6)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("cool_down", COOL_DOWNS)
def test_exposure_grows_no_more_while_its_limit_cools_down(cool_down: int) -> None:
    session = Session(RiskLimits(leverage=limit(1, 2, cool_down)))
    cut = session.ask(3.0, exposure=3.0)
    assert (cut.action, cut.target, cut.reasons) == ("clip", 1.8, ("leverage",))
    for _ in range(cool_down - 1):
        session.held = 0.5
        waiting = session.ask(1.0, exposure=0.5)
        assert (waiting.action, waiting.target, waiting.reasons) == ("reject", 0.5, ("leverage",))
    session.held = 0.5
    assert free(session.ask(1.0, exposure=0.5))


def test_an_exposure_that_meets_its_limit_exactly_does_not_start_a_cool_down() -> None:
    session = Session(RiskLimits(leverage=limit(1, 2, 5)))
    assert session.ask(2.0, exposure=2.0).assessment.use["leverage"] == pytest.approx(1)
    assert free(session.ask(1.0, exposure=0.5))


def test_a_limit_that_is_still_exceeded_when_its_cool_down_ends_cools_down_anew() -> None:
    session = Session(RiskLimits(leverage=limit(1, 2, 3)))
    exposures = [3.0, 3.0, 3.0, 3.0, 0.5, 0.5, 0.5]
    found = []
    for exposure in exposures:
        session.held = exposure
        found.append(session.ask(min(exposure + 0.5, 2.0), exposure=exposure).action)
    assert found == ["clip"] * 4 + ["reject"] * 2 + ["approve"]


@pytest.mark.parametrize("cool_down", COOL_DOWNS)
@pytest.mark.parametrize(
    ("rule", "done"), [("turnover", {"traded": 2_500.0}), ("order_rate", {"orders": 3.0})]
)
def test_activity_over_its_limit_counts_anew_after_its_cool_down(
    rule: str, done: dict[str, float], cool_down: int
) -> None:
    session = Session(RiskLimits(**{rule: limit(1, 2, cool_down)}, activity_window=500))
    for bar in range(cool_down):
        waiting = session.ask(1.0, **(done if bar == 0 else {}))
        assert (waiting.action, waiting.target, waiting.reasons) == ("reject", 0.0, (rule,))
    fresh = session.ask(1.0)
    assert free(fresh)
    assert fresh.assessment.use[rule] == 0


def test_activity_without_a_cool_down_waits_until_the_activity_window_has_passed() -> None:
    limits = RiskLimits(turnover=limit(1, 2), order_rate=limit(1, 2), activity_window=4)
    session = Session(limits)
    actions = [session.ask(orders=2.0).action] + [session.ask().action for _ in range(3)]
    # The fourth order would be filled in a bar in which the first has left the window.
    assert actions == ["reject", "reject", "reject", "approve"]
    session = Session(limits)
    actions = [session.ask(traded=2_000.0).action] + [session.ask().action for _ in range(3)]
    assert actions == ["reject", "reject", "reject", "approve"]


@settings(max_examples=100, deadline=None)
@given(limits=settings_of_limits(), history=streams())
def test_after_any_history_a_quiet_account_may_trade_again(
    limits: RiskLimits, history: list[AccountState]
) -> None:
    agent = RiskAgent(limits)
    agent.warm_up(random_prices(60, 12))
    for state in history:
        agent.evaluate_and_enforce(RiskRequest(state, 0.0, 1.0))
    # No cool-down is longer than 5 bars, no activity window than 8.
    for bar in range(1, 9):
        quiet = history[-1]._replace(
            time=history[-1].time + bar * HOUR, quantity=0.0, traded=0.0, orders=0.0, closed_pnl=0.0
        )
        decision = agent.evaluate_and_enforce(RiskRequest(quiet, 0.0, 0.001))
    assert (decision.action, decision.target, decision.reasons) == ("approve", 0.001, ())
