"""What Stable-Baselines3 and its relatives ask of environments: attributes, returns, pictures, masks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from tests.simulation.worlds import CLOSE, random_bars
from trading_assets.config.settings import EnvConfig
from trading_assets.simulation import TradingEnv, make_env
from trading_assets.simulation.kernel import TARGET
from trading_assets.simulation.market import Market

START, STOP, EPISODE, N = 500, 700, 40, 4


def a_market(bars, **changes) -> Market:
    table = np.arange(len(bars), dtype=np.float32)[:, None]
    config = {"episode_bars": EPISODE, "reward_scale": 0.006} | changes
    return Market.make(bars, table, EnvConfig(**config), start=START, stop=STOP)


def both_faces(market: Market, n: int = N, **arguments) -> tuple[VecEnv, VecEnv]:
    """One after the other and at once, of the same seed."""
    single = [lambda i=i: Monitor(TradingEnv(market, rank=i, n_envs=n, **arguments)) for i in range(n)]
    faces = DummyVecEnv(single), make_env(market, n, **arguments)
    for env in faces:
        env.seed(5)
    return faces


def random_actions(n_steps: int, n: int = N, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, size=(n_steps, n))


# Attributes and methods


def test_an_attribute_is_set_and_got_where_the_indices_say(bars):
    for env in both_faces(a_market(bars)):
        env.set_attr("tag", 7, indices=[1, 3])
        env.set_attr("tag", 8, indices=0)
        assert env.get_attr("tag", indices=[3, 0]) == [7, 8]
        assert env.get_attr("tag", indices=-1) == [7]
        with pytest.raises(AttributeError, match="tag"):
            env.get_attr("tag")
        env.set_attr("tag", 9)
        assert env.get_attr("tag") == [9] * N


@pytest.mark.parametrize("indices", [N, -N - 1, [0, N], [0.5], ["0"], [True, False]])
def test_indices_that_are_no_places_are_refused_by_everything_that_takes_them(bars, indices):
    env = make_env(a_market(bars), N)
    for call in (
        lambda: env.get_attr("render_mode", indices),
        lambda: env.set_attr("tag", 1, indices),
        lambda: env.env_method("action_masks", indices=indices),
        lambda: env.env_is_wrapped(Monitor, indices),
    ):
        with pytest.raises(IndexError, match="expected places of environments, from 0 to 3"):
            call()
    assert not env.has_attr("tag")


def test_what_all_environments_share_can_be_read_and_not_set(bars):
    env = make_env(a_market(bars), N)
    assert env.get_attr("num_envs", indices=[0, 2]) == [N, N]
    with pytest.raises(AttributeError, match="All environments share 'simulator'"):
        env.set_attr("simulator", None, indices=[0])


def test_a_method_is_called_where_the_indices_say(bars):
    market = a_market(bars)
    told = []
    for env in both_faces(market):
        env.reset()
        told.append(env.env_method("reset", seed=3, options={"start": START + 9}, indices=[2]))
        (observation, info) = told[-1][0]
        assert observation[0] == info["bar"] == START + 9 and len(told[-1]) == 1
    one, many = make_env(market, N, seed=5), make_env(market, N, seed=5)
    one.reset(), many.reset()
    many.env_method("reset", indices=[1], options={"start": START})
    moved = (one.simulator.observe() != many.simulator.observe()).any(axis=1)
    assert moved.tolist() == [False, True, False, False]
    with pytest.raises(AttributeError, match="fly"):
        many.env_method("fly", indices=0)


def test_a_generator_of_one_s_own_decides_where_that_environment_begins(bars):
    env = make_env(a_market(bars), N, seed=0)
    env.reset()
    env.set_attr("np_random", np.random.default_rng(123), indices=1)
    expected = START + int(np.random.default_rng(123).random() * (STOP - START - 1 - EPISODE + 1))
    assert env.reset()[1, 0] == expected


# Returns of episodes


@pytest.mark.parametrize("reward", ["log_return", "differential_sharpe"])
def test_returns_and_lengths_of_episodes_are_what_a_monitor_tells(bars, reward):
    market, told = a_market(bars, reward=reward), []
    for env in both_faces(market):
        env.reset()
        ends = []
        for row in random_actions(2 * EPISODE + 3):
            ends += [info["episode"] for info in env.step(row)[3] if "episode" in info]
        assert all(end["t"] > 0 for end in ends)
        told.append([(end["r"], end["l"]) for end in ends])
    assert len(told[0]) == 2 * N and {length for _, length in told[0]} == {EPISODE}
    np.testing.assert_allclose(told[0], told[1], rtol=0, atol=1.1e-6)


@pytest.mark.parametrize("n_envs", [None, N])
def test_returns_reach_the_log_of_stable_baselines(bars, tmp_path, n_envs):
    env = make_env(a_market(bars), n_envs)
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, device="cpu")
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(64 * (n_envs or 1))
    (row,) = pd.read_csv(tmp_path / "progress.csv").to_dict("records")
    assert row["rollout/ep_len_mean"] == EPISODE
    assert row["rollout/ep_rew_mean"] == pytest.approx(np.mean([end["r"] for end in model.ep_info_buffer]))


# Options of a reset


def test_a_reset_begins_at_the_bar_that_its_options_name_in_both_faces(bars):
    market = a_market(bars)
    env = TradingEnv(market)
    observation, info = env.reset(seed=1, options={"start": START + 11})
    assert observation[0] == info["bar"] == START + 11
    for env in both_faces(market):
        env.set_options({"start": START + 3})
        assert env.reset()[:, 0].tolist() == [START + 3] * N
        env.set_options([{"start": START + i} if i != 2 else {} for i in range(N)])
        env.seed(8)
        starts = env.reset()[:, 0]
        assert starts[[0, 1, 3]].tolist() == [START, START + 1, START + 3]
        assert starts[2] == TradingEnv(market).reset(seed=10)[0][0]
        assert [info["bar"] for info in env.reset_infos] == starts.tolist()


def test_a_named_start_takes_nothing_from_the_sequence_nor_from_the_draw(bars):
    for starts in ("sequential", "random"):
        market = a_market(bars, starts=starts)
        plain, named = TradingEnv(market), TradingEnv(market)
        expected = [plain.reset(seed=0)[0][0], plain.reset()[0][0]]
        first = named.reset(seed=0)[0][0]
        named.reset(options={"start": START + 1})
        assert [first, named.reset()[0][0]] == expected


def test_an_episode_that_is_to_begin_near_the_end_is_as_long_as_the_bars_last(bars):
    for env in both_faces(a_market(bars)):
        env.set_options({"start": STOP - 4})
        env.reset()
        dones = [env.step(np.ones(N, dtype=int))[2].all() for _ in range(3)]
        assert dones == [False, False, True]


@pytest.mark.parametrize(
    "options",
    [
        {"start": START - 1},
        {"start": STOP - 1},
        {"start": 600.0},
        {"start": True},
        {"begin": 600},
        {"start": None},
    ],
)
def test_options_that_name_no_bar_are_refused_and_nothing_moves(bars, options):
    market = a_market(bars)
    for env in (make_env(market, seed=0), make_env(market, N, seed=0)):
        env.reset()
        before = env.simulator.observe()
        with pytest.raises(
            ValueError, match=f"expected {{'start': bar}} with a bar from {START} to {STOP - 2}"
        ):
            if isinstance(env, VecEnv):
                env.set_options(options)
                env.reset()
            else:
                env.reset(options=options)
        np.testing.assert_array_equal(env.simulator.observe(), before)
    many = make_env(market, N)
    many.set_options([{"start": 600}])
    with pytest.raises(ValueError, match="options for 1 of 4 environments"):
        many.reset()


# Pictures


def test_a_picture_shows_position_and_equity_alike_in_both_faces(bars):
    market = a_market(bars)
    one, many = both_faces(market, 2, render_mode="rgb_array")
    for env in (one, many):
        env.reset()
        for row in random_actions(EPISODE - 1, 2):
            env.step(row)
    pictures, others = one.get_images(), many.get_images()
    for picture, other in zip(pictures, others, strict=True):
        assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, other)
    assert many.render().shape == (480 * 2, 640, 3)
    many.step(random_actions(1, 2)[0])  # the next episodes have begun
    assert [len(story) for story in many.simulator.story] == [1, 1]
    assert not np.array_equal(many.get_images()[0], pictures[0])


def test_the_story_is_of_bars_equity_and_targets_held(bars):
    env = make_env(a_market(bars), render_mode="rgb_array")
    env.reset(options={"start": START})
    told = [(START, 1.0, 0.0)]
    for action in random_actions(10, 1)[:, 0]:
        info = env.step(action)[4]
        told.append((info["bar"], info["equity"], info["target"]))
    assert env.simulator.story == [told]
    picture = env.render()
    env.step(2)
    assert not np.array_equal(env.render(), picture)


def test_the_checker_of_gymnasium_passes_where_there_are_pictures(bars):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*Not able to test alternative render modes.*")
        check_env(make_env(a_market(bars), render_mode="rgb_array"))


def test_nothing_is_drawn_unless_asked_for_and_other_modes_are_refused(bars):
    env = make_env(a_market(bars))
    env.reset()
    with pytest.warns(UserWarning, match="draws nothing without render_mode='rgb_array'"):
        assert env.render() is None
    for n_envs in (None, N):
        with pytest.raises(ValueError, match="render_mode is 'human'; expected 'rgb_array', or None"):
            make_env(a_market(bars), n_envs, render_mode="human")


# Masks of actions

RISK = {
    "leverage": {"soft": 0.4, "hard": 0.8, "cool_down": 0},
    "drawdown": {"soft": 0.01, "hard": 0.05, "cool_down": 6},
    "turnover": {"soft": 2.0, "hard": 4.0, "cool_down": 4},
    "order_rate": {"soft": 2.0, "hard": 5.0, "cool_down": 0},
    "activity_window": 12,
}
LEVELS = (-1.0, -0.7, 0.0, 0.5, 0.75, 1.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_an_allowed_level_is_followed_and_a_forbidden_one_is_not(seed):
    """Step by step against the simulator itself, which is asked for every level from the same account."""
    config = EnvConfig(levels=LEVELS, risk=RISK, enforce_limits=True, starts="sequential", episode_bars=90)
    market = Market.make(random_bars(100, seed, scale=0.02), config=config)
    rng, actions, forbidden = np.random.default_rng(seed), [], 0
    env = make_env(market)
    env.reset()
    for _ in range(40):
        masks = env.action_masks()
        assert masks.dtype == bool and masks.shape == (len(LEVELS),) and masks.any()
        for place in (int(rng.integers(len(LEVELS))), int(rng.choice(np.flatnonzero(masks)))):
            other = make_env(market)
            other.reset()
            for action in actions:
                other.step(action)
            followed = other.step(place)[4]["target"] == pytest.approx(LEVELS[place], abs=1e-9)
            assert followed == masks[place]
        forbidden += np.count_nonzero(~masks)
        actions.append(place)
        env.step(place)
    assert forbidden > 0


def test_masks_of_both_faces_are_alike_as_sb3_contrib_asks_for_them(bars):
    risk = {"leverage": {"soft": 0.4, "hard": 0.8, "cool_down": 0}}
    market = a_market(bars, levels=(-1.0, 0.0, 0.5, 1.0), risk=risk, enforce_limits=True)
    one, many = both_faces(market)
    for env in (one, many):
        env.reset()
        assert env.has_attr("action_masks")
        np.testing.assert_array_equal(
            np.stack(env.env_method("action_masks")), [[False, True, True, False]] * N
        )
    np.testing.assert_array_equal(many.action_masks(), np.stack(one.env_method("action_masks")))
    assert len(many.env_method("action_masks", indices=[0, 2])) == 2


def test_limits_that_only_advise_forbid_nothing(bars):
    risk = {"leverage": {"soft": 0.1, "hard": 0.2, "cool_down": 0}}
    env = make_env(a_market(bars, risk=risk), N)
    env.reset()
    assert env.action_masks().all()


def test_where_the_rules_allow_no_level_the_nearest_to_theirs_is_left(bars):
    """A drawdown closes the position, and flat is none of the levels."""
    jump = bars.copy()
    jump[START + 1 :, 1:5] *= 0.8
    jump[START + 1, 1] = bars[START, CLOSE]
    jump[START + 1, 2:4] = jump[START + 1, [1, 4]].max(), jump[START + 1, 1:5].min()
    risk = {"drawdown": {"soft": 0.01, "hard": 0.05, "cool_down": 6}}
    env = make_env(a_market(jump, levels=(-1.0, 0.25, 1.0), risk=risk, enforce_limits=True))
    env.reset(options={"start": START})
    env.step(2)
    assert env.action_masks().tolist() == [False, True, False]


def test_targets_that_are_numbers_have_no_masks(bars):
    for n_envs in (None, N):
        with pytest.raises(AttributeError, match="Only discrete levels have masks"):
            make_env(a_market(bars, levels=None), n_envs).action_masks()


def test_what_a_masked_policy_draws_is_never_cut(bars):
    levels, risk = (-1.0, -0.5, 0.0, 0.5, 1.0), {"leverage": {"soft": 0.4, "hard": 0.8, "cool_down": 0}}
    env = make_env(a_market(bars, levels=levels, risk=risk, enforce_limits=True), N, seed=1)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(60):
        masks = np.stack(env.env_method("action_masks"))
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        dones = env.step(actions)[2]
        held = env.simulator.state[~dones, TARGET]
        np.testing.assert_array_equal(held, np.array(levels)[actions[~dones]])
