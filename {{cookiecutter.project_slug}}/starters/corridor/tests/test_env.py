"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

import numpy as np
import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import EnvConfig

LEFT, RIGHT = 0, 1


def started_at(position: int, length: int = 10) -> {{cookiecutter.__class_name}}:
    """Returns an environment whose agent stands `position` cells from the wall."""
    env = {{cookiecutter.__class_name}}({"length": length}, render_mode="ansi")
    env.reset(seed=0)
    env._position = position
    return env


def test_config_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'length'"):
        {{cookiecutter.__class_name}}({"lenght": 5})


def test_config_too_short_corridor_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 cells, got 1"):
        EnvConfig(length=1)


def test_reset_starts_in_the_left_half() -> None:
    env = {{cookiecutter.__class_name}}({"length": 10})
    starts = {round(float(env.reset(seed=seed)[0][0]) * 10) for seed in range(100)}
    assert starts == {0, 1, 2, 3, 4}


def test_step_moves_one_cell_and_costs_a_tenth() -> None:
    observation, reward, terminated, truncated, _ = started_at(3).step(RIGHT)
    np.testing.assert_allclose(observation, [0.4])
    assert reward == pytest.approx(-0.1)
    assert not terminated and not truncated


def test_step_left_of_the_wall_stays() -> None:
    observation, *_ = started_at(0).step(LEFT)
    np.testing.assert_allclose(observation, [0.0])


def test_step_to_the_goal_pays_and_terminates() -> None:
    observation, reward, terminated, truncated, _ = started_at(9).step(RIGHT)
    np.testing.assert_allclose(observation, [1.0])
    assert 0.4 <= reward <= 1.4
    assert terminated and not truncated


def test_render_shows_agent_and_goal() -> None:
    assert started_at(1, length=3).render() == ".A.G"
