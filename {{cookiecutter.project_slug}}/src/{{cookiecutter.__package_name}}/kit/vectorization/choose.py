"""What "auto" makes of the environment and the machine: chooses processes, copies and mode, and says why."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

from ..cli import UsageError
from .measure import Profile, measure
from .settings import AUTO, Settings, Vectorization

VECTOR_MODE = "vector_entry_point"
COPIES = (8, 16, 32, 64)  # in all processes
# More cut a batch of 2,048 steps into short pieces: with 64 copies, Acrobot took 1.4 times the steps to learn. Only
# where so many wait at once is it worth that.
USUAL_COPIES = 32
SIMPLER = 0.9  # the simplest setting that promises this share of the best one's steps per second is taken

# What sampling and learning cost besides the environment, in seconds; `benchmark` measures what they add up to.
CALL = 4e-4  # of a process for a step of all its copies: the network
COPY = 1.5e-5  # of it for each copy: the record of its episode
PIPE = 1e-4  # to send a copy in a process of its own an action, and to wait for its observation
TRANSFER = 1e-5  # for each step that another process sends to the one that learns
TRANSFER_BYTE = 1e-9  # for each byte of its observation
UPDATE = 2.5e-5  # of the learner for each step
FRAGMENT = 3e-7  # of it for each step and each copy: the more copies, the more pieces of episodes in a batch


def fit(
    settings: Settings, training_env: Callable[[dict[str, Any]], Any], num_cpus: int, is_vector: bool
) -> Vectorization:
    """Replaces each "auto" by what fits this environment and `num_cpus` CPUs.

    Args:
        settings: as of `read_settings`.
        training_env: makes what an env runner steps; with `num_envs` in its config where `is_vector`.
        num_cpus: of the machine or the cluster.
        is_vector: whether the environment steps all copies itself.

    Raises:
        UsageError: a mode that the environment doesn't have, or more env runners than CPUs; Ray would wait for ever.
        EnvironmentFailure: the environment fails while it is measured.
    """
    runners, mode = settings["num_env_runners"], settings["gym_env_vectorize_mode"]
    if runners != AUTO and int(runners) > num_cpus:
        raise UsageError(
            f"num_env_runners = {runners}, but there are {num_cpus} CPUs and each env runner takes one; "
            f'write {num_cpus} or fewer, or "{AUTO}"'
        )
    if mode != AUTO and (mode == VECTOR_MODE) != is_vector:
        what = "steps all its copies itself" if is_vector else "steps one copy: its class is no VectorEnv"
        other = f'"{VECTOR_MODE}"' if is_vector else '"sync", "async"'
        raise UsageError(f'gym_env_vectorize_mode = "{mode}", but the environment {what}; write {other} or "{AUTO}"')
    if AUTO not in settings.values():
        (given,) = candidates(settings, num_cpus, is_vector)
        return replace(given, reason=f"vectorization: {_where(given)}, as given")
    profile = measure(training_env, is_vector)
    chosen = choose(candidates(settings, num_cpus, is_vector), profile, num_cpus)
    return replace(chosen, reason=reason(chosen, profile, num_cpus))


def candidates(settings: Settings, num_cpus: int, is_vector: bool) -> list[Vectorization]:
    """Returns what may be chosen: the given values, in every combination with those that are possible for "auto"."""

    def values(key: str, possible: list[Any]) -> list[Any]:
        return possible if settings[key] == AUTO else [settings[key]]

    most = min(num_cpus, COPIES[-1])
    runners = sorted({0, *(2**i for i in range(1, 7) if 2**i < most), most} - {1})
    modes = [VECTOR_MODE] if is_vector else ["sync", "async"]
    found = []
    for number, mode in product(values("num_env_runners", runners), values("gym_env_vectorize_mode", modes)):
        totals = [copies for copies in COPIES if copies <= USUAL_COPIES or mode == "async"]
        each = sorted({max(1, copies // max(1, number)) for copies in totals})
        found += [Vectorization(number, copies, mode) for copies in values("num_envs_per_env_runner", each)]
    return found


def choose(possible: list[Vectorization], profile: Profile, num_cpus: int) -> Vectorization:
    """Returns the simplest that is about as fast as the fastest: few processes, and as many copies as usual."""

    def simplicity(one: Vectorization) -> tuple[int, float]:
        own = one.copies if one.gym_env_vectorize_mode == "async" else 0
        return one.num_env_runners + own, abs(math.log2(one.copies / USUAL_COPIES))

    seconds = {one: seconds_per_step(one, profile, num_cpus) for one in possible}
    least = min(seconds.values())
    return min((one for one in possible if seconds[one] * SIMPLER <= least), key=simplicity)


def environment_seconds(one: Vectorization, profile: Profile, num_cpus: int) -> float:
    """Estimates the time for a step of one copy, where all are stepped as this setting steps them."""
    alone = profile.step_seconds + profile.call_seconds / one.num_envs_per_env_runner
    at_once = one.copies if one.gym_env_vectorize_mode == "async" else one.processes
    return max(alone / at_once, alone * profile.computing / num_cpus)


def seconds_per_step(one: Vectorization, profile: Profile, num_cpus: int) -> float:
    """Estimates how long training takes for a step of the environment, sampling and learning together."""
    copies, processes = one.num_envs_per_env_runner, one.processes
    runner = (CALL / copies + COPY) / processes
    if one.gym_env_vectorize_mode == "async":
        runner += PIPE / min(processes, max(1, num_cpus // 2))  # half of the work is in the copies' processes
    transfer = TRANSFER + TRANSFER_BYTE * profile.observation_bytes if one.num_env_runners else 0.0
    return environment_seconds(one, profile, num_cpus) + runner + transfer + UPDATE + FRAGMENT * one.copies


def reason(one: Vectorization, profile: Profile, num_cpus: int) -> str:
    """Says in one line what was chosen, and why."""
    return f"vectorization: {_where(one)}; {_why(one, profile, num_cpus)}"


def _where(one: Vectorization) -> str:
    copies = f"{one.num_envs_per_env_runner} copies in "
    where = f"each of {one.num_env_runners} processes" if one.num_env_runners else "this process"
    if one.gym_env_vectorize_mode == "async":
        where = "processes of their own" + (f", for {where}" if one.num_env_runners else "")
    return f"{copies}{where}, {one.gym_env_vectorize_mode}"


def _why(one: Vectorization, profile: Profile, num_cpus: int) -> str:
    step = profile.step_seconds + profile.call_seconds / one.num_envs_per_env_runner
    takes = f"a step takes {1e3 * step:.2g} ms"
    if profile.computing < 0.5:
        takes += f", of which it waits {1e3 * step * (1 - profile.computing):.2g} ms"
        return takes + (", and copies can wait together" if one.gym_env_vectorize_mode == "async" else "")
    if one.num_env_runners or one.gym_env_vectorize_mode == "async":
        return f"{takes}, and there are {num_cpus} CPUs to share them"
    return f"{takes}, " + ("too little to send to another process" if num_cpus > 1 else "and there is one CPU")
