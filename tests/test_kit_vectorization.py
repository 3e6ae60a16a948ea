"""vectorization.toml: what is allowed, what is refused, and what "auto" makes of it."""

import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import TEMPLATE
from kit.cli import UsageError
from kit.vectorization import choose as fit
from kit.vectorization import measure
from kit.vectorization import settings as vectorization
from kit.vectorization.settings import Vectorization

AUTO: vectorization.Settings = dict.fromkeys(vectorization.KEYS, "auto")


def test_file_of_the_project_is_valid() -> None:
    assert set(vectorization.read_settings(TEMPLATE / "{{cookiecutter.project_slug}}" / "vectorization.toml")) == set(
        vectorization.KEYS
    )


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


def test_writing_keeps_the_comments(tmp_path: Path) -> None:
    file = tmp_path / "vectorization.toml"
    file.write_text('# first\n\nnum_env_runners = "auto"   # processes\nnum_envs_per_env_runner = 4\n')
    vectorization.write_settings(Vectorization(2, 16, "sync"), file)
    assert vectorization.read_settings(file) == dict(zip(vectorization.KEYS, (2, 16, "sync"), strict=True))
    assert file.read_text().startswith("# first\n\nnum_env_runners = 2   # processes\nnum_envs_per_env_runner = 16\n")
    assert list(tmp_path.iterdir()) == [file]


def fitted(step_ms: float, num_cpus: int, is_vector: bool = False, given: Any = (), **profile: float) -> Vectorization:
    """Returns what "auto" chooses for an environment whose step takes so long."""
    possible = fit.candidates(AUTO | dict(given), num_cpus, is_vector)
    return fit.choose(possible, measure.Profile(step_ms / 1e3, **profile), num_cpus)  # type: ignore[arg-type]


def test_auto_keeps_a_cheap_environment_in_this_process() -> None:
    assert fitted(0.01, num_cpus=2) == Vectorization(0, 32, "sync")
    assert fitted(100.0, num_cpus=1) == Vectorization(0, 32, "sync")


@pytest.mark.parametrize("step_ms", [1.0, 5.0, 20.0, 1000.0])
@pytest.mark.parametrize("num_cpus", [2, 6, 16])
def test_auto_spreads_a_slow_environment_over_all_cpus(step_ms: float, num_cpus: int) -> None:
    chosen = fitted(step_ms, num_cpus)
    assert chosen.num_env_runners == num_cpus
    assert chosen.gym_env_vectorize_mode == "sync"
    assert chosen.copies <= 64


@pytest.mark.parametrize("num_cpus", [1, 2, 16])
def test_auto_lets_more_copies_wait_together_than_there_are_cpus(num_cpus: int) -> None:
    chosen = fitted(20.0, num_cpus, computing=0.01)
    assert (chosen.copies, chosen.gym_env_vectorize_mode) == (64, "async")
    assert chosen.num_env_runners < num_cpus


def test_auto_leaves_the_copies_to_an_environment_that_steps_them_all() -> None:
    chosen = fitted(0.001, num_cpus=2, is_vector=True, call_seconds=1e-4)
    assert (chosen.num_env_runners, chosen.gym_env_vectorize_mode) == (0, "vector_entry_point")


def test_auto_chooses_around_what_is_given() -> None:
    chosen = fitted(20.0, num_cpus=2, given={"num_env_runners": 0})
    assert (chosen.num_env_runners, chosen.gym_env_vectorize_mode) == (0, "async")
    chosen = fitted(20.0, num_cpus=2, given={"num_envs_per_env_runner": 3})
    assert (chosen.num_env_runners, chosen.num_envs_per_env_runner) == (2, 3)
    assert fitted(20.0, num_cpus=2, given={"gym_env_vectorize_mode": "async"}).gym_env_vectorize_mode == "async"


def test_no_copies_are_cut_too_short() -> None:
    for num_cpus in (1, 2, 3, 48, 300):
        for one in fit.candidates(AUTO, num_cpus, is_vector=False):
            assert one.copies <= 64
            assert one.num_env_runners <= num_cpus


def no_environment(config: dict[str, Any]) -> Any:
    """Stands where nothing needs measuring."""
    raise AssertionError(config)


def test_given_values_are_kept_without_a_measurement() -> None:
    settings: vectorization.Settings = dict(zip(vectorization.KEYS, (2, 3, "async"), strict=True))
    chosen = fit.fit(settings, no_environment, num_cpus=2, is_vector=False)
    assert (chosen.num_env_runners, chosen.num_envs_per_env_runner, chosen.gym_env_vectorize_mode) == (2, 3, "async")
    assert "as given" in chosen.reason


@pytest.mark.parametrize(
    ("given", "is_vector", "message"),
    [
        ({"num_env_runners": 3}, False, "num_env_runners = 3, but there are 2 CPUs"),
        ({"gym_env_vectorize_mode": "vector_entry_point"}, False, 'its class is no VectorEnv; write "sync", "async"'),
        ({"gym_env_vectorize_mode": "sync"}, True, 'itself; write "vector_entry_point" or "auto"'),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(given: dict[str, Any], is_vector: bool, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit.fit(AUTO | given, no_environment, num_cpus=2, is_vector=is_vector)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class Stopwatch(gym.Env[np.ndarray, int]):
    """An environment whose step waits, or computes, for a given time."""

    observation_space = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
    action_space: gym.spaces.Discrete = gym.spaces.Discrete(2)

    def __init__(self, waits: float = 0.0, computes: float = 0.0) -> None:
        self.waits, self.computes = waits, computes

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(self.waits)
        end = time.process_time() + self.computes
        while time.process_time() < end:
            pass
        return np.zeros(3, np.float32), 0.0, False, False, {}


def test_measuring_tells_waiting_from_computing() -> None:
    waits = measure.measure(lambda _: Stopwatch(waits=0.02), is_vector=False)
    assert waits.step_seconds >= 0.02
    assert waits.computing < 0.5
    computes = measure.measure(lambda _: Stopwatch(computes=0.02), is_vector=False)
    assert 0.02 <= computes.step_seconds < 0.2
    assert computes.observation_bytes == 12


def test_measuring_a_vector_environment_tells_copies_from_calls() -> None:
    def make(config: dict[str, Any]) -> Any:
        return gym.vector.SyncVectorEnv([lambda: Stopwatch(computes=1e-3)] * config["num_envs"])

    profile = measure.measure(make, is_vector=True)
    assert profile.step_seconds > profile.call_seconds / 10
    assert profile.observation_bytes == 12
