"""The CPUs and GPUs of Ray's machines, and who gets them."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..cli import RunError
from ..vectorization.settings import Vectorization

ANSWER_SECONDS = 20.0  # a machine may have to unpack the package and to start a process first
RETURN_SECONDS = 10.0


def cluster_cpus(wanted: int = 1) -> int:
    """Returns the CPUs that no job has taken, of the machines of the cluster that answer.

    Ray itself counts a machine that has gone for up to half a minute.

    Args:
        wanted: until so many are free, processes that have just been stopped get some seconds to give theirs back.
    """
    import ray

    nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    cpus = sum(nodes.values()) if len(nodes) == 1 else _answering_cpus(nodes)
    until = time.monotonic() + RETURN_SECONDS
    while (free := int(ray.available_resources().get("CPU", 0))) < min(wanted, cpus) and time.monotonic() < until:
        time.sleep(0.1)
    return min(free, cpus)


def beside_learners(vectorization: Vectorization, config: Any) -> Vectorization:
    """Returns what is left of the env runners where other machines have gone, or learners need CPUs of their own.

    Args:
        vectorization: as chosen.
        config: RLlib's, which says how many learners there are.

    Raises:
        RunError: there are fewer CPUs or GPUs than the learners take; Ray would wait for more.
    """
    import ray
    import torch

    learners, gpus, per_learner = config.num_learners, config.num_gpus_per_learner, config.num_cpus_per_learner
    there = ray.cluster_resources().get("GPU", 0) if learners else torch.cuda.device_count()
    if (needed := gpus * max(1, learners)) > there:
        where = f"Ray has {there:g} of {needed:g} GPUs" if learners else "this machine has none"
        raise RunError(f"ppo.py: num_gpus_per_learner={gpus:g}, but {where}; write 0")
    cpus = math.ceil(learners * (per_learner if per_learner != "auto" else gpus == 0))
    runners = vectorization.num_env_runners
    left = cluster_cpus(wanted=runners + cpus) - cpus
    if left < 0:
        raise RunError(f"ppo.py: num_learners={learners} take {cpus} CPUs, and {left + cpus} are free; write fewer")
    if runners <= left:
        return vectorization
    why = f"num_learners={learners} take {cpus} CPUs, and" if learners else "only"
    reason = f"vectorization: {left} processes instead of {runners}: {why} {left} are free"
    return replace(vectorization, num_env_runners=left, reason=reason)


def _answering_cpus(nodes: Mapping[str, int]) -> int:
    """Returns the sum of the CPUs of the nodes that answer."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    answer = ray.remote(num_cpus=0, max_retries=0)(lambda cpus: cpus)
    calls = [
        answer.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(cpus)
        for node, cpus in nodes.items()
    ]
    answered, _ = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)
    cpus = 0
    for call in answered:
        with suppress(ray.exceptions.RayError):
            cpus += ray.get(call)
    return cpus
