"""What a step of the environment costs: how long it takes, how much of that it waits, how much it returns."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from ..spaces import random_action, random_actions

SECONDS = 0.2  # of an environment that steps one copy; a step that takes longer is finished
FEW, MANY = 8, 64  # copies that an environment which steps them all is measured with


@dataclass(frozen=True)
class Profile:
    """What a step of the environment costs.

    Attributes:
        step_seconds: of a copy, episode starts included.
        computing: the share of that time in which the process computes (above 1 with several threads). The rest it
            waits, for a simulator in another process, a device or a network.
        observation_bytes: of one copy, as the policy sees it.
        call_seconds: of an environment that steps all copies itself: what it takes however many they are.
    """

    step_seconds: float
    computing: float = 1.0
    observation_bytes: int = 0
    call_seconds: float = 0.0


def measure(training_env: Callable[[dict[str, Any]], Any], is_vector: bool) -> Profile:
    """Steps the environment for a fraction of a second with random actions.

    Raises:
        EnvironmentFailure: the environment fails.
    """
    if not is_vector:
        return _profile(training_env({}))
    few, many = (_profile(training_env({"num_envs": copies})) for copies in (FEW, MANY))
    each = max(0.0, (many.step_seconds - few.step_seconds) / (MANY - FEW))
    return replace(many, step_seconds=each, call_seconds=max(0.0, many.step_seconds - each * MANY))


def _profile(env: Any) -> Profile:
    """Returns what a step costs; of all copies of a VectorEnv together."""
    is_vector = isinstance(env, VectorEnv)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    steps, switches = 0, _switches()
    start, computing = time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - start) < SECONDS:
        if is_vector:  # resets its copies itself
            observation = env.step(random_actions(env, observation))[0]
        else:
            observation, _, terminated, truncated, _ = env.step(random_action(env, observation))
            if terminated or truncated:
                observation, _ = env.reset()
        steps += 1
    computing = time.process_time() - computing
    given_up, taken = (after - before for after, before in zip(_switches(), switches, strict=True))
    if computing < seconds and given_up <= taken:  # it didn't wait: other processes had the CPU
        seconds = computing
    env.close()
    space = env.single_observation_space if is_vector else env.observation_space
    return Profile(seconds / steps, computing / seconds, sum(part.nbytes for part in _arrays(space.sample())))


def _arrays(observation: Any) -> Iterator[np.ndarray]:
    if isinstance(observation, dict):
        for part in observation.values():
            yield from _arrays(part)
    else:
        yield observation


def _switches() -> tuple[int, int]:
    """Returns how often this process has given up the CPU to wait, and how often it was taken from it."""
    try:
        import resource
    except ImportError:  # Windows: what isn't computing counts as waiting
        return time.perf_counter_ns(), 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw, usage.ru_nivcsw
