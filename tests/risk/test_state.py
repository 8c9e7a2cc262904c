"""What the rules remember: the same one by one and in a batch, and after it was saved and restored."""

import json
import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.risk.accounts import HOUR, START, Floats, every_rule, limit, random_prices, random_states
from trading_assets.config.limits import RiskLimits
from trading_assets.errors import ArtifactError, SettingsError
from trading_assets.risk import (
    RULES,
    AccountState,
    ProductionRiskAdvisor,
    RiskAgent,
    RiskDecision,
    RiskRequest,
    RiskState,
)
from trading_assets.risk.agent import ACTIONS, names_of

N_ACCOUNTS, N_BARS = 4, 300
PAST = random_prices(30, 41)


@pytest.fixture(scope="module")
def states() -> Floats:
    """Bars of four accounts, shape (300, 4, 7); the second has an unusable number at every seventh bar."""
    rows = np.stack([random_states(N_BARS, seed) for seed in range(N_ACCOUNTS)], axis=1)
    faulty = range(5, N_BARS, 7)
    rows[faulty, 1, [bar % 7 for bar in faulty]] = np.nan
    return rows


@pytest.fixture(scope="module")
def wishes() -> Floats:
    """What is held and asked for, and how old the price is, shape (300, 4, 3); some prices are stale."""
    rng = np.random.default_rng(42)
    rows = rng.uniform(-2, 2, (N_BARS, N_ACCOUNTS, 3))
    rows[..., 0] = np.where(rng.random((N_BARS, N_ACCOUNTS)) < 0.3, rows[..., 1], rows[..., 0])
    rows[..., 2] = np.where(rng.random((N_BARS, N_ACCOUNTS)) < 0.1, 5_000, 10)
    return rows


def row_of(state: RiskState, account: int) -> Floats:
    """All that is remembered of one account."""
    return np.concatenate([state.accounts[account], state.windows[account]])


def test_an_advisor_of_many_accounts_agrees_with_one_of_each_bit_for_bit(states: Floats) -> None:
    limits = every_rule()
    many = ProductionRiskAdvisor(limits, n_accounts=N_ACCOUNTS)
    single = [ProductionRiskAdvisor(limits) for _ in range(N_ACCOUNTS)]
    for advisor in (many, *single):
        advisor.warm_up(PAST)
    refused, reached = 0, np.zeros(len(RULES))
    for bar in states:
        penalty, use = many.evaluate_many(bar)
        for i, advisor in enumerate(single):
            if np.isnan(bar[i]).any():
                refused += 1
                assert math.isnan(penalty[i])
                with pytest.raises(ValueError, match="cannot be assessed"):
                    advisor.evaluate(AccountState(*bar[i]))
            else:
                found = advisor.evaluate(AccountState(*bar[i].tolist()))
                assert found.penalty == penalty[i]
                assert list(found.use.values()) == use[i].tolist()
                reached = np.maximum(reached, use[i])
            assert np.array_equal(row_of(many.state, i), row_of(advisor.state, 0))
    assert refused == 43
    assert (reached >= 1).all(), "a rule that is never reached is not compared here"


def test_an_agent_of_many_accounts_agrees_with_one_of_each_bit_for_bit(
    states: Floats, wishes: Floats
) -> None:
    limits = every_rule()
    many = RiskAgent(limits, n_accounts=N_ACCOUNTS)
    single = [RiskAgent(limits) for _ in range(N_ACCOUNTS)]
    seen = set()
    for bar, wish in zip(states, wishes, strict=True):
        held, target, price_time = wish[:, 0], wish[:, 1], bar[:, 0] - wish[:, 2]
        action, allowed, reasons, penalty = many.evaluate_and_enforce_many(bar, held, target, price_time)
        for i, agent in enumerate(single):
            request = RiskRequest(AccountState(*bar[i].tolist()), held[i], target[i], price_time[i])
            one = agent.evaluate_and_enforce(request)
            assert (one.action, one.target) == (ACTIONS[action[i]], allowed[i])
            assert one.reasons == names_of(int(reasons[i]))
            assert math.isnan(penalty[i]) if one.assessment is None else one.assessment.penalty == penalty[i]
            assert np.array_equal(row_of(many.state, i), row_of(agent.state, 0))
            seen |= {one.action, *one.reasons}
    assert {*ACTIONS, "unusable number", "stale price", "turnover", "drawdown", "volatility"} <= seen


def test_without_times_of_prices_a_batch_takes_them_as_seen_at_its_own(states: Floats) -> None:
    one, other = (RiskAgent(every_rule(), n_accounts=N_ACCOUNTS) for _ in range(2))
    held, target = np.zeros(N_ACCOUNTS), np.ones(N_ACCOUNTS)
    for bar in states[:30]:
        found = one.evaluate_and_enforce_many(bar, held, target)
        expected = other.evaluate_and_enforce_many(bar, held, target, bar[:, 0])
        assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(found, expected, strict=True))


def as_plain(decision: RiskDecision) -> tuple[Any, ...]:
    assessment = decision.assessment
    return *decision[:3], None if assessment is None else (assessment.penalty, assessment.use)


@pytest.mark.parametrize("cut", [0, 1, 17, 150, 299])
def test_an_agent_that_was_saved_and_restored_goes_on_as_if_it_had_not_been(
    cut: int, states: Floats, wishes: Floats, tmp_path: Path
) -> None:
    def decide(agent: RiskAgent, bar: int) -> tuple[Any, ...]:
        state = AccountState(*states[bar, 0].tolist())
        held, target, _ = wishes[bar, 0].tolist()
        return as_plain(agent.evaluate_and_enforce(RiskRequest(state, held, target)))

    straight, first, second = (RiskAgent(every_rule()) for _ in range(3))
    expected = [decide(straight, bar) for bar in range(N_BARS)]
    found = [decide(first, bar) for bar in range(cut)]
    first.save(tmp_path / "state.json")
    second.restore(tmp_path / "state.json")
    found += [decide(second, bar) for bar in range(cut, N_BARS)]
    assert found == expected
    assert np.array_equal(second.state.packed, straight.state.packed)


def test_an_advisor_of_many_accounts_that_was_restored_goes_on_as_if_it_had_not_been(
    states: Floats, tmp_path: Path
) -> None:
    straight, first, second = (ProductionRiskAdvisor(every_rule(), n_accounts=N_ACCOUNTS) for _ in range(3))
    expected = [straight.evaluate_many(bar) for bar in states]
    for bar in states[:120]:
        first.evaluate_many(bar)
    first.save(tmp_path / "state.json")
    second.restore(tmp_path / "state.json")
    for bar, (penalty, use) in zip(states[120:], expected[120:], strict=True):
        found_penalty, found_use = second.evaluate_many(bar)
        assert np.array_equal(found_penalty, penalty, equal_nan=True)
        known = np.isfinite(penalty)
        assert np.array_equal(found_use[known], use[known])


def test_what_an_advisor_saved_an_agent_can_restore(tmp_path: Path) -> None:
    advisor, agent = ProductionRiskAdvisor(every_rule()), RiskAgent(every_rule())
    advisor.warm_up(PAST)
    advisor.evaluate(AccountState(START, 100.0, 1_000.0, 0.5))
    advisor.save(tmp_path / "state.json")
    agent.restore(tmp_path / "state.json")
    assert np.array_equal(agent.state.packed, advisor.state.packed)


def changed(path: Path, **parts: Any) -> bytes:
    return json.dumps(json.loads(path.read_bytes()) | parts).encode()


def packed_in(path: Path) -> list[float]:
    return list(json.loads(path.read_bytes())["packed"])


DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "cut off": lambda path: path.read_bytes()[:-9],
    "empty": lambda _: b"",
    "no text": lambda _: b"\xff\xfe\x00",
    "a list": lambda _: b"[1, 2]",
    "a number": lambda _: b"3",
    "no limits": lambda path: changed(path, limits=None),
    "limits out of range": lambda path: changed(path, limits={"window": 3}),
    "no digest": lambda path: changed(path, digest=None),
    "another digest": lambda path: changed(path, digest="0" * 64),
    "one number changed": lambda path: changed(path, packed=[1.0, *packed_in(path)[1:]]),
    "nested without end": lambda _: b"[" * 100_000,
    "too few numbers": lambda path: changed(path, packed=[0.0]),
    "no numbers": lambda path: changed(path, packed=None),
    "words": lambda path: changed(path, packed=["a"]),
    "one not finite": lambda path: changed(
        path, packed=[math.nan, *json.loads(path.read_bytes())["packed"][1:]]
    ),
    "one missing": lambda path: changed(path, packed=[None, *json.loads(path.read_bytes())["packed"][1:]]),
    "a part missing": lambda path: json.dumps({"packed": json.loads(path.read_bytes())["packed"]}).encode(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_name_and_changes_nothing(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    agent = RiskAgent(every_rule())
    agent.warm_up(PAST)
    agent.save(path)
    path.write_bytes(DAMAGES[damage](path))
    before = agent.state.packed.copy()
    with pytest.raises(ArtifactError) as refused:
        agent.restore(path)
    assert str(path) in str(refused.value)
    assert np.array_equal(agent.state.packed, before)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ArtifactError) as refused:
            RiskAgent(every_rule()).restore(path)
        assert str(path) in str(refused.value)


def test_a_state_saved_under_other_limits_is_refused_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    RiskAgent(every_rule()).save(path)
    other = every_rule(drawdown=limit(0.05, 0.2, 3), max_price_age=60.0, leverage=None)
    with pytest.raises(ArtifactError, match=r"other limits \(leverage, drawdown, max_price_age differ\)"):
        RiskAgent(other).restore(path)
    with pytest.raises(ArtifactError, match=r"other limits \(activity_window differ\)"):
        RiskAgent(every_rule(activity_window=7)).restore(path)


def test_writing_that_fails_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    path, agent = tmp_path / "state.json", RiskAgent(every_rule())
    agent.save(path)
    old = path.read_bytes()
    agent.warm_up(PAST)
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, allowed[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            agent.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert path.read_bytes() == old
    agent.save(path)
    assert path.read_bytes() != old


def test_writing_over_a_folder_fails_and_leaves_it(tmp_path: Path) -> None:
    folder = tmp_path / "state.json"
    folder.mkdir()
    (folder / "kept").write_text("x")
    with pytest.raises(OSError, match="directory"):
        RiskAgent(every_rule()).save(folder)
    assert (folder / "kept").read_text() == "x"


def test_saving_makes_the_folders_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    RiskAgent(every_rule()).save(path)
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("kind", [RiskAgent, ProductionRiskAdvisor])
def test_limits_are_given_either_as_such_or_as_yaml(
    kind: type[RiskAgent] | type[ProductionRiskAdvisor], tmp_path: Path
) -> None:
    text = "leverage: {soft: 1, hard: 2, cool_down: 0}\n"
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    limits = RiskLimits(leverage=limit(1, 2))
    assert kind(limits).limits == kind(policy_yaml=text).limits == kind(policy_yaml=path).limits == limits
    for arguments in ({}, {"limits": limits, "policy_yaml": text}):
        with pytest.raises(ValueError, match="either as RiskLimits or as policy_yaml"):
            kind(**arguments)
    with pytest.raises(SettingsError):
        kind(policy_yaml="")


def test_a_state_of_another_number_of_accounts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    RiskAgent(every_rule(), n_accounts=3).save(path)
    with pytest.raises(ArtifactError, match="holds 3 accounts; expected 1"):
        RiskAgent(every_rule()).restore(path)


def test_a_save_that_fails_leaves_no_draft_behind(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(OSError, match=r"state\.json"):
        RiskAgent(every_rule()).save(tmp_path / "state.json")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("field", ["traded", "orders"])
def test_activity_cannot_be_negative(field: str) -> None:
    """It would make room for more."""
    agent = RiskAgent(every_rule())
    agent.warm_up(PAST)
    account = AccountState(START, 100.0, 1_000.0, 0.0)._replace(**{field: -1.0})
    decision = agent.evaluate_and_enforce(RiskRequest(account, 0.0, 1.0))
    assert decision.reasons == ("unusable number",) and not agent.state.accounts.any()


def test_one_of_many_accounts_is_not_asked_about_alone() -> None:
    account = AccountState(START, 100.0, 1_000.0, 0.0)
    with pytest.raises(ValueError, match="watches 2 accounts; ask it about all of them at once"):
        ProductionRiskAdvisor(RiskLimits(), n_accounts=2).evaluate(account)
    with pytest.raises(ValueError, match="watches 2 accounts; ask it about all of them at once"):
        RiskAgent(RiskLimits(), n_accounts=2).evaluate_and_enforce(RiskRequest(account, 0.0, 0.0))


def test_limits_are_not_taken_for_a_file() -> None:
    with pytest.raises(TypeError, match=r"expected RiskLimits\. Files and text go to policy_yaml"):
        RiskAgent("limits.yaml")


def test_an_account_without_equity_is_closed_and_told_why() -> None:
    agent = RiskAgent(RiskLimits())
    account = AccountState(START, 100.0, -5.0, 1.0)
    decision = agent.evaluate_and_enforce(RiskRequest(account, 1.0, 1.0))
    assert decision[:3] == ("clip", 0.0, ("no equity",))


@pytest.mark.parametrize("n_accounts", [0, -1])
def test_less_than_one_account_is_refused(n_accounts: int) -> None:
    with pytest.raises(ValueError, match=f"n_accounts is {n_accounts}; expected 1 or more"):
        RiskAgent(RiskLimits(), n_accounts=n_accounts)


@pytest.mark.parametrize("shape", [(3, 7), (2, 6), (7,), (2, 7, 1), (0, 7)])
def test_states_of_another_shape_are_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    given = np.ones(shape)
    with pytest.raises(ValueError, match=r"expected \(2, 7\): time, price, equity") as refused:
        ProductionRiskAdvisor(RiskLimits(), n_accounts=2).evaluate_many(given)
    assert f"states have shape {shape}" in str(refused.value)
    with pytest.raises(ValueError, match=r"expected \(2, 7\)"):
        RiskAgent(RiskLimits(), n_accounts=2).evaluate_and_enforce_many(given, np.ones(2), np.ones(2))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("shape", [(3,), (2, 1), (1,), ()])
def test_columns_of_another_shape_are_refused_by_name(place: int, shape: tuple[int, ...]) -> None:
    columns = [np.ones(2)] * 3
    columns[place] = np.ones(shape)
    agent = RiskAgent(RiskLimits(), n_accounts=2)
    with pytest.raises(ValueError, match=r"expected \(2,\)") as refused:
        agent.evaluate_and_enforce_many(np.ones((2, 7)), *columns)
    assert str(refused.value).startswith(("held", "targets", "price_times")[place])
    assert not agent.state.packed.any()


def test_warming_up_is_the_same_as_having_seen_the_prices() -> None:
    limits = every_rule()
    warm, seen = ProductionRiskAdvisor(limits), ProductionRiskAdvisor(limits)
    warm.warm_up(PAST)
    for bar, price in enumerate(PAST):
        seen.evaluate(AccountState(START + bar * HOUR, price, 1_000.0, 0.0))
    assert np.array_equal(warm.state.windows, seen.state.windows)
    assert not warm.state.accounts.any()


def test_warming_up_shows_all_accounts_the_prices() -> None:
    many = RiskAgent(every_rule(), n_accounts=3)
    many.warm_up(PAST.tolist())
    one = RiskAgent(every_rule())
    one.warm_up(PAST)
    assert all(np.array_equal(window, one.state.windows[0]) for window in many.state.windows)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_past_prices_that_are_not_usable_are_refused_and_none_is_taken_in(bad: float) -> None:
    agent = RiskAgent(every_rule())
    with pytest.raises(ValueError, match="Past prices must be finite and positive"):
        agent.warm_up(np.array([100.0, 101.0, bad]))
    assert not agent.state.packed.any()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", AccountState._fields)
def test_the_advisor_refuses_a_number_that_is_not_finite_and_takes_nothing_in(
    field: str, value: float
) -> None:
    advisor = ProductionRiskAdvisor(every_rule())
    advisor.warm_up(PAST)
    good = AccountState(START, 100.0, 1_000.0, 0.5, 10.0, 1.0, -1.0)
    advisor.evaluate(good)
    before = advisor.state.packed.copy()
    with pytest.raises(ValueError, match="expected finite numbers and a positive price"):
        advisor.evaluate(good._replace(**{"time": START + HOUR, field: value}))
    assert np.array_equal(advisor.state.packed, before)


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_the_advisor_refuses_a_price_that_is_not_positive_and_takes_nothing_in(price: float) -> None:
    advisor = ProductionRiskAdvisor(every_rule())
    with pytest.raises(ValueError, match="expected finite numbers and a positive price"):
        advisor.evaluate(AccountState(START, price, 1_000.0, 0.5))
    assert not advisor.state.packed.any()
