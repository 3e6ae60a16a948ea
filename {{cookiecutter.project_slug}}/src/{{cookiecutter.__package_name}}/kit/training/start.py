"""Ray's start, on this machine or on a cluster that is there already, beside what else takes time then; and its end."""

import gc
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..cli import RunError
from ..guard import calls, child_log, watchdog
from ..rllib import quieten
from ..task import Task
from ..vectorization.settings import available_cpus
from .known_errors import explained

CONNECT_SECONDS = 5.0
PASSED_ON = (watchdog.SECONDS, child_log.RUN, calls.STRICT)  # environment variables, to all machines
# What training loads and Ray's start does not: none of it imports Ray, so that neither meets a module half loaded.
MEANWHILE = ("torch", "pandas", "pydantic.main", "scipy.special", "tensorboardX", "matplotlib.figure")
AUTOSCALER = b"/autoscaler/_private/monitor.py"  # in the command of its process

_is_starting = threading.Event()


def _leave_group() -> None:
    """Keeps from Ray's processes what `timeout` or a batch system sends to this one's group: a run needs them to its end."""
    if _is_starting.is_set():
        os.setpgid(0, 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_group)


def kill_ray() -> None:
    """Ends all of Ray's processes where they are (Linux): those that they started would look for them for a minute."""
    for child in _children():
        with suppress(OSError):  # it has ended
            if os.getpgid(child) == child and os.getsid(child) == os.getsid(0):  # as `_leave_group` leaves them
                os.killpg(child, signal.SIGKILL)


def stop_ray() -> None:
    """Ends Ray in order, its autoscaler at once: a run has no use for it, and Ray would wait a second (Linux)."""
    import ray

    for child in _children():
        with suppress(OSError):  # it has ended
            if AUTOSCALER in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
    ray.shutdown()


def _children() -> list[int]:
    """Returns the processes that this one has started (Linux; elsewhere none)."""
    children: list[str] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            children += file.read_text().split()
    return [int(child) for child in children]


@contextmanager
def importing(*names: str) -> Iterator[list[Future[Any]]]:
    """Imports modules in a thread; leaves none half loaded, which C++ would not survive."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # on small networks more threads cost more than they bring
    gc.disable()  # modules are no garbage, and searching them for some takes a third of the time of their imports
    thread = ThreadPoolExecutor(1)
    try:
        yield [thread.submit(importlib.import_module, name) for name in names]
    finally:
        thread.shutdown(cancel_futures=True)
        gc.freeze()
        gc.enable()


def start_ray(address: str | None, task: Task, idle_workers: bool = True) -> None:
    """Starts Ray on this machine, or joins a cluster; quietly. Loads RLlib, most of it while Ray's processes start.

    Args:
        address: of a cluster, such as "auto" or "10.0.0.5:6379"; None starts Ray here, for this run only.
        task: whose package is sent to the machines of a cluster.
        idle_workers: Ray starts a process for each CPU, which the first env runners take; False waits for the need.

    Raises:
        RunError: it does not start, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")  # it would abort this process on SIGTERM
    if address is None:
        # Only so does Ray on Linux keep to 127.0.0.1, as it always does elsewhere: nothing listens beyond this machine.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if not idle_workers:
            os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    import ray

    with importing(*MEANWHILE) as imports:
        _init_ray(address, task)
        for one in imports:
            one.result()  # raises what the import has
        import ray.rllib.algorithms.ppo  # noqa: F401
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
