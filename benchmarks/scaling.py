"""How `train` grows with env runners: Ray nodes on loopback, and environments that wait instead of computing elsewhere.

    .venv/bin/python benchmarks/scaling.py                           # what benchmarks/results/scaling.json lacks
    .venv/bin/python benchmarks/scaling.py --waits 20 --runners 8 --again
    .venv/bin/python benchmarks/scaling.py --table

A cell is a run of `train --address` with its checkpoints and its progress.csv. Its environment sleeps in each step: that
stands for a CPU of another machine, so one machine shows what the training process does with many env runners. What the
env runners themselves compute stays here, though: "idle" is the share of this machine's CPUs that had nothing to do, and
below IDLE the machine, not the design, limits a cell. A cell's JSON is written as soon as it is measured. Linux only.
"""

import argparse
import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).with_name("results") / "scaling.json"
CPUS_OF_A_NODE = 8
BATCH, MINIBATCH = 2_048, 512  # those of ppo.py
# Ray's head listens beyond loopback: only who has this token may join or give orders.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
LONGEST = 8.0  # seconds to sample a batch; where it would take longer, the batch is smaller
IDLE = 0.1
STARTED = "To terminate the Ray runtime"  # the last that `ray start` says, after the address
LOST = 0.1  # the share of the env runners that is killed
ENV = '''\
"""Waits in each step, as if another machine computed it."""

import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config

MAX_EPISODE_STEPS = 50
REWARD_THRESHOLD = None


@dataclass(frozen=True)
class EnvConfig:
    seconds: float = 0.0  # of a step
    numbers: int = 25  # of an observation, 4 bytes each


class PanelTaskEnv(gym.Env[Any, Any]):
    metadata = {"render_modes": [], "render_fps": 30}

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.config, self.render_mode = read_config(EnvConfig, config), render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (self.config.numbers,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(self.config.seconds)
        return self._observation(), float(action), False, False, {}

    def _observation(self) -> np.ndarray:
        return np.full(self.config.numbers, self.np_random.random(), np.float32)
'''
Cell = dict[str, Any]
KEYS = ("wait_ms", "bytes", "runners", "copies", "mode")


def auto(cell: Cell, num_cpus: int, is_computing: bool) -> tuple[int, int, str]:
    """Returns what "auto" chooses for the environment of a cell on a cluster: env runners, copies of each, and mode.

    Args:
        cell: whose environment it is.
        num_cpus: of the cluster.
        is_computing: whether the wait stands for computing, as in most cells.
    """
    from kit.vectorization.choose import choose
    from kit.vectorization.measure import Profile
    from kit.vectorization.settings import AUTO, KEYS

    seconds = cell["wait_ms"] / 1e3
    computes, waits = (seconds, 0.0) if is_computing else (2e-5, seconds)
    profile = Profile(computes, waits, cell["bytes"], 1.5e-6)
    chosen = choose(dict.fromkeys(KEYS, AUTO), profile, num_cpus, is_vector=False, is_cluster=num_cpus > 1)
    return chosen.num_env_runners, chosen.num_envs_per_env_runner, chosen.gym_env_vectorize_mode


def cells(waits: list[float], sizes: list[int], runners: list[int]) -> Iterator[Cell]:
    """Yields what is to be measured: a row of numbers of env runners, and what "auto" takes where a step truly waits."""
    for size in sizes:
        for wait in waits:
            for number in runners:
                yield dict(zip(KEYS, (wait, size, number, max(1, 32 // number), "sync"), strict=True))
            for cpus in (1, max(runners)):
                chosen = auto({"wait_ms": wait, "bytes": size}, cpus, False)
                if chosen != (cpus, 1, "sync"):
                    yield dict(zip(KEYS, (wait, size, *chosen), strict=True))


@contextmanager
def cluster(python: Path, cpus: int) -> Iterator[str]:
    """Starts a head without CPUs, where `train` runs, and nodes for the env runners; gives the address."""
    from conftest import clean_environment
    from faults import kill

    mark = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # the paths of Unix sockets must be short
        variables = clean_environment() | TOKEN | {"TESTED_RUN": mark}
        common = ["--block", "--disable-usage-stats", f"--object-store-memory={10**9}"]

        def start(name: str, *options: str) -> str:
            log = Path(folder, name)
            command = [str(python), "-c", "from ray.scripts.scripts import main; main()", "start", *common, *options]
            with log.open("w") as output:
                subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            until = time.monotonic() + 120
            while STARTED not in log.read_text():
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            return log.read_text()

        try:
            options = ("--head", "--port=0", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}/ray")
            head = start("head", *options)
            address = head.split("ray start --address='")[1].split("'")[0]
            for node in range(-(-cpus // CPUS_OF_A_NODE)):
                place = f"--node-ip-address=127.0.0.{2 + node}"  # another address of this machine: another machine
                start(f"node{node}", f"--address={address}", f"--num-cpus={CPUS_OF_A_NODE}", place)
            yield address
        finally:
            kill(mark)


def machine_ticks() -> tuple[int, int]:
    """Returns for how long this machine's CPUs have been idle, and have been there."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def cpu_seconds(process: int) -> float:
    """Returns the CPU seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int | str) -> int:
    """Returns the most memory that a process has held so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024)


def drive(address: str, cell: Cell, seconds: float, kills: bool) -> None:
    """Runs `train` in this process, and prints what it did as JSON: where it spent its time, and how much memory."""
    import ray.rllib.algorithms.ppo.ppo as ppo
    from panel_task.kit.training import loop as kit_loop
    from panel_task.kit.training.algorithm import RestartableAlgorithm
    from panel_task.train import main
    from ray.rllib.core.learner.learner_group import LearnerGroup
    from ray.rllib.env.env_runner_group import EnvRunnerGroup

    spent: dict[str, float] = {}

    def clock(owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)

        def clocked(*arguments: Any, **keywords: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments, **keywords)
            finally:
                spent[part] = spent.get(part, 0.0) + time.thread_time() - start

        setattr(owner, name, clocked)

    clock(ppo, "synchronous_parallel_sample", "receiving")
    clock(LearnerGroup, "update", "learning")
    clock(EnvRunnerGroup, "sync_weights", "sending_weights")
    clock(EnvRunnerGroup, "sync_env_runner_states", "sending_states")
    clock(RestartableAlgorithm, "save", "saving")
    marks: list[dict[str, Any]] = []
    runners: list[int] = []
    found: dict[str, Any] = {}
    iterate: Callable[..., None] = kit_loop.Loop._iterate

    def mark(loop: Any) -> None:
        if not runners and cell["runners"]:
            group = loop.algorithm.algorithm.env_runner_group
            runners.extend(group.foreach_env_runner(lambda _: os.getpid(), local_env_runner=False))
        marks.append(
            {
                "time": time.perf_counter(),
                "parts": spent | {"training thread": time.thread_time(), "process": time.process_time()},
                "steps": loop.status.env_steps,
                "ticks": machine_ticks(),
                "runners_cpu": sum(map(cpu_seconds, runners)),
            }
        )

    def marked(loop: Any, writer: Any) -> None:
        is_over = len(marks) > 2 and marks[-1]["time"] - marks[0]["time"] > seconds
        if is_over and not found:
            found.update(driver_mb=megabytes("self"), runner_mb=round(median(map(megabytes, runners or [os.getpid()]))))
            if not kills:
                finish(loop)
            found["killed"] = time.perf_counter()
            for runner in runners[: max(1, round(LOST * len(runners)))]:
                os.kill(runner, signal.SIGKILL)
            runners.clear()
        iterate(loop, writer)
        if found:
            normal = (marks[-1]["time"] - marks[0]["time"]) / (len(marks) - 1)
            found["seconds_lost"] = round(time.perf_counter() - found.pop("killed") - normal, 1)
            finish(loop)
        mark(loop)

    def finish(loop: Any) -> None:
        print(json.dumps(summary(marks) | found), flush=True)
        loop.algorithm.stop()
        os._exit(0)  # without the evaluation of what was learned

    kit_loop.Loop._iterate = marked
    most = BATCH * max(1.0, cell["copies"] * cell["runners"] / BATCH)
    total = cell["copies"] * max(1, cell["runners"])
    at_once = total if cell["mode"] == "async" else cell["runners"]
    batch = int(min(most, max(1, LONGEST * at_once / (cell["wait_ms"] / 1e3) // total) * total))
    config = {"seconds": cell["wait_ms"] / 1e3, "numbers": cell["bytes"] // 4}
    shape = ("--num-env-runners", cell["runners"], "--num-envs-per-env-runner", cell["copies"])
    learning = (f"train_batch_size_per_learner={batch}", f"minibatch_size={min(batch, MINIBATCH)}")
    arguments = ("--address", address, *shape, "--vectorize-mode", cell["mode"], "--config", json.dumps(config))
    main([str(one) for one in (*arguments, "--set", learning[0], "--set", learning[1], "--max-env-steps", 10**9)])


def summary(marks: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the marks of the iterations say; the first one loads code."""
    first, last = marks[0], marks[-1]
    steps, seconds = last["steps"] - first["steps"], last["time"] - first["time"]
    ticks = [after - before for before, after in zip(first["ticks"], last["ticks"], strict=True)]
    parts = {name: last["parts"][name] - first["parts"][name] for name in last["parts"]}
    return {
        "batch": steps // (len(marks) - 1),
        "steps_per_second": round(steps / seconds, 2),
        "idle": round(ticks[0] / ticks[1], 2),
        "driver_cpu_ms_per_step": {name: round(1e3 * value / steps, 4) for name, value in parts.items()},
        "runner_cpu_ms_per_step": round(1e3 * (last["runners_cpu"] - first["runners_cpu"]) / steps, 4),
    }


def table(results: dict[str, Any]) -> None:
    """Prints the cells as Markdown."""
    print(f"Python {results['python']}, {results['versions']}; {results['cores']} cores\n")
    print("| step | observation | env runners x copies | steps/s | of linear | idle | driver ms a step: all", end="")
    print(
        " (receiving, learning, saving) | MB/s | driver, runner MB | lost with a tenth of them |\n" + "|---" * 9 + "|"
    )
    found = {tuple(cell[key] for key in KEYS): cell for cell in results["cells"]}
    for key, cell in sorted(found.items(), key=lambda item: (item[0][1], item[0][0], item[0][2] or 99)):
        one = next((other for other in results["cells"] if tuple(other[k] for k in KEYS[:3]) == (*key[:2], 1)), None)
        share = (
            cell["steps_per_second"] / cell["runners"] / one["steps_per_second"] if one and cell["runners"] else None
        )
        parts, lost = cell["driver_cpu_ms_per_step"], cell.get("seconds_lost")
        print(
            f"| {key[0]:g} ms | {key[1]:,} B | {key[2]} x {key[3]} {key[4]} | {cell['steps_per_second']:,.0f} |"
            f" {'-' if share is None else f'{share:.2f}'} |"
            f" {cell['idle']:.2f}{' (the machine limits)' if cell['idle'] < IDLE else ''} | {parts['training thread']:.3f}"
            f" ({', '.join(f'{parts[name]:.3f}' for name in ('receiving', 'learning', 'saving'))}) |"
            f" {cell['steps_per_second'] * key[1] / 1e6:.2f} | {cell['driver_mb']}, {cell['runner_mb']} |"
            f" {'' if lost is None else f'{lost} s'} |"
        )


def main() -> None:
    """Measures the cells that are not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--waits", nargs="*", type=float, default=[2, 20, 200], help="milliseconds of a step")
    parser.add_argument("--bytes", nargs="*", type=int, default=[100, 10_000, 100_000], help="of an observation")
    parser.add_argument("--runners", nargs="*", type=int, default=[1, 2, 4, 8, 16, 32], help="300 MB each")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a cell, at least; default: %(default)s")
    parser.add_argument("--kill", nargs="*", type=int, default=[8, 32], help="kill a tenth where there are so many")
    parser.add_argument("--again", action="store_true", help="measure also what is there already")
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        return drive(*json.loads(options.drive))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cells": []}
    if options.table:
        return table(results)
    from tasks import clean_environment, panel_project

    there = {tuple(cell[key] for key in KEYS) for cell in results["cells"]} if not options.again else set()
    wanted = cells(options.waits, options.bytes, options.runners)
    todo = [cell for cell in wanted if tuple(cell[key] for key in KEYS) not in there]
    results["python"], results["cores"] = platform.python_version(), len(os.sched_getaffinity(0))
    results["versions"] = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "gymnasium", "torch"))
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        (project.source / "env.py").write_text(ENV, encoding="utf-8")
        with cluster(project.python, max(options.runners)) as address:
            for cell in todo:
                kills = cell["runners"] in options.kill and cell["bytes"] == min(options.bytes)
                task = json.dumps([address, cell, options.seconds, kills])
                command = [str(project.python), "-W", "ignore", __file__, "--drive", task]
                start = time.perf_counter()
                done = subprocess.run(
                    command,
                    cwd=project.path,
                    env=clean_environment() | TOKEN,
                    capture_output=True,
                    text=True,
                    timeout=900,
                )
                found = [line for line in done.stdout.splitlines() if line.startswith('{"batch"')]
                if not found:
                    sys.exit(f"{cell}\n{done.stdout}\n{done.stderr}")
                facts = cell | json.loads(found[0]) | {"date": str(date.today())}
                same = tuple(cell[key] for key in KEYS)
                others = [one for one in results["cells"] if tuple(one[key] for key in KEYS) != same]
                results["cells"] = [*others, facts]
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                print(f"{time.perf_counter() - start:.0f} s", facts, flush=True)
    table(results)


if __name__ == "__main__":
    main()
