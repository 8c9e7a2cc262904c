"""Weights of an ensemble and evaluations of an agent: what is taken where several are equally good."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.agents.ensemble import best_weights, weight_grid
from trading_assets.agents.ppo import KeepBest


def test_the_point_with_the_highest_equity_is_taken() -> None:
    points = weight_grid(2, 4)
    best = best_weights(points, [1.0, 1.2, 1.1, 1.3, 0.9])
    assert best.tolist() == [0.75, 0.25]


@pytest.mark.parametrize("n_members", [2, 3])
def test_members_that_do_the_same_share_alike(n_members: int) -> None:
    points = weight_grid(n_members, 9)
    equities = 1.07 + 1e-14 * np.random.default_rng(0).normal(size=len(points))  # of rounding
    np.testing.assert_allclose(best_weights(points, equities), np.full(n_members, 1 / n_members), atol=1e-12)


def test_a_member_that_is_given_twice_shares_its_weight_with_its_copy() -> None:
    points = weight_grid(3, 10)
    # What an ensemble ends with depends on the first member's weight alone, and is best at 0.4.
    equities = 1.5 - (points[:, 0] - 0.4) ** 2
    np.testing.assert_allclose(best_weights(points, equities), [0.4, 0.3, 0.3], atol=1e-12)


@settings(deadline=None)
@given(data=st.data(), n_members=st.integers(2, 4))
def test_the_order_of_the_members_changes_no_share(data: Any, n_members: int) -> None:
    points = weight_grid(n_members, 4)
    level = st.sampled_from([0.9, 1.0, 1.1, 0.1 + 0.2 + 0.8, 1.2])
    equities = np.array(data.draw(st.lists(level, min_size=len(points), max_size=len(points))))
    order = data.draw(st.permutations(range(n_members)))
    permuted = best_weights(points[:, order], equities)
    np.testing.assert_allclose(permuted, best_weights(points, equities)[order], atol=1e-12)


def keeper_of(equities: list[float]) -> KeepBest:
    """A keeper that saw these final equities, one an evaluation, of weights that count the evaluations."""
    seen = iter(equities)

    def validate() -> Any:
        returns = np.array([0.01, -0.005])
        return SimpleNamespace(equity=np.array([1.0, next(seen)]), traded=np.ones(2), returns=returns)

    keeper = KeepBest(validate, total_steps=100, evaluations=len(equities))
    for number in range(len(equities)):
        state = {"weight": torch.tensor([float(number)])}
        keeper.model = SimpleNamespace(policy=SimpleNamespace(state_dict=lambda state=state: state))  # type: ignore[assignment]
        keeper._evaluate()
    return keeper


@pytest.mark.parametrize(
    ("equities", "kept"),
    [
        ([1.0, 1.2, 1.1], 1),
        ([1.2, 1.2, 1.2], 0),
        ([1.1, 0.1 + 0.2 + 0.8, 1.1], 0),  # the second is 1.1 and a bit of rounding
        ([1.0, 1.0 + 1e-6], 1),
        ([1.0] + [1.0 + k * 1e-9 for k in range(1, 10)], 9),  # small steps do add up
    ],
)
def test_an_agent_keeps_the_first_of_the_evaluations_that_only_rounding_tells_apart(
    equities: list[float], kept: int
) -> None:
    keeper = keeper_of(equities)
    assert keeper.best()["weight"].item() == kept
    assert [row["kept"] for row in keeper.history].index(1.0) == kept
