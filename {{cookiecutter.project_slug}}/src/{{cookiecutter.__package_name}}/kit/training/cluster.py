"""Ray: on this machine, or on a cluster that is there already."""

import gc
import importlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..cli import RunError
from ..guard import calls, child_log, watchdog
from ..rllib import quieten
from ..task import Task
from ..vectorization.settings import Vectorization, available_cpus
from .known_errors import explained

ANSWER_SECONDS = 20.0  # a machine may have to unpack the package and to start a process first
CONNECT_SECONDS = 5.0
PASSED_ON = (watchdog.SECONDS, child_log.RUN, calls.STRICT)  # environment variables, to all machines
RETURN_SECONDS = 10.0
# What training loads and Ray's start does not: none of it imports Ray, so that neither meets a module half loaded.
MEANWHILE = ("torch", "pandas", "pydantic.main", "scipy.special", "tensorboardX", "matplotlib.figure")

_is_starting = threading.Event()


def _leave_group() -> None:
    """Keeps from Ray's processes what `timeout` or a batch system sends to this one's group: a run needs them to its end."""
    if _is_starting.is_set():
        os.setpgid(0, 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_group)


def kill_ray() -> None:
    """Ends all of Ray's processes where they are (Linux): those that they started would look for them for a minute."""
    children: list[str] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            children += file.read_text().split()
    for child in map(int, children):
        with suppress(OSError):  # it has ended
            if os.getpgid(child) == child and os.getsid(child) == os.getsid(0):  # as `_leave_group` leaves them
                os.killpg(child, signal.SIGKILL)


def start_ray(address: str | None, task: Task, idle_workers: bool = True) -> None:
    """Starts Ray on this machine, or joins a cluster; quietly. Loads RLlib, most of it while Ray's processes start.

    Args:
        address: of a cluster, such as "auto" or "10.0.0.5:6379"; None starts Ray here, for this run only.
        task: whose package is sent to the machines of a cluster.
        idle_workers: Ray starts a process for each CPU, which the first env runners take; False waits for the need.

    Raises:
        RunError: it does not start, or there is no cluster at the address.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # on small networks more threads cost more than they bring
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")  # it would abort this process on SIGTERM
    if address is None:
        # Only so does Ray on Linux keep to 127.0.0.1, as it always does elsewhere: nothing listens beyond this machine.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if not idle_workers:
            os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    import ray

    gc.disable()  # modules are no garbage, and searching them for some takes a third of the time of their imports
    meanwhile = ThreadPoolExecutor(1)
    imports = [meanwhile.submit(importlib.import_module, name) for name in MEANWHILE]
    try:
        _init_ray(address, task)
        for one in imports:
            one.result()  # raises what the import has
        import ray.rllib.algorithms.ppo  # noqa: F401
    finally:
        meanwhile.shutdown(cancel_futures=True)
        gc.freeze()
        gc.enable()
    import torch

    quieten()  # the import has set levels
    torch.set_num_threads(1)


def _init_ray(address: str | None, task: Task) -> None:
    """Calls `ray.init`; in the main thread, with whose end Linux ends Ray's processes."""
    import ray

    sigterm = signal.getsignal(signal.SIGTERM)
    quieten()
    _is_starting.set()
    try:
        ray.init(logging_level=logging.CRITICAL, **(_there(address, task) if address else _here()))
    except Exception as error:  # Ray raises plain ones, too
        where = f"at --address {address}" if address else "on this machine"
        what = explained(error) or str(error).strip().splitlines()[0]
        raise RunError(f"Ray does not start {where}: {what}") from None
    except SystemExit:  # of the handler of SIGTERM that Ray puts in the place of ours
        signal.signal(signal.SIGTERM, sigterm)
        signal.raise_signal(signal.SIGTERM)
    finally:
        _is_starting.clear()
        signal.signal(signal.SIGTERM, sigterm)


def _here() -> dict[str, Any]:
    """Returns what `ray.init` is told to start Ray on this machine."""
    return {"num_cpus": max(1, available_cpus()), "include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def _there(address: str, task: Task) -> dict[str, Any]:
    """Returns what `ray.init` is told to join a cluster, whose machines need not have the package: it is sent there.

    Raises:
        OSError: nobody listens at "host:port"; Ray would go on trying for minutes.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    package = Path(sys.modules[task.package].__file__ or "").parent
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {"address": address, "runtime_env": {"py_modules": [str(package)], "env_vars": passed_on}}


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
