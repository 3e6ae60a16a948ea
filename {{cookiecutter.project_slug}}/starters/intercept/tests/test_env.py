"""Yours: episodes that you worked out by hand, so that the rules are what you meant."""

import numpy as np
import pygame
import pytest

from {{cookiecutter.__package_name}} import {{cookiecutter.__class_name}}
from {{cookiecutter.__package_name}}.env import PIXELS, RADIUS, EnvConfig

STAY, RIGHT, LEFT_UP = (np.array(action, np.float32) for action in ([0, 0], [1, 0], [-1, -1]))


def started_at(worker: list[float], target: list[float], **config: bool) -> {{cookiecutter.__class_name}}:
    """Returns an environment with worker and target at these places, from the left and from the top."""
    env = {{cookiecutter.__class_name}}(config)
    env.reset(seed=0)
    env._worker, env._target = np.array(worker), np.array(target)
    return env


def test_config_misspelt_key_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'pixels'"):
        {{cookiecutter.__class_name}}({"pixel": True})


def test_config_text_for_a_truth_value_is_refused() -> None:
    with pytest.raises(ValueError, match="True or False, got 'no'"):
        EnvConfig(pixels="no")  # type: ignore[arg-type]


def test_reset_puts_them_far_apart_and_the_target_stands() -> None:
    env = {{cookiecutter.__class_name}}()
    starts = np.array([env.reset(seed=seed)[0] for seed in range(100)])
    assert np.linalg.norm(starts[:, :2] - starts[:, 2:4], axis=1).min() >= 0.5
    assert not starts[:, 4:].any()


def test_step_moves_the_worker() -> None:
    observation, *_ = started_at([0.5, 0.5], [0.9, 0.9]).step(RIGHT)
    np.testing.assert_allclose(observation[:2], [0.53, 0.5])


def test_step_against_the_wall_stays() -> None:
    observation, *_ = started_at([RADIUS, 0.5], [0.9, 0.9]).step(LEFT_UP)
    np.testing.assert_allclose(observation[:2], [RADIUS, 0.47])


def test_target_flees() -> None:
    env = started_at([0.2, 0.5], [0.5, 0.5])
    places = [float(env.step(STAY)[0][2]) for _ in range(5)]
    assert places == sorted(places) and places[-1] > 0.53


def test_target_keeps_four_fifths_of_its_velocity() -> None:
    env = started_at([0.2, 0.5], [0.5, 0.5])
    env._velocity = np.array([0.0, 0.02])
    observation, *_ = env.step(STAY)
    np.testing.assert_allclose(np.linalg.norm(observation[4:] - [0.0, 0.016]), 0.2 * 0.025, rtol=1e-5)


def test_coming_nearer_pays_and_the_step_costs() -> None:
    observation, reward, terminated, truncated, _ = started_at([0.2, 0.5], [0.6, 0.5]).step(RIGHT)
    assert reward == pytest.approx(0.4 - np.linalg.norm(observation[2:4] - observation[:2]) - 0.005, rel=1e-4)
    assert 0.02 - 1e-9 <= reward <= 0.03  # the worker comes 0.03 nearer, the target flees by at most 0.005
    assert not terminated and not truncated


def test_touching_pays_and_terminates() -> None:
    _, reward, terminated, truncated, _ = started_at([0.4, 0.5], [0.4 + 2 * RADIUS + 0.02, 0.5]).step(RIGHT)
    assert 1.0 < reward < 1.05
    assert terminated and not truncated


def test_pixels_show_the_picture_before_and_after() -> None:
    env = {{cookiecutter.__class_name}}({"pixels": True})
    first, _ = env.reset(seed=0)
    np.testing.assert_array_equal(first[..., :3], first[..., 3:])
    second, *_ = env.step(RIGHT)
    np.testing.assert_array_equal(second[..., :3], first[..., 3:])
    assert (second[..., :3] != second[..., 3:]).any()


def test_pixels_show_a_red_target_and_a_blue_worker() -> None:
    observation, *_ = started_at([0.25, 0.5], [0.75, 0.25], pixels=True).step(STAY)
    red, _, blue = observation[..., 3:].transpose(2, 0, 1)
    assert red[PIXELS // 4, 3 * PIXELS // 4] == 255 > red[PIXELS // 2, PIXELS // 4]
    assert blue[PIXELS // 2, PIXELS // 4] == 255 > blue[PIXELS // 4, 3 * PIXELS // 4]


def test_mouse_leads_to_the_pointer_and_no_further() -> None:
    env = started_at([0.5, 0.5], [0.9, 0.9])
    np.testing.assert_allclose(env.mouse_action(0.0, 0.515), [-1.0, 0.5], rtol=1e-6)


def test_window_opens_with_the_first_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = {{cookiecutter.__class_name}}(render_mode="human")
    assert not pygame.display.get_init()
    env.reset(seed=0)
    env.step(RIGHT)
    assert pygame.display.get_surface().get_size() == (480, 480)
    env.close()
    assert not pygame.display.get_init()
