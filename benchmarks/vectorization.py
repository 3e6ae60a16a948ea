"""How near "auto" comes to the best setting of the grid, and what it gains over one process.

    .venv/bin/python benchmarks/vectorization.py --repeats 3

Each environment is put into a baked project, and the project's own command `benchmark` measures it; the environments
take turns. A row shows medians over the repeats. Within a repeat, `benchmark` trains with each setting of the grid three
times, in turns. `computes` spends its step with the processor, `waits` without.
The last line trains the environment whose step computes for 5 ms, by "auto" and in one process, in turns.
"""

import argparse
import json
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tasks import PANEL, BakedProject, panel_project

STEP = '''\
"""CartPole whose step also computes and waits, and whose observation is filled up."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from .kit.config import read_config

MAX_EPISODE_STEPS = 500
REWARD_THRESHOLD = 475.0


@dataclass(frozen=True)
class EnvConfig:
    """Nothing may differ."""


class PanelTaskEnv(gym.Env[Any, Any]):
    metadata = {{"render_modes": [], "render_fps": 30}}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self._env = gym.make("CartPole-v1", max_episode_steps=-1, disable_env_checker=True)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (max(4, {numbers}),), np.float32)
        self.action_space = self._env.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        observation, info = self._env.reset(seed=seed)
        return self._filled_up(observation), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        end = time.thread_time() + {computes}
        while time.thread_time() < end:
            pass
        if {waits}:
            time.sleep({waits})
        observation, reward, terminated, truncated, info = self._env.step(action)
        return self._filled_up(observation), float(reward), terminated, truncated, info

    def _filled_up(self, observation: np.ndarray) -> np.ndarray:
        return np.resize(observation, self.observation_space.shape)
'''
VECTOR = '''\
"""Gymnasium's CartPole that steps all copies at once with NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

from .kit.config import read_config

MAX_EPISODE_STEPS = 500
REWARD_THRESHOLD = 475.0


@dataclass(frozen=True)
class EnvConfig:
    """The number of copies."""

    num_envs: int = 1


class PanelTaskEnv(CartPoleVectorEnv):
    metadata = CartPoleVectorEnv.metadata | {"render_modes": []}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        super().__init__(self.config.num_envs, max_episode_steps=MAX_EPISODE_STEPS)
'''
FIVE_MS = "computes 5 ms"
SOURCES = {
    "CartPole": None,
    "computes 1 ms": STEP.format(computes=1e-3, waits=0.0, numbers=4),
    "waits 1 ms": STEP.format(computes=0.0, waits=1e-3, numbers=4),
    FIVE_MS: STEP.format(computes=5e-3, waits=0.0, numbers=4),
    "computes 20 ms": STEP.format(computes=20e-3, waits=0.0, numbers=4),
    "waits 20 ms": STEP.format(computes=0.0, waits=20e-3, numbers=4),
    "observes 100 KB": STEP.format(computes=0.0, waits=0.0, numbers=25_600),
    "VectorEnv": VECTOR,
}


def write(project: BakedProject, row: str) -> None:
    """Puts an environment into the project."""
    source = SOURCES[row]
    if source is None:
        PANEL[0].write(project)
    else:
        (project.source / "env.py").write_text(source, encoding="utf-8")


def said(row: dict[str, Any]) -> str:
    """Returns a setting in words."""
    return f"{row['num_env_runners']} x {row['num_envs_per_env_runner']} {row['gym_env_vectorize_mode']}"


def train(project: BakedProject, name: str, *options: str) -> float:
    """Trains for a few iterations; returns the steps per second that `train` reports itself."""
    project.command("train", "--name", name, "--max-env-steps", "6000", *options, check=True)
    return json.loads(project.read(f"runs/{name}/summary.json"))["steps_per_second"]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", nargs="*", default=list(SOURCES), choices=SOURCES, help="default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", default="1", help="of each setting in each repeat; default: %(default)s")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "gymnasium", "torch"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {platform.python_version()}, {versions}; {cores} cores, medians of {options.repeats} repeats")
    reports: dict[str, list[dict[str, Any]]] = {row: [] for row in options.rows}
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        for _ in range(options.repeats):
            for row in options.rows:
                write(project, row)
                done = project.command("benchmark", "--json", "--seconds", options.seconds, check=True, timeout=3600)
                reports[row].append(json.loads(done.stdout))
                print(
                    row, *(f"{r['steps_per_second']:,.0f} {said(r)};" for r in reports[row][-1]["settings"]), flush=True
                )
        print(
            '\n| environment | "auto": processes x copies | steps/s | best | steps/s | auto / best |\n'
            + "|---" * 6
            + "|"
        )
        for row, found in reports.items():
            auto, best = (median(report[one]["steps_per_second"] for report in found) for one in ("auto", "best"))
            ratio = median(report["auto_of_best"] for report in found)
            names = [", ".join(sorted({said(report[one]) for report in found})) for one in ("auto", "best")]
            print(f"| {row} | {names[0]} | {auto:,.0f} | {names[1]} | {best:,.0f} | {ratio:.2f} |")
        if FIVE_MS in options.rows:
            write(project, FIVE_MS)
            alone = ("--num-env-runners", "0", "--vectorize-mode", "sync")
            pairs = [(train(project, f"auto{i}"), train(project, f"one{i}", *alone)) for i in range(options.repeats)]
            speeds = [median(pair[i] for pair in pairs) for i in (0, 1)]
            gain = median(auto / one for auto, one in pairs)
            print(f'train, {FIVE_MS}: "auto" {speeds[0]:,.0f} steps/s, one process {speeds[1]:,.0f}, {gain:.2f} times')


if __name__ == "__main__":
    main()
