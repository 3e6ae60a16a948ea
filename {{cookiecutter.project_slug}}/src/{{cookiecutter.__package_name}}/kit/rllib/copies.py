"""One copy of an environment of several agents: the episode under way in it, and what has come of each agent."""

import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..multi_agent.env import ALL
from ..multi_agent.policies import Roles
from .trajectories import Trajectory


class Copy:
    """Steps the environment, and keeps to RLlib's rules of what an observation, a reward and a flag mean.

    Who is observed acts next. A reward that comes without an observation is held until the agent's next one. An agent
    that ends without an observation keeps its last.

    Attributes:
        waiting: of each agent that acts next, the last observation: as its policy sees it, or the environment's own where
            a function acts.
        trajectories: of the agents that learn, and have not ended.
        opponents: which snapshot acts for an agent in this episode.
        returns: of all agents so far.
        length: the steps of the episode so far.
    """

    def __init__(self, env: Any, roles: Roles) -> None:
        self._env, self._roles = env, roles
        self._draws = np.random.default_rng()

    def begin(self, snapshots: Mapping[str, Sequence[Any]], seed: int | None = None) -> None:
        """Starts an episode.

        Args:
            snapshots: of each policy that agents' past selves are drawn from.
            seed: of this copy; None goes on.
        """
        if seed is not None:
            self._draws = np.random.default_rng(seed)
        self._id, self._started = uuid.uuid4().hex, time.perf_counter()
        self.length, self.returns = 0, defaultdict[Any, float](float)
        self.opponents = {
            agent: int(self._draws.integers(len(snapshots[policy]))) for agent, policy in self._roles.past.items()
        }
        self.waiting: dict[Any, Any] = {}
        self.trajectories: dict[Any, Trajectory] = {}
        observations, _ = self._env.reset(seed=seed)
        self._observe(observations)

    def step(self, actions: dict[Any, Any]) -> tuple[list[Trajectory], bool]:
        """Takes a step; returns the trajectories that have ended, and whether the episode has."""
        observations, rewards, terminated, truncated, _ = self._env.step(actions)
        self.length += 1
        for agent, reward in rewards.items():
            self.returns[agent] += float(reward)
            if agent in self.trajectories:
                self.trajectories[agent].held += float(reward)
        self.waiting = {}
        self._observe(observations)
        is_over, ended = bool(terminated[ALL] or truncated[ALL]), []
        for agent in [agent for agent in self.trajectories if is_over or terminated.get(agent) or truncated.get(agent)]:
            ended.append(self.trajectories.pop(agent))
            ended[-1].end(bool(terminated.get(agent) or (terminated[ALL] and not truncated.get(agent))))
        for agent in [agent for agent in self.waiting if is_over or terminated.get(agent) or truncated.get(agent)]:
            del self.waiting[agent]
        return ended, is_over

    @property
    def seconds(self) -> float:
        """How long the episode has taken."""
        return time.perf_counter() - self._started

    def _observe(self, observations: Mapping[Any, Any]) -> None:
        for agent, observation in observations.items():
            if agent in self._roles.fixed:
                self.waiting[agent] = observation
                continue
            self.waiting[agent] = seen = self._roles.adapters[agent].encode(observation)
            if agent in self._roles.trained:
                if agent not in self.trajectories:
                    self.trajectories[agent] = Trajectory(agent, self._roles.trained[agent], self._id)
                self.trajectories[agent].observe(seen)
