"""vectorization.toml: what is allowed, what is refused, and what "auto" makes of it."""

import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from {{cookiecutter.__package_name}} import vectorization
from {{cookiecutter.__package_name}}.cli import UsageError


class Stopwatch(gym.Env[np.ndarray, int]):
    """An environment whose step takes a given time."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space: gym.spaces.Discrete = gym.spaces.Discrete(2)

    def __init__(self, step_seconds: float) -> None:
        self.step_seconds = step_seconds

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(self.step_seconds)
        return np.zeros(1, np.float32), 0.0, False, False, {}


def test_file_of_the_project_is_valid() -> None:
    assert set(vectorization.read_settings(Path(__file__).parents[1] / "vectorization.toml")) == set(vectorization.KEYS)


def test_missing_file_means_auto(tmp_path: Path) -> None:
    assert set(vectorization.read_settings(tmp_path / "none.toml").values()) == {"auto"}


def test_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "vectorization.toml"
    file.write_text("num_env_runners = 1\nnum_envs_per_env_runner = 4\n")
    overrides = {"num_env_runners": "2", "num_envs_per_env_runner": None}
    settings = vectorization.read_settings(file, overrides)
    assert settings == {"num_env_runners": 2, "num_envs_per_env_runner": 4, "gym_env_vectorize_mode": "auto"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_env_runners = -1", "num_env_runners = -1 is not allowed; write a whole number of at least 0"),
        ("num_env_runners = true", "num_env_runners = True is not allowed"),
        ("num_env_runners = 1.5", "num_env_runners = 1.5 is not allowed"),
        ("num_envs_per_env_runner = 0", "write a whole number of at least 1"),
        ('gym_env_vectorize_mode = "SYNC"', 'write "sync", "async"'),
        ("num_workers = 2", "unknown key 'num_workers'; known are num_env_runners"),
        ("num_env_runners = ", "is not valid TOML"),
    ],
)
def test_wrong_value_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "vectorization.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        vectorization.read_settings(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_env_runners_than_cpus_are_refused() -> None:
    settings: vectorization.Settings = {**dict.fromkeys(vectorization.KEYS, "auto"), "num_env_runners": 3}
    with pytest.raises(UsageError, match="num_env_runners = 3, but there are 2 CPUs"):
        vectorization.fit(settings, lambda: Stopwatch(0.0), num_cpus=2)


def test_auto_keeps_a_cheap_environment_in_one_process_and_spreads_a_slow_one() -> None:
    settings: vectorization.Settings = dict.fromkeys(vectorization.KEYS, "auto")
    assert vectorization.fit(settings, lambda: Stopwatch(0.0), num_cpus=4).num_env_runners == 0
    assert vectorization.fit(settings, lambda: Stopwatch(0.02), num_cpus=4).num_env_runners == 4


def test_given_values_are_kept() -> None:
    settings: vectorization.Settings = dict(zip(vectorization.KEYS, (2, 3, "async"), strict=True))
    fitted = vectorization.fit(settings, lambda: Stopwatch(0.0), num_cpus=2)
    assert (fitted.num_env_runners, fitted.num_envs_per_env_runner, fitted.gym_env_vectorize_mode) == (2, 3, "async")
