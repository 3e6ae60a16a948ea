"""All agents as one that acts at random, to measure what a step of the environment costs."""

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from ..spaces import random_choice
from .adapters import AdaptedAgents
from .env import ALL


class AsOne:
    """An environment with one observation and one action: those of the agents that act, as their policies see them."""

    def __init__(self, env: Any) -> None:
        self._env = AdaptedAgents(env)
        self.observation_space = spaces.Dict({str(agent): one for agent, one in self._env.observation_spaces.items()})
        self.action_space = self
        self._waiting: dict[Any, Any] = {}

    def seed(self, seed: int) -> None:
        """Seeds what `sample` draws."""
        for space in self._env.action_spaces.values():
            space.seed(seed)

    def sample(self) -> dict[Any, Any]:
        """Draws an allowed action for each agent that acts next."""
        return {agent: random_choice(self._env.action_spaces[agent], seen) for agent, seen in self._waiting.items()}

    def reset(self, seed: int | None = None) -> tuple[None, dict[Any, Any]]:
        """Starts an episode."""
        self._waiting, infos = self._env.reset(seed=seed)
        return None, infos

    def step(self, actions: Mapping[Any, Any]) -> tuple[None, float, bool, bool, dict[Any, Any]]:
        """Takes a step."""
        observations, rewards, terminated, truncated, infos = self._env.step(actions)
        ended = {agent for flags in (terminated, truncated) for agent, flag in flags.items() if flag}
        self._waiting = {agent: seen for agent, seen in observations.items() if agent not in ended}
        return None, sum(rewards.values()), terminated[ALL], truncated[ALL], infos

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()
