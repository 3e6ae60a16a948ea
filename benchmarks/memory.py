"""What a large array that every copy reads costs in memory. Linux only; `long_runs.py` tells whether training grows.

    .venv/bin/python benchmarks/memory.py --megabytes 500

Two env runners with 8 copies each read the same array, which every copy opens by `np.load(path, mmap_mode="r")`: the
operating system holds its pages once for all processes of a machine. The memory shown is proportional (PSS): a page
that n processes share counts 1/n for each.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

MEGABYTE = 2**20
READER = '''\
"""Every copy reads the same large array."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config

MAX_EPISODE_STEPS = 100
REWARD_THRESHOLD = None


@dataclass(frozen=True)
class EnvConfig:
    """The array's file."""

    path: str = ""


class MemoryTaskEnv(gym.Env[np.ndarray, int]):
    """Sums what it reads."""

    metadata = {"render_modes": [], "render_fps": 30}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._table = np.load(self.config.path, mmap_mode="r") if self.config.path else np.zeros(1, np.float32)
        self._table.sum()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.array([self._table[0]], np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.array([self.np_random.choice(self._table)], np.float32), float(action), False, False, {}
'''


def held_bytes(process: int) -> int:
    """Returns what Linux counts as held by a process: its PSS."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def share(megabytes: int) -> None:
    """Prints what two env runners with 8 copies each, and this process, hold with and without the array."""
    import numpy as np
    import ray
    from memory_task import TASK
    from memory_task.kit.rllib.config import algorithm_config
    from memory_task.kit.vectorization.settings import Vectorization

    path = str(Path("table.npy").resolve())
    np.save(path, np.ones(megabytes * MEGABYTE // 4, np.float32))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    held = []
    for env_config in ({}, {"path": path}):
        algorithm = algorithm_config(TASK, Vectorization(2, 8, "sync", ""), 0, env_config).build_algo()
        algorithm.train()
        workers = algorithm.env_runner_group.foreach_env_runner(lambda _: os.getpid(), local_env_runner=False)
        held.append(sum(held_bytes(process) for process in (os.getpid(), *workers)) / MEGABYTE)
        algorithm.stop()
    print(f"16 copies in 2 processes: {held[0]:.0f} MB, with an array of {megabytes} MB each: {held[1]:.0f} MB")


def main() -> None:
    """Bakes the projects and measures with their Python."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=500, help="size of the array; default: %(default)s")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return share(options.megabytes)
    from conftest import bake_project, clean_environment

    print(f"Python {platform.python_version()}, ray {metadata.version('ray')}, torch {metadata.version('torch')}")
    with tempfile.TemporaryDirectory() as folder:
        project = bake_project(Path(folder), project_name="Memory Task", starter="corridor").install()
        (project.source / "env.py").write_text(READER, encoding="utf-8")
        command = [str(project.python), "-W", "ignore", __file__, "--inside", f"--megabytes={options.megabytes}"]
        subprocess.run(command, cwd=project.path, env=clean_environment(), check=True)


if __name__ == "__main__":
    main()
