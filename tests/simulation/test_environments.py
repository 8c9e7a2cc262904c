"""The vectorised environment against a slow loop over single accounts, and its manners."""

import numpy as np
import pytest

from trading_assets.config.settings import CostSettings, RiskSettings
from trading_assets.simulation import kernel
from trading_assets.simulation.backtesting import make_rules
from trading_assets.simulation.environments import TARGETS, TradingVecEnv
from trading_assets.simulation.kernel import ACCOUNT_NAMES, ACCOUNT_SIZE

START, STOP, EPISODE, N_ENVS = 500, 700, 40, 5
RULES = make_rules(CostSettings(), RiskSettings(), 0.006)
WIDTH = 3


@pytest.fixture(scope="module")
def table(bars) -> np.ndarray:
    """Column 0 is the bar's number, so that an observation says at which bar it was made."""
    noise = np.random.default_rng(0).normal(size=(len(bars), WIDTH - 1))
    return np.column_stack([np.arange(len(bars)), noise]).astype(np.float32)


def make_env(bars, table, **changes) -> TradingVecEnv:
    usual = {
        "start": START,
        "stop": STOP,
        "rules": RULES,
        "n_envs": N_ENVS,
        "episode_bars": EPISODE,
        "seed": 3,
    }
    return TradingVecEnv(bars, table, **usual | changes)


def random_actions(n_steps: int, n_envs: int = N_ENVS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, len(TARGETS), size=(n_steps, n_envs))


def trajectory(env: TradingVecEnv, actions) -> list[np.ndarray]:
    """Everything an agent gets to see, in order."""
    seen = [env.reset()]
    for row in actions:
        observations, rewards, dones, infos = env.step(row)
        seen += [observations, rewards, dones]
        seen += [info["terminal_observation"] for info in infos if info]
    return seen


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


class SlowAccount:
    """One account at one bar, stepped with the kernel's single-account functions."""

    def __init__(self, bars, table, first: int) -> None:
        self.bars, self.table, self.t, self.age = bars, table, first, 0
        self.account = np.empty(ACCOUNT_SIZE)
        kernel.open_account(self.account)

    def observe(self) -> np.ndarray:
        own = np.empty(len(ACCOUNT_NAMES), dtype=np.float32)
        kernel.observe_account(self.account, own)
        return np.concatenate([self.table[self.t], own])

    def step(self, action: int) -> np.float32:
        reward, _ = kernel.step_account(self.bars, self.t, self.account, TARGETS[action], RULES)
        self.t, self.age = self.t + 1, self.age + 1
        return np.float32(reward)


def test_stepping_equals_a_slow_loop_over_single_accounts_bit_for_bit(bars, table):
    env = make_env(bars, table)
    observations = env.reset()
    slow = [SlowAccount(bars, table, int(row[0])) for row in observations]
    episodes = 0
    for actions in random_actions(3 * EPISODE + 5):
        observations, rewards, dones, infos = env.step(actions)
        assert rewards.dtype == observations.dtype == np.float32
        for i, account in enumerate(slow):
            assert rewards[i] == account.step(int(actions[i]))
            assert dones[i] == (account.age == EPISODE)
            expected = account.observe()
            if dones[i]:
                np.testing.assert_array_equal(infos[i]["terminal_observation"], expected)
                slow[i] = SlowAccount(bars, table, int(observations[i, 0]))
                expected = slow[i].observe()
                episodes += 1
            else:
                assert infos[i] == {}
            np.testing.assert_array_equal(observations[i], expected)
    assert episodes == 3 * N_ENVS


def test_an_observation_is_the_row_of_the_table_and_the_account(bars, table):
    env = make_env(bars, table)
    observations = env.reset()
    assert observations.shape == (N_ENVS, WIDTH + len(ACCOUNT_NAMES))
    assert all(env.observation_space.contains(row) for row in observations)
    np.testing.assert_array_equal(observations[:, :WIDTH], table[observations[:, 0].astype(int)])
    np.testing.assert_array_equal(observations[:, WIDTH:], 0)


def test_the_end_of_an_episode_is_a_truncation_that_shows_the_last_observation(bars, table):
    env = make_env(bars, table)
    first = env.reset()[:, 0]
    for step, actions in enumerate(random_actions(EPISODE), start=1):
        _, _, dones, infos = env.step(actions)
        assert dones.tolist() == [step == EPISODE] * N_ENVS
    assert all(info["TimeLimit.truncated"] is True for info in infos)
    last = [info["terminal_observation"][0] for info in infos]
    np.testing.assert_array_equal(last, first + EPISODE)


def test_ruin_is_a_termination_and_opens_a_fresh_account(bars, table):
    jump = bars.copy()
    jump[STOP - 5 :, 1:5] *= 4
    jump[STOP - 5, 1] = jump[STOP - 6, 4]
    env = make_env(jump, table, episode_bars=STOP - START - 1)
    env.reset()
    short, flat, long = 0, 1, 2
    actions, steps = np.array([short, flat, long, short, flat]), STOP - 5 - START
    for _ in range(steps - 1):
        assert not env.step(actions)[2].any()
    observations, rewards, dones, infos = env.step(actions)
    assert dones.tolist() == [True, False, False, True, False]
    for i in (0, 3):
        assert infos[i]["TimeLimit.truncated"] is False
        assert infos[i]["terminal_observation"][0] == STOP - 5
        assert rewards[i] < -100
        np.testing.assert_array_equal(observations[i, WIDTH:], 0)
        assert observations[i, 0] == START
    assert infos[1] == infos[2] == infos[4] == {}


def test_ruin_in_the_last_bar_of_an_episode_is_no_truncation(bars, table):
    jump = bars.copy()
    jump[STOP - 1, 1:5] = jump[STOP - 2, 4]
    jump[STOP - 1, 2:5] *= 4
    env = make_env(jump, table, episode_bars=STOP - START - 1, n_envs=2)
    env.reset()
    for _ in range(STOP - START - 1):
        _, _, dones, infos = env.step(np.array([0, 2]))
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]


def test_observations_that_were_handed_out_are_never_written_again(bars, table):
    env = make_env(bars, table)
    given = [env.reset()]
    copies = [given[0].copy()]
    for actions in random_actions(2 * EPISODE):
        observations, rewards, dones, infos = env.step(actions)
        ends = [info["terminal_observation"] for info in infos if info]
        for array in (observations, rewards, dones, *ends):
            given.append(array)
            copies.append(array.copy())
    assert same(given, copies)


def test_the_same_seed_gives_the_same_trajectory_and_another_seed_another(bars, table):
    actions = random_actions(2 * EPISODE)
    one = trajectory(make_env(bars, table, seed=1), actions)
    assert same(one, trajectory(make_env(bars, table, seed=1), actions))
    assert not same(one, trajectory(make_env(bars, table, seed=2), actions))


def test_seeding_restarts_the_draw_of_starting_bars(bars, table):
    env, actions = make_env(bars, table, seed=1), random_actions(EPISODE)
    first = trajectory(env, actions)
    assert not same(first, trajectory(env, actions))
    assert env.seed(1) == [1] * N_ENVS
    assert same(first, trajectory(env, actions))


def test_no_bar_outside_the_stretch_is_used(bars, table):
    blank_bars, blank_table = bars.copy(), table.copy()
    for array in (blank_bars, blank_table):
        array[:START], array[STOP:] = np.nan, np.nan
    actions = random_actions(10 * EPISODE)
    blank = trajectory(make_env(blank_bars, blank_table), actions)
    assert same(trajectory(make_env(bars, table), actions), blank)


def test_episodes_start_at_every_bar_from_which_they_fit_and_at_no_other(bars, table):
    env = make_env(bars, table, stop=START + EPISODE + 4, n_envs=100)
    assert set(env.reset()[:, 0]) == {START, START + 1, START + 2, START + 3}


def test_an_episode_longer_than_the_stretch_is_cut_to_it(bars, table):
    env = make_env(bars, table, stop=START + 10, episode_bars=512)
    assert set(env.reset()[:, 0]) == {START}
    for step in range(1, 10):
        _, _, dones, infos = env.step(random_actions(1)[0])
        assert dones.all() == (step == 9)
    assert {info["terminal_observation"][0] for info in infos} == {START + 9}


def test_a_stretch_too_short_to_trade_in_is_refused(bars, table):
    with pytest.raises(ValueError, match=r"start=500, stop=502: .* at least 3 bars"):
        make_env(bars, table, stop=START + 2)


def test_there_is_no_single_environment_to_call(bars, table):
    env = make_env(bars, table)
    with pytest.raises(AttributeError, match="render_me"):
        env.env_method("render_me")
    assert env.env_is_wrapped(object) == [False] * N_ENVS
    assert env.get_attr("stop", indices=[0, 2]) == [STOP, STOP]


def test_ppo_learns_on_it_and_collects_what_the_environment_gave(bars, table):
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor

    torch.set_num_threads(1)
    env = VecMonitor(make_env(bars, table, n_envs=4))
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
