"""How many copies of the environment are stepped at once: reads `vectorization.toml`, and fits "auto" to the machine."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import tomlkit
from tomlkit.exceptions import TOMLKitError

from .adapters import random_action
from .cli import UsageError

FILE = Path("vectorization.toml")
MODES = ("sync", "async", "vector_entry_point")
LOWEST = {"num_env_runners": 0, "num_envs_per_env_runner": 1}
AUTO = "auto"
KEYS = (*LOWEST, "gym_env_vectorize_mode")
Settings = dict[str, int | str]  # the three keys of the file; each value may be "auto"


@dataclass(frozen=True)
class Vectorization:
    """Copies of the environment, processes, and the way the copies of one process are stepped."""

    num_env_runners: int
    num_envs_per_env_runner: int
    gym_env_vectorize_mode: str
    reason: str  # one line for the user: what was chosen, and why


def read_settings(path: Path = FILE, overrides: Mapping[str, str | None] | None = None) -> Settings:
    """Reads the file, with `overrides` (from the command line; None is no override) going before it.

    Raises:
        UsageError: a line that names file, key, value and what is allowed.
    """
    settings: Settings = dict.fromkeys(KEYS, AUTO)
    if path.exists():
        try:
            values = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not valid TOML: {error}") from None
        for key, value in values.items():
            settings[key] = _checked(str(path), key, value)
    for key, override in (overrides or {}).items():
        if override is not None:
            settings[key] = _checked(flag(key), key, int(override) if override.isdecimal() else override)
    return settings


def flag(key: str) -> str:
    """Returns the command-line option of a key of the file, e.g. --vectorize-mode."""
    return "--" + key.removeprefix("gym_env_").replace("_", "-")


def _checked(where: str, key: str, value: Any) -> int | str:
    """Returns the value, or raises the UsageError that says what is allowed."""
    if key in LOWEST:
        allowed = f'a whole number of at least {LOWEST[key]}, or "{AUTO}"'
        good = value == AUTO or (isinstance(value, int) and not isinstance(value, bool) and value >= LOWEST[key])
    elif key == "gym_env_vectorize_mode":
        allowed = ", ".join(f'"{mode}"' for mode in (*MODES, AUTO))
        good = value in (*MODES, AUTO)
    else:
        raise UsageError(f"{where}: unknown key {key!r}; known are {', '.join(KEYS)}")
    if not good:
        raise UsageError(f"{where}: {key} = {value!r} is not allowed; write {allowed}")
    return value


def available_cpus() -> int:
    """The CPUs that this process may use (an affinity mask or a container can allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fit(settings: Settings, env_creator: Callable[[], gym.Env[Any, Any]], num_cpus: int) -> Vectorization:
    """Replaces each "auto" by what fits this environment and `num_cpus` CPUs.

    Raises:
        UsageError: more env runners than CPUs; Ray would wait for them for ever.
    """
    runners = settings["num_env_runners"]
    if runners != AUTO and int(runners) > num_cpus:
        raise UsageError(
            f"num_env_runners = {runners}, but there are {num_cpus} CPUs and each env runner takes one; "
            f'write {num_cpus} or fewer, or "{AUTO}"'
        )
    step_seconds = measure_step(env_creator)
    slow = step_seconds > SLOW_STEP_SECONDS
    if runners == AUTO:
        runners = num_cpus if slow and num_cpus > 1 else 0
    copies = settings["num_envs_per_env_runner"]
    if copies == AUTO:
        copies = max(1, COPIES // max(1, int(runners)))
    mode = settings["gym_env_vectorize_mode"]
    if mode == AUTO:
        mode = "sync"
    where = f"{copies} copies in each of {runners} processes" if runners else f"{copies} copies in this process"
    reason = f"vectorization: {where}, {mode}; a step takes {1e3 * step_seconds:.2g} ms, there are {num_cpus} CPUs"
    return Vectorization(int(runners), int(copies), str(mode), reason)


COPIES = 32  # enough for batched inference to pay, few enough for fragments of 64 steps in a batch of 2,048
SLOW_STEP_SECONDS = 1e-3  # above this, the step outweighs sending its result from one process to another


def measure_step(env_creator: Callable[[], gym.Env[Any, Any]], seconds: float = 0.2) -> float:
    """Returns the mean time of a step of random actions in seconds, episode starts included."""
    env = env_creator()
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        observation, _, terminated, truncated, _ = env.step(random_action(env, observation))
        steps += 1
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    return elapsed / steps
