"""Both faces of the simulator: they agree bit for bit, keep their libraries' rules, and refuse nonsense."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_by_gymnasium
from stable_baselines3.common.env_checker import check_env as check_by_stable_baselines
from stable_baselines3.common.vec_env import DummyVecEnv

from trading_assets.config.settings import EnvConfig
from trading_assets.errors import SettingsError
from trading_assets.simulation import (
    TradingEnv,
    TradingVecEnv,
    build_action_space,
    build_observation_space,
    make_env,
)
from trading_assets.simulation.kernel import ACCOUNT_NAMES, PATH
from trading_assets.simulation.market import Market

START, STOP, EPISODE, N_ENVS, WIDTH = 500, 700, 40, 5, 3
N_ACCOUNT = len(ACCOUNT_NAMES)
RISK = {
    "leverage": {"soft": 0.5, "hard": 2.0, "cool_down": 0},
    "value_at_risk": {"soft": 0.001, "hard": 0.02, "cool_down": 3},
    "turnover": {"soft": 2.0, "hard": 10.0, "cool_down": 4},
    "drawdown": {"soft": 0.001, "hard": 0.02, "cool_down": 6},
    "loss_streak": {"soft": 1.0, "hard": 4.0, "cool_down": 6},
    "window": 30,
    "tail": 0.1,
}
CONFIGS = {
    "plain": {},
    "window": {"window": 7},
    "continuous": {"levels": None, "max_leverage": 4.0},
    "sequential": {"starts": "sequential"},
    "everything": {
        "window": 3,
        "max_leverage": 5.0,
        "maintenance_margin": 0.15,
        "reward": "differential_sharpe",
        "enforce_limits": True,
        "risk": RISK,
        "costs": {"impact": 1.0, "slippage_volatility": 0.2, "borrow_rate": 0.1, "min_order": 500.0},
    },
}


@pytest.fixture(scope="module")
def table(bars) -> np.ndarray:
    """Column 0 is the bar's number, so that an observation says at which bar it was made."""
    noise = np.random.default_rng(0).normal(size=(len(bars), WIDTH - 1))
    return np.column_stack([np.arange(len(bars)), noise]).astype(np.float32)


def a_market(bars, table, **changes) -> Market:
    stretch = {key: changes.pop(key, value) for key, value in (("start", START), ("stop", STOP))}
    config = EnvConfig(**{"episode_bars": EPISODE, "reward_scale": 0.006} | changes)
    return Market.make(bars, table, config, **stretch)


def random_actions(market: Market, n_steps: int, n_envs: int = N_ENVS, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if market.config.levels is None:
        return rng.uniform(-1, 1, (n_steps, n_envs, 1)).astype(np.float32)
    return rng.integers(0, len(market.config.levels), size=(n_steps, n_envs))


def trajectory(env, actions) -> list[np.ndarray]:
    """Everything an agent gets to see, in order."""
    seen = [env.reset()]
    for row in actions:
        observations, rewards, dones, infos = env.step(row)
        seen += [observations, rewards, dones]
        for done, info in zip(dones, infos, strict=True):
            if done:
                seen += [info["terminal_observation"], np.array(info["TimeLimit.truncated"])]
    return seen


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_many_single_environments_and_the_vectorized_one_agree_bit_for_bit(bars, table, name):
    market = a_market(bars, table, **CONFIGS[name])
    many = DummyVecEnv([lambda i=i: TradingEnv(market, rank=i, n_envs=N_ENVS) for i in range(N_ENVS)])
    many.seed(11)
    actions = random_actions(market, 4 * EPISODE + 5)
    one, other = (trajectory(env, actions) for env in (many, TradingVecEnv(market, N_ENVS, seed=11)))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_checkers_of_gymnasium_and_of_stable_baselines_pass_without_a_warning(bars, table, name):
    market = a_market(bars, table, **CONFIGS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_by_gymnasium(TradingEnv(market), skip_render_check=True)
        check_by_stable_baselines(TradingEnv(market))


def test_make_env_gives_one_environment_or_many(bars, table):
    market = a_market(bars, table)
    one, many = make_env(market, seed=4), make_env(market, 3, seed=4)
    assert isinstance(one, TradingEnv) and isinstance(many, TradingVecEnv)
    assert one.observation_space == many.observation_space == build_observation_space(WIDTH, market.config)
    assert one.action_space == many.action_space == build_action_space(market.config)
    np.testing.assert_array_equal(TradingEnv(market).reset(seed=4)[0], many.reset()[0])


def test_a_seed_of_make_env_decides_the_first_episode_without_taking_one(bars, table):
    market = a_market(bars, table)
    np.testing.assert_array_equal(make_env(market, seed=4).reset()[0], make_env(market, 1, seed=4).reset()[0])
    sequential = a_market(bars, table, starts="sequential")
    assert make_env(sequential, seed=4).reset()[0][0] == make_env(sequential).reset()[0][0] == START


def test_spaces_follow_the_configuration(bars, table):
    continuous = EnvConfig(levels=None, window=6)
    assert build_action_space(continuous) == gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert build_action_space(EnvConfig(levels=(-1.0, 0.25, 0.5, 1.0))) == gym.spaces.Discrete(4)
    space = build_observation_space(WIDTH, continuous)
    assert space.shape == (6 * WIDTH + N_ACCOUNT,) and space.dtype == np.float32
    assert space.low[-4:].tolist() == [-1, -5, 0, 0] and space.high[-4:].tolist() == [1, 5, 5, 3]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"window": 0}, "'window' (EnvConfig) is 0: expected a number at least 1 and at most 4096"),
        (
            {"max_leverage": 200},
            "'max_leverage' (EnvConfig) is 200: expected a number above 0 and at most",
        ),
        (
            {"costs": {"fee_bps": -1}},
            "'costs.fee_bps' (EnvConfig) is -1: expected a number at least 0 and",
        ),
        ({"risk": {"leverage": {"soft": 1}}}, "'risk.leverage.hard' (EnvConfig) is missing"),
        ({"reward": "profit"}, "'reward' (EnvConfig) is 'profit': Input should be 'log_return'"),
        ({"max_leverage": 25.0}, "a full position would be called at once; their product must be below 1"),
        ({"levels": (0, 2)}, "'levels.1' (EnvConfig) is 2: expected a number at least -1 and at most 1"),
        ({"max_leverage": float("nan")}, "is nan: expected a number above 0 and at most 100"),
        ({"levels": (1.0, -1.0)}, "levels are (1.0, -1.0); expected two or more that rise from -1 to 1"),
        ({"levels": (0.0,)}, "levels are (0.0,); expected two or more"),
        ({"levles": (0.0, 1.0)}, "Unknown setting 'levles' (EnvConfig). Did you mean 'levels'?"),
        ({"episode_bars": 0}, "'episode_bars' (EnvConfig) is 0: expected a number at least 1"),
    ],
)
def test_a_configuration_that_is_refused_names_the_parameter_and_its_range(wrong, said):
    with pytest.raises(SettingsError) as refused:
        EnvConfig(**wrong)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_an_observation_is_the_window_oldest_first_and_then_the_account(bars, table):
    market = a_market(bars, table, window=4)
    env = TradingVecEnv(market, N_ENVS, seed=0)
    for row in env.reset():
        last = int(row[3 * WIDTH])
        np.testing.assert_array_equal(row[:-N_ACCOUNT].reshape(4, WIDTH), table[last - 3 : last + 1])
        np.testing.assert_array_equal(row[-N_ACCOUNT:], 0)
        assert env.observation_space.contains(row)


def test_the_account_is_seen_as_position_profit_drawdown_and_time(bars, table):
    env = TradingEnv(a_market(bars, table, starts="sequential"))
    env.reset(seed=0)
    bar = bars[START + 1]
    observation, *_, info = env.step(2)
    fee, slip = 0.001, 0.0005
    entry = 1 - slip - fee * (1 + slip)
    equity = entry + bar[4] / bar[1] - 1
    assert info["equity"] == pytest.approx(equity, rel=1e-12)
    expected = [1.0, 10 * (equity / entry - 1), 10 * (1 - min(equity, 1.0)), 1 / 48]
    np.testing.assert_allclose(observation[-4:], expected, rtol=1e-4, atol=1e-6)
    observation, *_, info = env.step(1)
    assert observation[-4] == observation[-3] == observation[-1] == 0
    assert set(info) == {*PATH, "bar"} and info["bar"] == START + 2


def test_the_end_of_an_episode_is_a_truncation_that_shows_the_last_observation(bars, table):
    market = a_market(bars, table)
    env = TradingVecEnv(market, N_ENVS, seed=3)
    first = env.reset()[:, 0]
    for step, actions in enumerate(random_actions(market, EPISODE), start=1):
        _, _, dones, infos = env.step(actions)
        assert dones.tolist() == [step == EPISODE] * N_ENVS
    assert all(info["TimeLimit.truncated"] is True for info in infos)
    assert [info["terminal_observation"][0] for info in infos] == (first + EPISODE).tolist()
    assert all(0 < info["equity"] < 2 for info in infos)


def test_ruin_is_a_termination_and_opens_a_fresh_account(bars, table):
    jump = bars.copy()
    jump[STOP - 5 :, 1:5] *= 4
    jump[STOP - 5, 1] = jump[STOP - 5, 3] = jump[STOP - 6, 4]
    market = a_market(jump, table, episode_bars=STOP - START - 1, maintenance_margin=0.0)
    env = TradingVecEnv(market, N_ENVS, seed=0)
    env.reset()
    actions = np.array([0, 1, 2, 0, 1])
    for _ in range(STOP - 6 - START):
        assert not env.step(actions)[2].any()
    observations, rewards, dones, infos = env.step(actions)
    assert dones.tolist() == [True, False, False, True, False]
    for i in (0, 3):
        assert infos[i]["TimeLimit.truncated"] is False
        assert infos[i]["terminal_observation"][0] == STOP - 5
        assert infos[i]["equity"] == 0.01 and rewards[i] < -100
        assert observations[i, 0] == START and not observations[i, WIDTH:].any()
    assert infos[1] == infos[2] == infos[4] == {}


def test_ruin_in_the_last_bar_of_an_episode_is_no_truncation(bars, table):
    jump = bars.copy()
    jump[STOP - 1, 1:5] = jump[STOP - 2, 4]
    jump[STOP - 1, [2, 4]] *= 4
    env = TradingVecEnv(a_market(jump, table, episode_bars=STOP, maintenance_margin=0.0), 2, seed=0)
    env.reset()
    for _ in range(STOP - START - 1):
        _, _, dones, infos = env.step(np.array([0, 2]))
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]


def test_what_was_handed_out_is_never_written_again(bars, table):
    market = a_market(bars, table)
    env = TradingVecEnv(market, N_ENVS, seed=3)
    given = [env.reset()]
    copies = [given[0].copy()]
    for actions in random_actions(market, 2 * EPISODE):
        observations, rewards, dones, infos = env.step(actions)
        ends = [info["terminal_observation"] for info in infos if info]
        for array in (observations, rewards, dones, *ends):
            given.append(array)
            copies.append(array.copy())
    assert same(given, copies)


def test_infos_are_apart_for_every_environment_and_forget_what_a_wrapper_wrote(bars, table):
    market = a_market(bars, table)
    env = TradingVecEnv(market, N_ENVS, seed=3)
    env.reset()
    actions = random_actions(market, EPISODE)
    for row in actions[:-1]:
        *_, infos = env.step(row)
        assert infos == [{}] * N_ENVS and len({id(info) for info in infos}) == N_ENVS
        infos[2]["mine"] = 1
    *_, infos = env.step(actions[-1])
    assert all("mine" not in info and "terminal_observation" in info for info in infos)
    *_, infos = env.step(actions[0])
    assert infos == [{}] * N_ENVS


def test_the_same_seed_gives_the_same_trajectory_and_another_seed_another(bars, table):
    market = a_market(bars, table)
    actions = random_actions(market, 2 * EPISODE)
    one = trajectory(TradingVecEnv(market, N_ENVS, seed=1), actions)
    assert same(one, trajectory(TradingVecEnv(market, N_ENVS, seed=1), actions))
    assert not same(one, trajectory(TradingVecEnv(market, N_ENVS, seed=2), actions))


def test_seeding_restarts_the_draw_of_starting_bars(bars, table):
    market = a_market(bars, table)
    env, actions = TradingVecEnv(market, N_ENVS, seed=1), random_actions(market, EPISODE)
    first = trajectory(env, actions)
    assert not same(first, trajectory(env, actions))
    assert env.seed(1) == [1, 2, 3, 4, 5]
    assert same(first, trajectory(env, actions))


def test_episodes_start_at_every_bar_from_which_they_fit_and_at_no_other(bars, table):
    env = TradingVecEnv(a_market(bars, table, stop=START + EPISODE + 4), 100, seed=0)
    assert set(env.reset()[:, 0]) == {START, START + 1, START + 2, START + 3}


def test_sequential_episodes_follow_on_each_other_and_are_shared_out(bars, table):
    market = a_market(bars, table, starts="sequential")
    env = TradingVecEnv(market, 2, seed=0)
    starts = [env.reset()[:, 0].tolist()]
    for row in random_actions(market, 3 * EPISODE, 2):
        observations, _, dones, _ = env.step(row)
        if dones.all():
            starts.append(observations[:, 0].tolist())
    # 199 decisions hold four episodes of 40.
    assert starts == [[500, 540], [580, 620], [500, 540], [580, 620]]


def test_a_reset_to_a_seed_begins_the_sequence_anew(bars, table):
    market = a_market(bars, table, starts="sequential")
    env = TradingEnv(market)
    assert [int(env.reset(seed=s)[0][0]) for s in (0, None, None, 0, None)] == [500, 540, 580, 500, 540]
    many = TradingVecEnv(market, 2)
    many.reset()
    assert many.reset()[:, 0].tolist() == [580, 620]
    many.seed(3)
    assert many.reset()[:, 0].tolist() == [500, 540]


def test_an_episode_longer_than_the_stretch_is_cut_to_it(bars, table):
    market = a_market(bars, table, stop=START + 10, episode_bars=512)
    env = TradingVecEnv(market, N_ENVS, seed=0)
    assert set(env.reset()[:, 0]) == {START}
    for step in range(1, 10):
        _, _, dones, infos = env.step(random_actions(market, 1)[0])
        assert dones.all() == (step == 9)
    assert {info["terminal_observation"][0] for info in infos} == {START + 9}


@pytest.mark.parametrize("actions", [[3, 0], [-1, 0], [0], [0.5, 1.0], [[0, 1], [1, 0]], [2**40, 0]])
def test_actions_that_are_no_places_of_levels_are_refused_and_nothing_moves(bars, table, actions):
    env = TradingVecEnv(a_market(bars, table), 2, seed=0)
    before = env.reset()
    with pytest.raises(ValueError, match=r"expected 2 whole numbers, each the place of one of the levels"):
        env.step(np.array(actions))
    np.testing.assert_array_equal(env.simulator.observe(), before)


@pytest.mark.parametrize(
    "actions", [[["up"], ["down"]], [[np.nan], [0.0]], [[1.5], [0.0]], [[0.0]], [[-np.inf], [1.0]]]
)
def test_continuous_actions_out_of_range_are_refused(bars, table, actions):
    env = TradingVecEnv(a_market(bars, table, levels=None), 2, seed=0)
    env.reset()
    with pytest.raises(ValueError, match="expected 2 numbers from -1 to 1"):
        env.step(np.array(actions))


def test_stepping_without_a_running_episode_is_refused(bars, table):
    env = TradingEnv(a_market(bars, table, episode_bars=2))
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        env.step(1)
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        TradingVecEnv(a_market(bars, table), 2).step(np.array([0, 1]))
    env.reset(seed=0)
    env.step(1)
    assert env.step(1)[3] is True
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        env.step(1)


def test_a_vectorized_environment_has_one_environment_at_least(bars, table):
    with pytest.raises(ValueError, match="n_envs is 0; expected 1 or more"):
        TradingVecEnv(a_market(bars, table), 0)


def test_ppo_learns_on_it_and_collects_what_the_environment_gave(bars, table):
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor

    torch.set_num_threads(1)
    env = VecMonitor(TradingVecEnv(a_market(bars, table), 4))
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(256)
    assert model.num_timesteps == 256
    assert any(not torch.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))
    # 64 steps of 4 accounts hold one whole episode each.
    assert [episode["l"] for episode in model.ep_info_buffer] == [EPISODE] * 4
    # Within an episode each stored observation is of the bar after the one before it.
    clock = model.rollout_buffer.observations.reshape(4, 64, -1)[:, :, 0]
    assert (np.diff(clock)[:, : EPISODE - 1] == 1).all()
