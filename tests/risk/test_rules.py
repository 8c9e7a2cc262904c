"""Use and penalty of all rules, against golden cases and against a slow reference with the whole history."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.risk.accounts import (
    DAY,
    HOUR,
    START,
    SlowRules,
    every_rule,
    limit,
    random_prices,
    random_states,
    settings_of_limits,
    streams,
    unit_risk_of,
)
from trading_assets.config.limits import RiskLimits
from trading_assets.risk import RULES, AccountState, ProductionRiskAdvisor, RiskAssessment

PAST = random_prices(61, 11)
"""Closes of past bars; the last is the price of all golden cases."""
PRICE = float(PAST[-1])


def at_price(
    quantity: float = 0.0, equity: float = 1_000.0, time: float = START, **rest: float
) -> AccountState:
    return AccountState(time, PRICE, equity, quantity, **rest)


def exposed(exposure: float) -> list[AccountState]:
    return [at_price(exposure * 1_000 / PRICE)]


LONG, SHORT = (unit_risk_of(PAST.tolist(), side, 60, 0.05) for side in (1.0, -1.0))
# Of each rule: its hard level, and the bars that bring its figure to a given value.
GOLDEN = {
    "position, long": (8, lambda figure: [at_price(figure)]),
    "position, short": (8, lambda figure: [at_price(-figure)]),
    "leverage, long": (2, exposed),
    "leverage, short": (2, lambda figure: exposed(-figure)),
    "gross_notional, long": (5_000, lambda figure: [at_price(figure / PRICE)]),
    "gross_notional, short": (5_000, lambda figure: [at_price(-figure / PRICE)]),
    "value_at_risk, long": (0.02, lambda figure: exposed(figure / LONG.value_at_risk)),
    "value_at_risk, short": (0.02, lambda figure: exposed(-figure / SHORT.value_at_risk)),
    "conditional_value_at_risk, long": (0.03, lambda figure: exposed(figure / LONG.conditional)),
    "conditional_value_at_risk, short": (0.03, lambda figure: exposed(-figure / SHORT.conditional)),
    "volatility, long": (0.04, lambda figure: exposed(figure / LONG.volatility)),
    "volatility, short": (0.04, lambda figure: exposed(-figure / LONG.volatility)),
    "turnover, in one bar": (3, lambda figure: [at_price(traded=1_000 * figure)]),
    "turnover, in two bars": (
        3,
        lambda figure: [
            at_price(traded=500 * figure),
            at_price(equity=2_000, traded=1_000 * figure, time=START + HOUR),
        ],
    ),
    "order_rate, in one bar": (8, lambda figure: [at_price(orders=figure)]),
    "order_rate, in two bars": (
        8,
        lambda figure: [at_price(orders=1), at_price(orders=figure - 1, time=START + HOUR)],
    ),
    "drawdown, from the first bar": (
        0.4,
        lambda figure: [at_price(), at_price(equity=1_000 * (1 - figure), time=START + HOUR)],
    ),
    "drawdown, from a later peak": (
        0.4,
        lambda figure: [
            at_price(),
            at_price(equity=3_000, time=START + HOUR),
            at_price(equity=2_999, time=START + DAY),
            at_price(equity=3_000 * (1 - figure), time=START + 2 * DAY),
        ],
    ),
    "daily_loss, of the first day": (
        0.4,
        lambda figure: [at_price(), at_price(equity=1_000 * (1 - figure), time=START + HOUR)],
    ),
    "daily_loss, of the second day": (
        0.4,
        lambda figure: [
            at_price(),
            at_price(equity=700, time=START + 23 * HOUR),
            at_price(equity=700 * (1 - figure), time=START + DAY),
        ],
    ),
    "loss_streak, from the first bar": (
        8,
        lambda figure: [at_price(closed_pnl=-1, time=START + i * HOUR) for i in range(round(figure))],
    ),
    "loss_streak, after a gain": (
        8,
        lambda figure: [
            at_price(closed_pnl=pnl, time=START + i * HOUR)
            for i, pnl in enumerate([-1, -1, 5] + [-1, 0] * round(figure))
        ],
    ),
}


def assess(limits: RiskLimits, states: list[AccountState]) -> RiskAssessment:
    """The assessment of the last state."""
    advisor = ProductionRiskAdvisor(limits)
    advisor.warm_up(PAST[:-1])
    return [advisor.evaluate(state) for state in states][-1]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0, 2.0])
@pytest.mark.parametrize("case", GOLDEN)
def test_use_is_the_share_of_the_hard_level_and_the_penalty_rises_squarely_from_the_soft_one(
    case: str, share: float
) -> None:
    rule = case.split(",", maxsplit=1)[0]
    hard, states = GOLDEN[case]
    # The golden price stands for one more bar: 60 returns of the past, all within a window of 60.
    levels = limit(0.5 * hard, hard, 10_000)
    limits = RiskLimits(**{rule: levels}, window=60, tail=0.05, activity_window=24)
    found = assess(limits, states(share * hard))
    assert found.use == pytest.approx({name: share if name == rule else 0.0 for name in RULES}, rel=1e-12)
    penalty = {0.25: 0.0, 0.5: 0.0, 0.75: 0.25, 1.0: 1.0, 2.0: 1.0}[share]
    assert found.penalty == pytest.approx(penalty, rel=1e-12, abs=1e-20)


def test_the_penalty_is_the_sum_over_the_rules() -> None:
    limits = RiskLimits(leverage=limit(1, 3), position=limit(0, 4_000 / PRICE), order_rate=limit(1, 2))
    found = assess(limits, [at_price(2_000 / PRICE, orders=9.0)])
    assert found.penalty == pytest.approx(0.5**2 + 0.5**2 + 1)


def test_without_limits_nothing_is_watched() -> None:
    found = assess(RiskLimits(), [at_price(1e6, equity=1e-3, traded=1e9, orders=1e6, closed_pnl=-1e9)])
    assert found.penalty == 0
    assert found.use == dict.fromkeys(RULES, 0.0)


def test_an_assessment_shows_its_penalty_and_the_limits_that_are_used() -> None:
    found = assess(RiskLimits(leverage=limit(0, 4), drawdown=limit(0.1, 0.2, 1)), exposed(2))
    assert repr(found) == "RiskAssessment(penalty=0.25, use: leverage 50%)"


def test_a_position_of_unknown_market_risk_uses_its_limit_infinitely_and_no_position_none_of_it() -> None:
    advisor = ProductionRiskAdvisor(
        RiskLimits(
            value_at_risk=limit(0.1, 0.2),
            conditional_value_at_risk=limit(0.1, 0.2),
            volatility=limit(0.1, 0.2),
        )
    )
    advisor.warm_up(PAST[:19])
    held = advisor.evaluate(AccountState(START, 100.0, 1_000.0, 0.001))
    assert {name for name, use in held.use.items() if use == np.inf} == set(RULES[3:6])
    assert held.penalty == 3
    advisor = ProductionRiskAdvisor(advisor.limits)
    advisor.warm_up(PAST[:19])
    assert advisor.evaluate(AccountState(START, 100.0, 1_000.0, 0.0)).penalty == 0


def test_what_was_traded_and_ordered_counts_in_the_activity_window_and_no_longer() -> None:
    advisor = ProductionRiskAdvisor(
        RiskLimits(turnover=limit(1, 10), order_rate=limit(1, 10), activity_window=3)
    )
    states = [at_price(traded=2_000.0, orders=4.0)] + [at_price(time=START + i * HOUR) for i in range(1, 5)]
    uses = [advisor.evaluate(state).use for state in states]
    assert [use["turnover"] for use in uses] == [0.2, 0.2, 0.2, 0, 0]
    assert [use["order_rate"] for use in uses] == [0.4, 0.4, 0.4, 0, 0]


def test_the_day_turns_at_midnight_utc() -> None:
    advisor = ProductionRiskAdvisor(RiskLimits(daily_loss=limit(0.1, 0.5, 1)))
    times = [START + 22 * HOUR, START + DAY - 1, START + DAY, START + 3 * DAY - 1, START + 3 * DAY]
    equities = [1_000, 900, 810, 810, 810]
    uses = [
        advisor.evaluate(at_price(equity=equity, time=time)).use["daily_loss"]
        for time, equity in zip(times, equities, strict=True)
    ]
    # A gap over a whole day: the third day began with the equity of the last bar before it.
    assert uses == pytest.approx([0, 0.2, 0.2, 0, 0])


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
@pytest.mark.parametrize("percent", [5, 10, 20, 25, 34, 50])
def test_a_fall_of_exactly_the_limit_reaches_it(rule: str, percent: int) -> None:
    advisor = ProductionRiskAdvisor(RiskLimits(**{rule: limit(0.01, percent / 100, 1)}))
    for bar, equity in enumerate([100.0, 100.0 - percent, 100.0 - percent]):
        found = advisor.evaluate(at_price(equity=equity, time=START + bar * HOUR))
    assert found.use[rule] == 0, "a cool-down of one bar is over, so that the rule measures from here"


@pytest.mark.parametrize("losses", [1, 3, 7, 49, 103])
def test_a_streak_of_exactly_the_limit_reaches_it(losses: int) -> None:
    advisor = ProductionRiskAdvisor(RiskLimits(loss_streak=limit(0.5, losses, 1)))
    for bar in range(losses):
        advisor.evaluate(at_price(closed_pnl=-1.0, time=START + bar * HOUR))
    assert advisor.evaluate(at_price(time=START + losses * HOUR)).use["loss_streak"] == 0


@settings(max_examples=150, deadline=None)
@given(limits=settings_of_limits(), history=streams())
def test_any_history_gives_what_the_slow_reference_finds(
    limits: RiskLimits, history: list[AccountState]
) -> None:
    advisor, slow = ProductionRiskAdvisor(limits), SlowRules(limits, PAST.tolist())
    advisor.warm_up(PAST)
    for state in history:
        found, (penalty, use) = advisor.evaluate(state), slow.evaluate(state)
        assert found.use == pytest.approx(use, rel=1e-9, abs=1e-12)
        assert found.penalty == pytest.approx(penalty, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("cool_down", [1, 2, 7, 30])
@pytest.mark.parametrize("activity_window", [1, 6, 25])
def test_a_long_history_in_which_every_rule_trips_gives_what_the_slow_reference_finds(
    cool_down: int, activity_window: int
) -> None:
    limits = every_rule(cool_down, activity_window=activity_window)
    if activity_window == 1:
        limits = every_rule(
            cool_down,
            activity_window=1,
            turnover=limit(0.1, 0.7, cool_down),
            order_rate=limit(0, 2.5, cool_down),
        )
    advisor, slow = ProductionRiskAdvisor(limits), SlowRules(limits)
    tripped = set()
    for row in random_states(500, cool_down):
        state = AccountState(*row.tolist())
        found, (penalty, use) = advisor.evaluate(state), slow.evaluate(state)
        assert found.use == pytest.approx(use, rel=1e-9, abs=1e-12)
        assert found.penalty == pytest.approx(penalty, rel=1e-9, abs=1e-9)
        tripped |= {rule for rule, until in slow.acting_until.items() if 0 < until <= len(slow.bars)}
    assert tripped == set(RULES), "a rule that never trips is not tested here"
