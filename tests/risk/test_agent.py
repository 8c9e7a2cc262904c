"""What of an order the agent lets through: approved, cut to what the limits allow, or rejected."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk.accounts import (
    EXPOSURES,
    HOUR,
    LOSSES,
    START,
    SlowRules,
    limit,
    random_prices,
    settings_of_limits,
    streams,
    unit_risk_of,
)
from trading_assets.config.limits import RiskLimits
from trading_assets.risk import (
    RULES,
    AccountState,
    ProductionRiskAdvisor,
    RiskAgent,
    RiskDecision,
    RiskRequest,
)

PAST = random_prices(61, 21)
PRICE, EQUITY = float(PAST[-1]), 1_000.0
LONG, SHORT = (unit_risk_of(PAST.tolist(), side, 60, 0.05) for side in (1.0, -1.0))

# Of each rule: its hard level, and the exposures that it allows long and short.
CAPS = {
    "position": (4, 4 * PRICE / EQUITY, 4 * PRICE / EQUITY),
    "leverage": (0.7, 0.7, 0.7),
    "gross_notional": (1_500, 1.5, 1.5),
    "value_at_risk": (0.02, 0.02 / LONG.value_at_risk, 0.02 / SHORT.value_at_risk),
    "conditional_value_at_risk": (0.02, 0.02 / LONG.conditional, 0.02 / SHORT.conditional),
    "volatility": (0.02, 0.02 / LONG.volatility, 0.02 / LONG.volatility),
}


def warm_agent(**limits: object) -> RiskAgent:
    """An agent that has seen all of `PAST` but its last price."""
    agent = RiskAgent(RiskLimits.model_validate({"window": 60, **limits}))
    agent.warm_up(PAST[:-1])
    return agent


def account(exposure: float = 0.0, *, bar: int = 0, equity: float = EQUITY, **rest: float) -> AccountState:
    return AccountState(START + bar * HOUR, PRICE, equity, exposure * equity / PRICE, **rest)


def ask(agent: RiskAgent, state: AccountState, target: float, held: float | None = None) -> RiskDecision:
    """What of `target` is allowed to an account that holds its position, unless told otherwise."""
    position = state.quantity * state.price / state.equity
    return agent.evaluate_and_enforce(RiskRequest(state, position if held is None else held, target))


def summary(decision: RiskDecision) -> tuple[str, float, tuple[str, ...]]:
    return decision.action, decision.target, decision.reasons


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("rule", EXPOSURES)
def test_exposure_is_cut_to_exactly_what_its_limit_allows(rule: str, side: int) -> None:
    hard, long_cap, short_cap = CAPS[rule]
    cap = long_cap if side == 1 else short_cap
    levels = {rule: limit(hard / 2, hard, 7)}
    decision = ask(warm_agent(**levels), account(), side * 50.0)
    assert (decision.action, decision.reasons) == ("clip", (rule,))
    assert decision.target == pytest.approx(side * cap, rel=1e-12)
    advisor = ProductionRiskAdvisor(RiskLimits.model_validate({"window": 60, **levels}))
    advisor.warm_up(PAST[:-1])
    assert advisor.evaluate(account(decision.target)).use[rule] == pytest.approx(1, rel=1e-12)
    followed = ask(warm_agent(**levels), account(decision.target), 50.0 * side)
    # Nothing more is ordered: what is held is near what is allowed.
    assert (followed.action, followed.target) == ("reject", pytest.approx(decision.target, rel=1e-12))


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("rule", EXPOSURES)
def test_exposure_below_its_limit_is_approved(rule: str, side: int) -> None:
    hard, long_cap, short_cap = CAPS[rule]
    target = side * 0.999 * (long_cap if side == 1 else short_cap)
    decision = ask(warm_agent(**{rule: limit(0, hard)}), account(), target)
    assert summary(decision) == ("approve", target, ())
    assert decision.assessment is not None


def test_the_lowest_of_several_limits_decides_and_all_that_are_exceeded_are_named() -> None:
    limits = {rule: limit(0, hard) for rule, (hard, _, _) in CAPS.items()}
    decision = ask(warm_agent(**limits), account(), 50.0)
    assert decision.target == pytest.approx(min(cap for _, cap, _ in CAPS.values()))
    assert decision.reasons == EXPOSURES
    decision = ask(warm_agent(leverage=limit(0, 0.7), gross_notional=limit(0, 1_500)), account(), 1.0)
    assert summary(decision) == ("clip", 0.7, ("leverage",))


@pytest.mark.parametrize("rule", ["value_at_risk", "conditional_value_at_risk", "volatility"])
def test_while_the_risk_of_the_market_is_unknown_nothing_is_held(rule: str) -> None:
    agent = RiskAgent(RiskLimits(**{rule: limit(0.1, 0.9)}))
    agent.warm_up(PAST[:19])
    assert summary(ask(agent, account(), 0.001)) == ("clip", 0.0, (rule,))
    assert summary(ask(agent, account(0.001, bar=1, orders=1.0), 0.001))[:1] == ("approve",)
    agent = RiskAgent(agent.limits)
    assert summary(ask(agent, account(0.001), 0.001)) == ("clip", 0.0, (rule,))


def test_an_approved_target_is_the_one_that_was_asked_for() -> None:
    agent = warm_agent(leverage=limit(1, 3))
    targets = [0.1 + 0.2, -1 / 3, 0.0, 3.0, -3.0]
    decisions = [ask(agent, account(bar=bar), target) for bar, target in enumerate(targets)]
    assert [decision.target for decision in decisions] == targets
    assert {decision.action for decision in decisions} == {"approve"}


@pytest.mark.parametrize("rule", EXPOSURES)
def test_a_position_that_has_outgrown_its_limit_is_cut_though_nothing_new_is_asked(rule: str) -> None:
    hard, cap, _ = CAPS[rule]
    agent = warm_agent(**{rule: limit(0, hard)})
    decision = ask(agent, account(1.2 * cap), 0.999 * cap, held=0.999 * cap)
    # To a little below the limit, or the next move of the market would have to be followed too.
    assert (decision.action, decision.reasons) == ("clip", (rule,))
    assert decision.target == pytest.approx(0.9 * cap, rel=1e-12)
    decision = ask(warm_agent(**{rule: limit(0, hard)}), account(-3 * cap), -3 * cap)
    assert decision.action == "clip"
    assert 0 > decision.target > -2 * cap
    assert decision.reasons == (rule,)


@pytest.mark.parametrize("side", [1, -1])
def test_an_order_that_the_turnover_has_room_for_in_part_is_cut_to_that_part(side: int) -> None:
    agent = warm_agent(turnover=limit(1, 2), activity_window=5)
    decision = ask(agent, account(side * 0.5, traded=0.5 * EQUITY), side * 3.0)
    assert summary(decision) == ("clip", side * 2.0, ("turnover",))
    filled = agent.evaluate_and_enforce(
        RiskRequest(account(side * 2.0, bar=1, traded=1.5 * EQUITY, orders=1.0), side * 2.0, side * 2.5)
    )
    assert filled.assessment.use["turnover"] == pytest.approx(1)
    assert summary(filled) == ("reject", side * 2.0, ("turnover",))


def test_a_flip_spends_turnover_on_the_way_to_flat_first() -> None:
    agent = warm_agent(turnover=limit(1, 2), activity_window=5)
    assert summary(ask(agent, account(1.0, traded=0.5 * EQUITY), -3.0)) == ("clip", -0.5, ("turnover",))


def test_the_last_order_of_the_rate_is_approved_and_the_next_is_rejected() -> None:
    agent = warm_agent(order_rate=limit(1, 3), activity_window=5)
    assert ask(agent, account(orders=2.0), 1.0).action == "approve"
    rejected = ask(agent, account(1.0, bar=1, orders=1.0), 1.5)
    assert summary(rejected) == ("reject", 1.0, ("order_rate",))


EXHAUSTED = {
    "turnover": ({"turnover": limit(1, 2)}, {"traded": 2.5 * EQUITY}),
    "order_rate": ({"order_rate": limit(1, 2)}, {"orders": 2.0}),
    "turnover that cools down": ({"turnover": limit(1, 2, 9)}, {"traded": 2.5 * EQUITY}),
    "order_rate that cools down": ({"order_rate": limit(1, 2, 9)}, {"orders": 3.0}),
    "leverage that cools down": ({"leverage": limit(0.1, 0.9, 9)}, {}),
}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("case", EXHAUSTED)
def test_only_reductions_are_allowed_where_nothing_more_may_be_added(case: str, side: int) -> None:
    limits, done = EXHAUSTED[case]
    rule = case.split(maxsplit=1)[0]

    def after(exposure: float, target: float) -> tuple[str, float, tuple[str, ...]]:
        agent = warm_agent(**limits)
        ask(agent, account(side * 1.0, **done), 0.0)
        return summary(ask(agent, account(side * exposure, bar=1), side * target))

    assert after(0.5, 0.2) == ("approve", side * 0.2, ())
    assert after(0.5, 0.0) == ("approve", 0.0, ())
    assert after(0.5, 0.8) == ("reject", side * 0.5, (rule,))
    assert after(0.5, -0.3) == ("clip", 0.0, (rule,)), "a flip is cut to flat"
    assert after(0.0, 0.3) == ("reject", 0.0, (rule,))
    assert after(0.5, 0.5) == ("approve", side * 0.5, ()), "to go on holding is no order"


def test_holding_a_target_is_no_order_though_the_position_has_drifted_from_it() -> None:
    agent = warm_agent(order_rate=limit(1, 2), activity_window=9)
    decision = ask(agent, account(0.9, orders=5.0), 1.0, held=1.0)
    assert summary(decision) == ("approve", 1.0, ())
    assert summary(ask(agent, account(0.9, bar=1), 1.0, held=0.9)) == ("reject", 0.9, ("order_rate",))


LOSING = {
    "drawdown": (limit(0.1, 0.3, 2), {"equity": 0.69 * EQUITY}),
    "daily_loss": (limit(0.1, 0.3, 2), {"equity": 0.69 * EQUITY}),
    "loss_streak": (limit(0.5, 1, 2), {"closed_pnl": -1.0}),
}


@pytest.mark.parametrize("target", [2.0, 0.5, -0.5])
@pytest.mark.parametrize("rule", LOSSES)
def test_a_loss_that_reaches_its_limit_closes_the_position(rule: str, target: float) -> None:
    levels, loss = LOSING[rule]
    agent = warm_agent(**{rule: levels}, turnover=limit(0.01, 0.02), order_rate=limit(0.1, 0.2))
    assert ask(agent, account(0.5), 0.5).action == "approve"
    assert summary(ask(agent, account(0.5, bar=1, **loss), target)) == ("clip", 0.0, (rule,))
    assert summary(ask(agent, account(0.0, bar=2, orders=1.0), target)) == ("clip", 0.0, (rule,))


@pytest.mark.parametrize("market", ["unknown", "walk", "constant", "rising"])
@pytest.mark.parametrize("equity", [0.0, -5.0])
def test_an_account_without_equity_is_closed_whatever_the_market_did(market: str, equity: float) -> None:
    past = {
        "unknown": [100.0],
        "walk": PAST,
        "constant": [100.0] * 40,
        "rising": [100 * 1.01**bar for bar in range(-40, 0)],
    }[market]
    agent = RiskAgent(RiskLimits(value_at_risk=limit(0.01, 0.02), volatility=limit(0.01, 0.02)))
    agent.warm_up(past)
    agent.evaluate_and_enforce(RiskRequest(AccountState(START, 100.0, EQUITY, 1.0), 0.1, 0.1))
    state = AccountState(START + HOUR, 100.0, equity, 1.0)
    decision = agent.evaluate_and_enforce(RiskRequest(state, 0.1, 0.1))
    assert (decision.action, decision.target) == ("clip", 0.0)
    assert decision.assessment is not None
    assert math.isfinite(decision.assessment.penalty)


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
def test_an_account_that_lost_everything_stays_closed_and_is_assessed(rule: str) -> None:
    agent = warm_agent(**{rule: limit(0.1, 0.5, 2)})
    ask(agent, account(), 1.0)
    for bar in range(1, 60):
        state = AccountState(START + bar * HOUR, PRICE, 0.0, 0.0)
        decision = agent.evaluate_and_enforce(RiskRequest(state, 0.0, 1.0))
        assert (decision.action, decision.target) == ("clip", 0.0)
        assert decision.assessment is not None
    late = agent.evaluate_and_enforce(RiskRequest(account(), 0.0, 1.0))
    assert summary(late) == ("reject", 0.0, ("clock went back",))


def caps_of(limits: RiskLimits, state: AccountState, prices: list[float], side: float) -> dict[str, float]:
    """By how much each rule lets an account be exposed to a side."""
    unit = unit_risk_of(prices, side, limits.window, limits.tail)
    one = {
        "position": state.equity / state.price,
        "leverage": 1.0,
        "gross_notional": state.equity,
        "value_at_risk": unit.value_at_risk,
        "conditional_value_at_risk": unit.conditional,
        "volatility": unit.volatility,
    }
    hard = {rule: levels.hard for rule in EXPOSURES if (levels := getattr(limits, rule)) is not None}
    return {rule: hard[rule] / one[rule] if one[rule] else math.inf for rule in hard}


class SlowAgent(SlowRules):
    """What of a target is allowed, from the whole history."""

    def decide(  # noqa: PLR0911 - one for each answer
        self, state: AccountState, held: float, target: float
    ) -> tuple[str, float, set[str]]:
        self.evaluate(state)
        acting = {rule for rule, until in self.acting_until.items() if until >= len(self.bars)}
        closing = acting & set(LOSSES)
        if closing:
            if not (held or target or state.quantity):
                return "approve", 0.0, set()
            return "clip", 0.0, closing
        position = state.quantity * state.price / state.equity
        caps = caps_of(self.limits, state, self.prices, -1.0 if target < 0 else 1.0)
        own_caps = caps_of(self.limits, state, self.prices, -1.0 if position < 0 else 1.0)
        reasons = {rule for rule, cap in caps.items() if abs(target) > cap}
        outgrown = {rule for rule, cap in own_caps.items() if abs(position) > cap}
        wanted = math.copysign(min([abs(target), *caps.values()]), target)
        if outgrown and wanted * position > 0:
            wanted = math.copysign(min(abs(wanted), 0.9 * min(own_caps.values())), wanted)
        elif reasons and wanted * position > 0 and abs(position) >= 0.81 * abs(wanted):
            return "reject", held, reasons
        if wanted == held and not outgrown:
            return "clip" if reasons else "approve", wanted, reasons
        reasons |= outgrown
        kept = abs(position) if position * wanted > 0 else 0.0
        room, limiting = self._room(acting, abs(position) - kept)
        if abs(wanted) - kept > room:
            if room == 0 and kept == abs(position):
                return "reject", held, reasons | limiting
            return "clip", math.copysign(kept + room, wanted), reasons | limiting
        return "clip" if reasons else "approve", wanted, reasons

    def _room(self, acting: set[str], reduction: float) -> tuple[float, set[str]]:
        """By how much exposure may grow in the bar to come, that pushes the oldest out of the window."""
        if acting:
            return 0.0, acting
        first = len(self.bars) - self.limits.activity_window + 1
        coming = {
            rule: [bar for i, bar in enumerate(self.bars) if i >= first and i > self.measured_since[rule]]
            for rule in ("turnover", "order_rate")
        }
        rate, turnover = self.limits.order_rate, self.limits.turnover
        if rate is not None and sum(bar.orders for bar in coming["order_rate"]) + 1 > rate.hard:
            return 0.0, {"order_rate"}
        if turnover is None:
            return math.inf, set()
        traded = math.fsum(bar.traded / bar.equity for bar in coming["turnover"])
        return max(turnover.hard - traded - reduction, 0.0), {"turnover"}


@settings(max_examples=250, deadline=None)
@given(
    limits=settings_of_limits(),
    history=streams(),
    wishes=st.lists(
        st.tuples(st.sampled_from(["position", "target", "nothing"]), st.integers(-30, 30)),
        min_size=40,
        max_size=40,
    ),
)
def test_any_history_of_requests_is_decided_as_the_slow_reference_does_and_within_the_limits(
    limits: RiskLimits, history: list[AccountState], wishes: list[tuple[str, int]]
) -> None:
    agent, slow = RiskAgent(limits), SlowAgent(limits, PAST.tolist())
    agent.warm_up(PAST)
    for state, (follows, tenths) in zip(history, wishes, strict=False):
        target, position = tenths / 10, state.quantity * state.price / state.equity
        held = {"position": position, "target": target, "nothing": 0.0}[follows]
        decision = agent.evaluate_and_enforce(RiskRequest(state, held, target))
        action, allowed, reasons = slow.decide(state, held, target)
        assert decision.action == action
        assert decision.target == pytest.approx(allowed, rel=1e-9, abs=1e-12)
        assert set(decision.reasons) == reasons
        assert set(reasons) <= set(RULES)
        if decision.action == "reject":
            assert decision.target == held
            continue
        assert abs(decision.target) <= abs(target) * (1 + 1e-9)
        assert decision.target * target >= 0
        side = -1.0 if target < 0 else 1.0
        for cap in caps_of(limits, state, slow.prices, side).values():
            assert abs(decision.target) <= cap * (1 + 1e-9)
        if decision.action == "approve":
            assert decision.target == target
