"""What "auto" makes of the environment and the machine: chooses processes, copies and mode, and says why."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .measure import Profile, measure
from .settings import AUTO, FILE, KEYS, Settings, Vectorization, available_cpus

VECTOR_MODE = "vector_entry_point"
# In all processes. More cut a batch of 2,048 steps into short pieces: with 64 copies, Acrobot took 1.4 times the steps
# to learn. Only where 32 wait longer than it takes to reach them all is it worth that.
COPIES, COPIES_THAT_WAIT = 32, 64
LONG_WAIT = 5e-3  # seconds
MOST_PROCESSES = 64
# A step that costs less is not sent to another process: about 0.1 ms. Near this border, two CPUs that are idle make a
# quarter more steps with two processes, which start some seconds later; two that are busy make a third fewer.
CHEAP_OPERATIONS = 75  # of Profile.operation_seconds
OPERATIONS_PER_BYTE = 1 / 250  # the border is higher where an observation has to be sent back


def fit(
    settings: Settings,
    make: Callable[[Mapping[str, Any]], Any],
    num_cpus: int,
    is_vector: bool,
    root: Path = Path(),
    only_one: bool = False,
) -> Vectorization:
    """Replaces each "auto" by what fits this environment and `num_cpus` CPUs.

    Args:
        settings: as of `read_settings`.
        make: makes what an env runner steps; with `num_envs` in its config where `is_vector`.
        num_cpus: of the machine or the cluster.
        is_vector: whether the environment steps all copies itself.
        root: where the settings were read.
        only_one: whether there may be no second copy.

    Raises:
        UsageError: a mode or copies that the environment doesn't have, or more env runners than CPUs; Ray would wait for ever.
        EnvironmentFailure: the environment fails while it is measured.
    """
    if only_one:
        return one_copy(settings, is_vector)
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
        given: dict[str, Any] = dict(settings)
        return replace(chosen := Vectorization(**given), reason=f"vectorization: {_where(chosen)}, as given")
    chosen = choose(settings, measure(make, is_vector), num_cpus, is_vector, num_cpus > available_cpus())
    return chosen if (root / FILE).exists() else replace(chosen, reason=f"{chosen.reason} (no {FILE}: {AUTO})")


def one_copy(settings: Settings, is_vector: bool) -> Vectorization:
    """Returns what fits an environment that may exist once only; raises UsageError where the settings ask for more."""
    one = Vectorization(0, 1, VECTOR_MODE if is_vector else "sync")
    for key in KEYS:
        if settings[key] not in (AUTO, getattr(one, key)):
            raise UsageError(
                f"{key} = {settings[key]}, but registration.py says only_one: there may be one copy, in this process; "
                f'write {getattr(one, key)} or "{AUTO}"'
            )
    return replace(one, reason="vectorization: one copy in this process; registration.py says only_one")


def choose(
    settings: Settings, profile: Profile, num_cpus: int, is_vector: bool, is_cluster: bool = False
) -> Vectorization:
    """Applies the rule; values that are given stay, and the others are chosen around them.

    | a step | is stepped |
    |---|---|
    | costs little | in the training process |
    | computes longer | in a process on every CPU |
    | waits | in a process for each copy, more of them than CPUs; on a cluster, shared out among all CPUs |
    | of all copies at once | by the environment; in as many processes as if it stepped one |
    """
    runners, copies, mode = (settings[key] for key in KEYS)
    waits = profile.wait_seconds > max(5e-4, profile.seconds / 4)  # to reach a copy in its process takes 0.2 ms
    border = CHEAP_OPERATIONS + OPERATIONS_PER_BYTE * profile.observation_bytes
    spreads = num_cpus > 1 and profile.seconds > border * profile.operation_seconds
    if mode == AUTO:
        alone = waits or (spreads and runners == 0)  # where there are no env runners, copies can use the other CPUs
        mode = VECTOR_MODE if is_vector else "async" if alone else "sync"
    if runners == AUTO:
        # A copy in a process of its own is on its env runner's machine, and takes this one 0.1 ms a step to serve.
        runners = min(num_cpus, MOST_PROCESSES) if spreads and (mode != "async" or is_cluster) else 0
    if copies == AUTO:
        total = COPIES_THAT_WAIT if mode == "async" and profile.wait_seconds > LONG_WAIT else COPIES
        copies = max(1, total // max(1, int(runners)))
    if settings[KEYS[-1]] == AUTO and mode == "async" and runners and copies == 1:
        mode = "sync"  # alone, a copy needs no process beside that of its env runner
    chosen = Vectorization(int(runners), int(copies), str(mode))
    why = f"a step takes {1e3 * profile.seconds:.2g} ms"
    if waits:
        why += f", {1e3 * profile.wait_seconds:.2g} ms of them waiting"
    elif chosen.num_env_runners or mode == "async":
        why += f", and there are {num_cpus} CPUs to share them"
    else:
        why += ", too little to send to another process" if num_cpus > 1 else ", and there is one CPU"
    return replace(chosen, reason=f"vectorization: {_where(chosen)}; {why}")


def _where(one: Vectorization) -> str:
    where = f"each of {one.num_env_runners} processes" if one.num_env_runners else "this process"
    if one.gym_env_vectorize_mode == "async":
        where = "processes of their own" + (f", for {where}" if one.num_env_runners else "")
    return f"{one.num_envs_per_env_runner} copies in {where}, {one.gym_env_vectorize_mode}"
