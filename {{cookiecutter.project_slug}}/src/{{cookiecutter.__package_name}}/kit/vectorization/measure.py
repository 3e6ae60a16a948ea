"""What a step of the environment costs: what it computes, what it waits, and what it returns."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tree
from gymnasium.vector import VectorEnv

from ..spaces import random_actions, random_choice

SECONDS = 0.3  # in which the environment is stepped; a step that takes longer is finished
WINDOW_SECONDS = 0.03
OPERATIONS = 2_000  # small ones, after each window
COPIES = 32  # of an environment that steps them all


@dataclass(frozen=True)
class Profile:
    """What a step of one copy costs, episode starts included.

    Attributes:
        cpu_seconds: CPU time, of all threads, and of the processes that the environment has started.
        wait_seconds: without a CPU and without need of one: for another machine, a device, a timer.
        observation_bytes: as the policy sees it.
        operation_seconds: CPU time of a small operation of Python and NumPy. On a busy machine, whose cores and caches
            are shared, it grows as `cpu_seconds` does, up to twice; so their ratio says what a step costs.
    """

    cpu_seconds: float
    wait_seconds: float
    observation_bytes: int
    operation_seconds: float

    @property
    def seconds(self) -> float:
        """The time of a step that has a CPU to itself."""
        return self.cpu_seconds + self.wait_seconds


def measure(make: Callable[[Mapping[str, Any]], Any], is_vector: bool) -> Profile:
    """Steps the environment for a fraction of a second with random actions.

    Args:
        make: makes what an env runner steps, with `num_envs` in its config where `is_vector`.
        is_vector: whether the environment steps all copies itself.

    Raises:
        EnvironmentFailure: the environment fails.
    """
    others = set(_threads_of_children("self"))
    env = make({"num_envs": COPIES} if is_vector else {})
    windows: list[list[float]] = []
    play = _play(env)
    next(play)
    while len(windows) < 2 or sum(window[1] for window in windows) < SECONDS:
        before, steps, end = _clocks(others), 0, time.perf_counter() + WINDOW_SECONDS
        while not steps or time.perf_counter() < end:
            steps += next(play)
        spent = _clocks(others) - before
        operation = time.process_time()
        for _ in range(OPERATIONS):
            float(np.zeros(4).copy().sum())
        windows.append([steps, *spent, time.process_time() - operation])
    env.close()
    steps, wall, cpu, queued, operations = np.sum(windows[1:], axis=0).tolist()  # the first loads code
    space = env.single_observation_space if is_vector else env.observation_space
    size = sum(np.asarray(part).nbytes for part in tree.flatten(space.sample()))
    count = OPERATIONS * len(windows[1:])
    return Profile(cpu / steps, max(0.0, wall - cpu - queued) / steps, size, operations / count)


def _play(env: Any) -> Iterator[int]:
    """Resets, then steps for ever; yields how many copies have been stepped."""
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    yield 0
    while True:
        if isinstance(env, VectorEnv):  # resets its copies itself
            observation = env.step(random_actions(env, observation))[0]
            yield env.num_envs
            continue
        observation, _, terminated, truncated, _ = env.step(random_choice(env.action_space, observation))
        if terminated or truncated:
            observation, _ = env.reset()
        yield 1


def _clocks(others: set[Path]) -> np.ndarray:
    """Returns three clocks in seconds: of the wall, of the CPU, and of waiting for a CPU that others have.

    The last two count the processes that the environment has started, too: a simulator computes on the same CPUs. Linux
    alone knows the last one, and processes before they end; elsewhere, what these take counts as waiting.

    Args:
        others: the threads of processes that were there before the environment.
    """
    ended = os.times()
    cpu, queued = time.process_time() + ended.children_user + ended.children_system, 0.0
    for thread in {Path("/proc/thread-self"), *_threads_of_children("self")} - others:
        with suppress(OSError):  # it has ended, or this is no Linux
            computed, waited, _ = map(int, (thread / "schedstat").read_text().split())
            cpu += computed / 1e9 * (thread.name != "thread-self")
            queued += waited / 1e9
    return np.array([time.perf_counter(), cpu, queued])


def _threads_of_children(process: str) -> Iterator[Path]:
    """Yields where Linux tells of each thread of the processes that a process has started, and they in turn."""
    for path in Path("/proc", process, "task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                yield from Path("/proc", child, "task").iterdir()
                yield from _threads_of_children(child)
