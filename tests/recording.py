"""An environment that writes down each of its steps, and what the numbers of a run must be after them."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import BakedProject

# An episode's length is drawn evenly on a logarithmic scale: some iterations see none end, some one, some many. Rewards
# are floats without a short binary form, so that a sum in another order has another last digit.
ENV = '''
import json
import itertools
import logging
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .kit.config import read_config
from .kit.policy.measure import SEED

EPISODES = 20
MAX_EPISODE_STEPS = 400
REWARD_THRESHOLD = None


class Record:
    """What one copy does while it is trained, step by step; its file is named by the time of its first reset."""

    made = itertools.count()

    def __init__(self, worker):
        self.worker, self.tick, self.file, self.is_evaluated = worker, 0, None, False
        name = multiprocessing.current_process().name
        self.copy = int(name.rpartition("-")[2]) if "AsyncVectorEnv" in name else next(Record.made)

    def note(self, reward=None, ended=False, seed=None):
        """Notes a reset, or a step with its reward; but nothing of the episodes that `train` ends with."""
        self.tick += 1
        if reward is None and seed is not None:
            self.is_evaluated = SEED <= seed < SEED + EPISODES
        if self.is_evaluated:
            return
        run = Path("runs", os.environ.get("RECORDED_RUN", "none"))
        if "PACKAGE.kit.rllib.env_runner" not in sys.modules or not run.is_dir():
            return
        if self.file is None:
            folder = Path(os.environ["RECORDS"])
            folder.mkdir(exist_ok=True)
            self.file = (folder / f"{time.time_ns()} {os.getpid()} {self.copy}").open("a", buffering=1)
        if reward is None:
            return
        rows = run / "progress.csv"
        iteration = max(len(rows.read_text().splitlines()), 1) if rows.exists() else 1
        self.file.write(json.dumps([iteration, self.worker, self.tick, self.copy, reward, ended]) + "\\n")
        if ended:
            logging.getLogger(__name__).info("%s has ended %d", Path(self.file.name).name, self.tick)


def draw_length(generator, longest):
    """Draws how many steps an episode takes."""
    return int(np.exp(generator.uniform(np.log(2), np.log(longest))))


@dataclass(frozen=True)
class EnvConfig:
    worker_index: int = 0
    longest: int = 300
'''
ONE = """

class CLASS(gym.Env):
    def __init__(self, config=None, render_mode=None):
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-10.0, 10.0, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._record = Record(self.config.worker_index)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._record.note(seed=seed)
        self._left = draw_length(self.np_random, self.config.longest)
        return self._observation(), {}

    def step(self, action):
        self._left -= 1
        reward = float(self.np_random.normal()) + 0.1 * int(action)
        self._record.note(reward, self._left == 0)
        return self._observation(), reward, self._left == 0, False, {}

    def _observation(self):
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)
"""
MANY = """
    num_envs: int = 1


class CLASS(VectorEnv):
    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, config=None, render_mode=None):
        self.config = read_config(EnvConfig, config)
        self.render_mode, self.num_envs = render_mode, self.config.num_envs
        self.single_observation_space = spaces.Box(-10.0, 10.0, (2,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._records = [Record(self.config.worker_index) for _ in range(self.num_envs)]
        self._generators = [np.random.default_rng() for _ in range(self.num_envs)]
        self._left = [0] * self.num_envs

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            seeds = list(range(seed, seed + self.num_envs)) if isinstance(seed, int) else seed
            self._generators = [np.random.default_rng(own) for own in seeds]
        for copy in range(self.num_envs):
            self._start(copy, seed if isinstance(seed, int) else None)
        return self._observations(), {}

    def step(self, actions):
        rewards, ends = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        for copy, action in enumerate(actions):
            if self._left[copy] == 0:
                self._start(copy)
                continue
            self._left[copy] -= 1
            rewards[copy] = self._generators[copy].normal() + 0.1 * int(action)
            ends[copy] = self._left[copy] == 0
            self._records[copy].note(float(rewards[copy]), bool(ends[copy]))
        return self._observations(), rewards, ends, np.zeros(self.num_envs, bool), {}

    def _start(self, copy, seed=None):
        self._records[copy].note(seed=seed)
        self._left[copy] = draw_length(self._generators[copy], self.config.longest)

    def _observations(self):
        return np.array([each.uniform(-1, 1, 2) for each in self._generators], np.float32)
"""


def make_recording(project: BakedProject, starter: str) -> BakedProject:
    """Puts the recording environment into a project of the starter "corridor" or "vector", and installs it."""
    file = project.source / "env.py"
    (line,) = (
        line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("class ") and "Env(" in line
    )
    name = line.removeprefix("class ").partition("(")[0]
    text = ENV + (ONE if starter == "corridor" else MANY)
    file.write_text(text.replace("CLASS", name).replace("PACKAGE", project.package), encoding="utf-8")
    return project.install()


@dataclass(frozen=True)
class Episode:
    """An episode that has ended, as the environment saw it."""

    iteration: int
    total: float
    length: int
    line: str


@dataclass
class Records:
    """What all copies have written.

    Attributes:
        steps: of the environment by iteration.
        episodes: in the order in which a run counts them.
    """

    steps: Counter[int]
    episodes: list[Episode]


def read_records(folder: Path) -> Records:
    """Reads the files of all copies. Where two starts of a run have done the same iteration, the later one counts."""
    starts: list[list[Path]] = []
    until = 0
    for path in sorted(folder.iterdir()):
        if int(path.name.split()[0]) > until:  # the copies before have ended: the run was started anew
            starts.append([])
        starts[-1].append(path)
        until = max(until, path.stat().st_mtime_ns)
    steps: Counter[int] = Counter()
    episodes: list[Episode] = []
    for paths in starts:
        new_steps, new_episodes = _read(paths)
        first = min(new_steps, default=math.inf)
        steps = Counter({number: count for number, count in steps.items() if number < first}) + new_steps
        episodes = [one for one in episodes if one.iteration < first] + new_episodes
    return Records(steps, episodes)


def _read(paths: list[Path]) -> tuple[Counter[int], list[Episode]]:
    steps: Counter[int] = Counter()
    found = []
    for path in paths:
        total, length = 0.0, 0
        for line in path.read_text().splitlines():
            iteration, worker, tick, copy, reward, ended = json.loads(line)
            steps[iteration] += 1
            total, length = total + reward, length + 1
            if ended:
                line = f"{path.name} has ended {tick}"
                found.append(((iteration, worker, tick, copy), Episode(iteration, total, length, line)))
                total, length = 0.0, 0
    return steps, [episode for _, episode in sorted(found, key=lambda one: one[0])]


def expected_rows(records: Records) -> list[dict[str, float | None]]:
    """Returns the columns of progress.csv that follow from what the environment saw."""
    rows, env_steps, best = [], 0, None
    for iteration, steps in sorted(records.steps.items()):
        env_steps += steps
        so_far = [one for one in records.episodes if one.iteration <= iteration]
        returns, lengths = [one.total for one in so_far[-50:]], [one.length for one in so_far[-50:]]
        mean = math.fsum(returns) / len(returns) if returns else None
        if mean is not None and len(so_far) >= 20 and (best is None or mean > best):
            best = mean
        rows.append(
            {
                "iteration": iteration,
                "env_steps": env_steps,
                "episodes": len(so_far),
                "episode_return_mean": mean,
                "episode_return_min": min(returns, default=None),
                "episode_return_max": max(returns, default=None),
                "episode_length_mean": sum(lengths) / len(lengths) if lengths else None,
                "best_return": best,
            }
        )
    return rows


def events(run: Path) -> dict[str, dict[int, float]]:
    """Returns the TensorBoard values of a run by name and step."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for path in sorted(run.glob("events.out.tfevents*")):
        data, place = path.read_bytes(), 0
        while place < len(data):  # a length of 8 bytes, 4 of its checksum, an event, 4 of its checksum
            size = int.from_bytes(data[place : place + 8], "little")
            event: Any = Event.FromString(data[place + 12 : place + 12 + size])
            place += size + 16
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
