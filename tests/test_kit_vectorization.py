"""vectorization.toml: what is allowed, what is refused, and what "auto" makes of it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import TEMPLATE
from kit.cli import UsageError
from kit.vectorization import settings as vectorization
from kit.vectorization.choose import choose, fit
from kit.vectorization.measure import Profile, measure
from kit.vectorization.settings import FILE, Vectorization

AUTO: vectorization.Settings = dict.fromkeys(vectorization.KEYS, "auto")
OPERATION_SECONDS = 1.5e-6  # of a quiet machine


def test_file_of_the_project_is_valid() -> None:
    settings = vectorization.read_settings(TEMPLATE / "{{cookiecutter.project_slug}}")
    assert set(settings) == set(vectorization.KEYS)


def test_missing_file_means_auto(tmp_path: Path) -> None:
    assert set(vectorization.read_settings(tmp_path).values()) == {"auto"}


def test_command_line_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("num_env_runners = 1\nnum_envs_per_env_runner = 4\n")
    settings = vectorization.read_settings(tmp_path, {"num_env_runners": 2, "num_envs_per_env_runner": None})
    assert settings == {"num_env_runners": 2, "num_envs_per_env_runner": 4, "gym_env_vectorize_mode": "auto"}


def test_file_is_found_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("some_env")
    module.__file__ = str(tmp_path / "project" / "src" / "some_env" / "__init__.py")
    monkeypatch.setitem(sys.modules, "some_env", module)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert vectorization.find_root("some_env") == Path()  # no file yet
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / FILE).write_text("num_env_runners = 1\n")
    root = vectorization.find_root("some_env")
    assert root.resolve() == (tmp_path / "project").resolve()
    assert vectorization.read_settings(root)["num_env_runners"] == 1
    monkeypatch.chdir(tmp_path / "project")
    assert vectorization.find_root("some_env") == Path()  # messages name the file alone


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
    file = tmp_path / FILE
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        vectorization.read_settings(tmp_path)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_writing_keeps_the_comments(tmp_path: Path) -> None:
    file = tmp_path / "vectorization.toml"
    file.write_text('# first\n\nnum_env_runners = "auto"   # processes\nnum_envs_per_env_runner = 4\n')
    vectorization.write_settings(vars(Vectorization(2, 16, "sync")), tmp_path)
    assert vectorization.read_settings(tmp_path) == dict(zip(vectorization.KEYS, (2, 16, "sync"), strict=True))
    assert file.read_text().startswith("# first\n\nnum_env_runners = 2   # processes\nnum_envs_per_env_runner = 16\n")
    assert list(tmp_path.iterdir()) == [file]


def chosen(
    computes: float = 0.0,
    waits: float = 0.0,
    num_cpus: int = 2,
    is_vector: bool = False,
    given: Any = (),
    size: int = 16,
) -> Vectorization:
    """Returns what "auto" chooses for an environment whose step computes and waits for so many ms."""
    profile = Profile(computes / 1e3, waits / 1e3, size, OPERATION_SECONDS)
    return choose(AUTO | dict(given), profile, num_cpus, is_vector)


def test_auto_keeps_a_cheap_environment_in_this_process() -> None:
    assert chosen(0.01) == Vectorization(0, 32, "sync")
    assert chosen(0.01, num_cpus=64) == Vectorization(0, 32, "sync")
    assert chosen(100.0, num_cpus=1) == Vectorization(0, 32, "sync")


def test_auto_keeps_large_observations_in_this_process_unless_a_step_takes_longer_than_to_send_them() -> None:
    assert chosen(0.2).num_env_runners == 2
    assert chosen(0.2, size=84 * 84 * 3).num_env_runners == 0
    assert chosen(1.0, size=84 * 84 * 3).num_env_runners == 2


@pytest.mark.parametrize("step_ms", [0.2, 1.0, 5.0, 20.0, 1000.0])
@pytest.mark.parametrize(("num_cpus", "copies"), [(2, 16), (6, 5), (16, 2), (48, 1)])
def test_auto_spreads_a_slow_environment_over_all_cpus(step_ms: float, num_cpus: int, copies: int) -> None:
    assert chosen(step_ms, num_cpus=num_cpus) == Vectorization(num_cpus, copies, "sync")


@pytest.mark.parametrize("num_cpus", [1, 2, 16])
def test_auto_lets_more_copies_wait_together_than_there_are_cpus(num_cpus: int) -> None:
    assert chosen(0.2, waits=20.0, num_cpus=num_cpus) == Vectorization(0, 64, "async")
    assert chosen(0.2, waits=1.0, num_cpus=num_cpus) == Vectorization(0, 32, "async")
    assert chosen(10.0, waits=10.0, num_cpus=num_cpus) == Vectorization(0, 64, "async")
    assert chosen(20.0, waits=1.0, num_cpus=num_cpus).gym_env_vectorize_mode == "sync"


@pytest.mark.parametrize(("num_cpus", "copies", "mode"), [(4, 16, "async"), (32, 2, "async"), (64, 1, "sync")])
def test_auto_lets_copies_that_wait_use_all_cpus_of_a_cluster(num_cpus: int, copies: int, mode: str) -> None:
    def on_cluster(waits: float, is_cluster: bool = True) -> Vectorization:
        return choose(AUTO, Profile(1e-4, waits / 1e3, 16, OPERATION_SECONDS), num_cpus, False, is_cluster)

    assert on_cluster(20.0) == Vectorization(num_cpus, copies, mode)
    assert on_cluster(2.0) == Vectorization(num_cpus, max(1, 32 // num_cpus), "async" if num_cpus < 32 else "sync")
    assert on_cluster(20.0, is_cluster=False) == Vectorization(0, 64, "async")


def test_auto_leaves_the_copies_to_an_environment_that_steps_them_all() -> None:
    assert chosen(0.005, is_vector=True) == Vectorization(0, 32, "vector_entry_point")
    assert chosen(5.0, is_vector=True) == Vectorization(2, 16, "vector_entry_point")
    assert chosen(0.1, waits=20.0, is_vector=True).gym_env_vectorize_mode == "vector_entry_point"


def test_auto_chooses_around_what_is_given() -> None:
    assert chosen(20.0, given={"num_env_runners": 0}) == Vectorization(0, 32, "async")
    assert chosen(20.0, given={"num_envs_per_env_runner": 3}) == Vectorization(2, 3, "sync")
    assert chosen(20.0, given={"gym_env_vectorize_mode": "async"}) == Vectorization(0, 32, "async")
    assert chosen(waits=20.0, given={"gym_env_vectorize_mode": "sync"}) == Vectorization(2, 16, "sync")
    assert chosen(waits=20.0, num_cpus=4, given={"num_env_runners": 4}) == Vectorization(4, 16, "async")
    assert chosen(0.01, given={"num_env_runners": 2}) == Vectorization(2, 16, "sync")


def test_no_copies_are_cut_too_short() -> None:
    for num_cpus in (1, 2, 3, 48, 300):
        for computes, waits in ((0.01, 0.0), (5.0, 0.0), (0.0, 50.0)):
            one = chosen(computes, waits, num_cpus)
            assert one.copies <= 64
            assert one.num_env_runners <= num_cpus


# CPU time of a step in ms and of a small operation in us, as `measure` found them one after the other while 2 to 10
# other processes were busy on 2 cores.
RECORDED = {
    "CartPole-v1": ([0.0186, 0.0258, 0.0311], [1.85, 2.33, 2.43], 0),
    "MountainCar-v0": ([0.0233, 0.0261, 0.0341], [1.78, 2.05, 2.24], 0),
    "FrozenLake-v1": ([0.0254, 0.0192, 0.0262], [2.19, 1.83, 2.01], 0),
    "MountainCarContinuous-v0": ([0.0389, 0.0517, 0.0552], [1.49, 2.02, 2.23], 0),
    "Pendulum-v1": ([0.0542, 0.0653, 0.0709], [1.44, 1.87, 1.30], 0),
    "Acrobot-v1": ([0.0660, 0.0555, 0.0509], [2.13, 1.57, 1.62], 0),
    "LunarLander-v3": ([0.0536, 0.0549, 0.0821], [1.57, 1.71, 2.25], 0),
    "BipedalWalker-v3": ([0.3180, 0.3281, 0.3976], [1.75, 2.04, 1.90], 2),
    "computes 1 ms": ([1.0], [1.5], 2),
    "computes 5 ms": ([5.0], [1.5], 2),
    "computes 20 ms": ([20.0], [1.5], 2),
}


@pytest.mark.parametrize("name", RECORDED)
def test_auto_chooses_the_same_on_a_busy_and_on_a_quiet_machine(name: str) -> None:
    """A slower machine, or one whose cores are shared, is slower at everything; what is left differs by 15 %."""
    step_ms, operation_us, processes = RECORDED[name]
    for cpu, operation in zip(step_ms, operation_us, strict=True):
        for slower in (0.5, 0.7, 1.0, 1.4, 2.0):
            for noise in (0.87, 1.0, 1.15):
                profile = Profile(slower * noise * cpu / 1e3, 0.0, 16, slower * operation / 1e6)
                assert choose(AUTO, profile, num_cpus=2, is_vector=False).num_env_runners == processes


def no_environment(config: Mapping[str, Any]) -> Any:
    """Stands where nothing needs measuring."""
    raise AssertionError(config)


def test_given_values_are_kept_without_a_measurement() -> None:
    settings: vectorization.Settings = dict(zip(vectorization.KEYS, (2, 3, "async"), strict=True))
    fitted = fit(settings, no_environment, num_cpus=2, is_vector=False)
    assert fitted == Vectorization(2, 3, "async")
    assert "as given" in fitted.reason


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
        fit(AUTO | given, no_environment, num_cpus=2, is_vector=is_vector)
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


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keeps so many CPUs busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.parametrize("others", [0, 4])
def test_measuring_tells_waiting_from_computing(others: int) -> None:
    """Also on a busy machine, where a step that computes has to wait for its turn."""
    with busy(others):
        waits = measure(lambda _: Stopwatch(waits=0.02), is_vector=False)
        assert waits.wait_seconds > 0.015 > 4 * waits.cpu_seconds
        computes = measure(lambda _: Stopwatch(computes=0.02), is_vector=False)
        assert computes.cpu_seconds > 0.015
        if sys.platform == "linux":
            assert computes.cpu_seconds > 4 * computes.wait_seconds
        both = measure(lambda _: Stopwatch(waits=0.01, computes=0.01), is_vector=False)
        assert both.wait_seconds > 0.007 < both.cpu_seconds
    assert computes.observation_bytes == 12


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells waiting for a CPU from waiting for anything else")
def test_auto_chooses_the_same_beside_busy_processes(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()

    def choices() -> list[Vectorization]:
        makers = [
            lambda _: gym.make("CartPole-v1", disable_env_checker=True),
            lambda _: Stopwatch(computes=1e-3),
            lambda _: Stopwatch(waits=0.02),
        ]
        return [fit(AUTO, make, num_cpus=2, is_vector=False, root=tmp_path) for make in makers]

    expected = [Vectorization(0, 32, "sync"), Vectorization(2, 16, "sync"), Vectorization(0, 64, "async")]
    assert choices() == expected
    with busy(4):
        assert choices() == expected


def test_reason_says_where_no_file_is(tmp_path: Path) -> None:
    def make(_: Any) -> Any:
        return Stopwatch(computes=1e-3)

    reason = fit(AUTO, make, num_cpus=2, is_vector=False, root=tmp_path).reason
    assert reason.endswith(" (no vectorization.toml: auto)")
    (tmp_path / FILE).touch()
    assert "no vectorization.toml" not in fit(AUTO, make, num_cpus=2, is_vector=False, root=tmp_path).reason


def test_measuring_a_vector_environment_counts_a_step_of_one_copy() -> None:
    def make(config: Any) -> Any:
        return gym.vector.SyncVectorEnv([lambda: Stopwatch(computes=1e-3)] * config["num_envs"])

    profile = measure(make, is_vector=True)
    assert 1e-3 <= profile.cpu_seconds < 32e-3  # what a step of all takes
    assert profile.observation_bytes == 12


def test_first_step_may_take_long_to_load_and_to_compile() -> None:
    class SlowStart(Stopwatch):
        def step(self, action: int) -> Any:
            if self.computes:
                self.computes, computes = 0.0, self.computes
                end = time.process_time() + computes
                while time.process_time() < end:
                    pass
            return super().step(action)

    assert measure(lambda _: SlowStart(computes=0.1), is_vector=False).cpu_seconds < 1e-3
