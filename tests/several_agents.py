"""A small correct environment of several agents, as text for the mutants, and the contract on it without a process."""

import json
from pathlib import Path
from typing import Any

from kit.contract import Report
from kit.contract.judge import judge
from kit.contract.process.child import Request
from kit.contract.record.__main__ import record
from kit.contract.record.channel import HEARTBEAT_BYTES, Heartbeat, RecordWriter, read_record
from kit.contract.record.recorder import Recorder
from kit.contract.record.surroundings import seed_global
from kit.contract.record.targets import load

SLOW_PROBES = ("growth", "released", "closing", "closed_alone", "unpicklable", "shared_files")

WALKERS = '''
import gymnasium as gym
import numpy as np
from gymnasium import spaces
from kit.multi_agent.env import MultiAgentEnv

LENGTH, LIMIT, ENERGY = 8, 30, 6
WALKERS, HELPERS = ("a", "b"), ("helper_0", "helper_1")


class Env(MultiAgentEnv):
    """Two walkers go home; a caller, who rests every second step, sends them helpers that push."""

    metadata = {"render_modes": []}

    def __init__(self, config=None, render_mode=None):
        self.render_mode = render_mode
        self.possible_agents = [*WALKERS, "caller", *HELPERS]
        self.agents = []
        self.observation_spaces = {agent: self._space(agent) for agent in self.possible_agents}
        self.action_spaces = {agent: spaces.Discrete(3 if agent in WALKERS else 2) for agent in self.possible_agents}

    def _space(self, agent):
        if agent == "caller":
            return spaces.Dict({"homes": spaces.Discrete(3), "action_mask": spaces.MultiBinary(2)})
        return spaces.Box(0.0, 1.0, (2,), np.float32) if agent in WALKERS else spaces.Discrete(ENERGY + 1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.agents = [*WALKERS, "caller"]
        self.place = {agent: int(self.np_random.integers(0, 4)) for agent in WALKERS}
        self.energy = {}
        return {agent: self._observe(agent) for agent in self.agents}, {agent: {} for agent in self.agents}

    def _observe(self, agent):
        if agent == "caller":
            homes = sum(place == LENGTH for place in self.place.values())
            return {"homes": homes, "action_mask": np.array([1, len(self.energy) < 2], np.int8)}
        if agent in HELPERS:
            return self.energy[agent]
        return np.array([self.place[agent] / LENGTH, self.time / LIMIT], np.float32)

    def step(self, actions):
        self.time += 1
        before = sum(self.place.values())
        push = sum(int(actions[agent]) for agent in actions if agent in HELPERS)
        for agent in actions:
            if agent in WALKERS:
                self.place[agent] = min(max(self.place[agent] + int(actions[agent]) - 1 + push, 0), LENGTH)
            elif agent in HELPERS:
                self.energy[agent] -= 1
        reward = (sum(self.place.values()) - before) / LENGTH - 0.01
        rewards = {agent: reward for agent in self.agents}
        home = [agent for agent in WALKERS if self.place[agent] == LENGTH]
        won, late = len(home) == 2, self.time == LIMIT
        terminated = {agent: won or agent in home for agent in self.agents}
        tired = [agent for agent in self.agents if self.energy.get(agent) == 0]
        truncated = {agent: not terminated[agent] and (late or agent in tired) for agent in self.agents}
        over = [agent for agent in self.agents if terminated[agent] or truncated[agent]]
        joining = [agent for agent in HELPERS if agent not in self.energy][: actions.get("caller", 0)]
        self.energy.update({agent: ENERGY for agent in joining})
        seen = [agent for agent in self.agents if agent != "caller" or self.time % 2 == 0 or agent in over]
        self.agents = [agent for agent in self.agents if agent not in over]
        if self.agents:
            self.agents += joining
            seen += joining
        terminated["__all__"] = won
        truncated["__all__"] = late and not won
        observations = {agent: self._observe(agent) for agent in seen}
        infos = {agent: {} for agent in observations}
        return observations, rewards, terminated, truncated, infos
'''


def check(folder: Path, text: str, probes: str = "some") -> Report:
    """Returns what the contract finds in an environment that is given as text."""
    path = folder / "environment.py"
    path.write_text(text, encoding="utf-8")
    return check_class(folder, load(f"{path}:Env"), probes)


def check_class(folder: Path, env_class: Any, probes: str = "some") -> Report:
    """Returns what the contract finds in an environment, recorded here, so that it must neither hang nor exit.

    Args:
        folder: for the files.
        env_class: the environment.
        probes: "all", all but the slow ones ("some"), or those that `train` begins with ("quick").
    """
    without = () if probes == "all" else SLOW_PROBES
    request: dict[str, Any] = json.loads(json.dumps(vars(Request("", {}, quick=probes == "quick", without=without))))
    (folder / "heartbeat").write_bytes(bytes(HEARTBEAT_BYTES))
    (folder / "record").unlink(missing_ok=True)
    recorder = Recorder(request, Heartbeat(folder / "heartbeat"), RecordWriter(folder / "record"))
    recorder.maker = env_class
    seed_global(0)
    record(recorder, request)
    return Report.of(env_class.__name__, judge(read_record(folder / "record")), {}, 0.0)
