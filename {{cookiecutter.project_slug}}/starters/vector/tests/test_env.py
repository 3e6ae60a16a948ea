"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

import numpy as np
import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import MAX_EPISODE_STEPS, EnvConfig

LEFT, RIGHT = 0, 1


def started_at(*positions: int) -> {{cookiecutter.__class_name}}:
    """Returns an environment whose agents stand so many cells from the wall."""
    env = {{cookiecutter.__class_name}}({"num_envs": len(positions)}, render_mode="rgb_array")
    env.reset(seed=0)
    env._positions[:] = positions
    return env


def test_config_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'length'"):
        {{cookiecutter.__class_name}}({"lenght": 5})


def test_config_too_short_corridor_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 cells, got 1"):
        EnvConfig(length=1)


def test_reset_starts_in_the_left_half() -> None:
    observations, _ = {{cookiecutter.__class_name}}({"num_envs": 100}).reset(seed=0)
    assert set(np.round(10 * observations[:, 0]).tolist()) == {0, 1, 2, 3, 4}


def test_step_moves_each_agent_and_costs_a_tenth() -> None:
    observations, rewards, terminated, truncated, _ = started_at(3, 5).step(np.array([RIGHT, LEFT]))
    np.testing.assert_allclose(observations, [[0.4], [0.4]])
    np.testing.assert_allclose(rewards, [-0.1, -0.1])
    assert not terminated.any() and not truncated.any()


def test_step_left_of_the_wall_stays() -> None:
    observations, *_ = started_at(0).step(np.array([LEFT]))
    np.testing.assert_allclose(observations, [[0.0]])


def test_step_to_the_goal_pays_and_the_next_step_starts_anew() -> None:
    env = started_at(9, 1)
    observations, rewards, terminated, _, _ = env.step(np.array([RIGHT, RIGHT]))
    np.testing.assert_allclose(observations, [[1.0], [0.2]])
    np.testing.assert_allclose(rewards, [0.9, -0.1])
    assert terminated.tolist() == [True, False]
    observations, rewards, terminated, _, _ = env.step(np.array([RIGHT, RIGHT]))
    assert observations[0, 0] < 0.5
    np.testing.assert_allclose(observations[1], [0.3])
    np.testing.assert_allclose(rewards, [0.0, -0.1])
    assert not terminated.any()


def test_episode_is_cut_off_at_the_time_limit() -> None:
    env = started_at(0)
    ends = [bool(env.step(np.array([LEFT]))[3][0]) for _ in range(MAX_EPISODE_STEPS)]
    assert ends == [False] * (MAX_EPISODE_STEPS - 1) + [True]


def test_render_draws_each_corridor() -> None:
    frames = started_at(1, 2).render()
    assert [frame.shape for frame in frames] == [(32, 352, 3)] * 2
