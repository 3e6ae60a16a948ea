"""Vector and multi-agent environments, seen as single ones, so that all checks apply to them too."""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from .membership import SomeOf
from .views import FirstCopy, View

ALL = "__all__"


def as_single(env: Any) -> Any:
    """Returns the environment itself, or a view of it that has one observation, one action and one reward."""
    if isinstance(env, VectorEnv):
        return FirstCopy(env)
    return AllAgents(env) if is_multi_agent(env) else env


def is_multi_agent(env: Any) -> bool:
    """Tells whether it is an RLlib MultiAgentEnv or a PettingZoo ParallelEnv, told without importing either."""
    names = {base.__name__ for base in type(getattr(env, "unwrapped", env)).__mro__}
    return bool(names & {"MultiAgentEnv", "ParallelEnv"}) and hasattr(env, "step")


def is_view(env: Any) -> bool:
    """Tells whether it is such a view."""
    return isinstance(env, View)


class AllAgents(View):
    """All agents of a multi-agent environment as one: dicts of observations and actions, the sum of the rewards."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._present: list[Any] = []
        agents = list(getattr(env, "possible_agents", None) or getattr(env, "agents", []))
        self._agents = agents
        self.observation_space = SomeOf({agent: _space_of(env, "observation", agent) for agent in agents})
        self.action_space = spaces.Dict({agent: _space_of(env, "action", agent) for agent in agents})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._seen(observations), infos

    def step(self, action: Any) -> Any:
        present = {agent: action[agent] for agent in self._present}
        observations, rewards, terminated, truncated, infos = self.env.step(present)
        wrong = [reward for reward in rewards.values() if not isinstance(reward, int | float | np.number)]
        reward = wrong[0] if wrong else float(sum(rewards.values()))
        flags = [flag[ALL] if ALL in flag else all(flag.values()) for flag in (terminated, truncated)]
        return self._seen(observations), reward, *flags, infos

    def _seen(self, observations: Any) -> Any:
        if isinstance(observations, dict):
            self._present = [agent for agent in observations if agent in self._agents]
        return observations


def _space_of(env: Any, what: str, agent: Any) -> Any:
    for name in (f"get_{what}_space", f"{what}_space"):
        method = getattr(env, name, None)
        if callable(method) and not isinstance(method, spaces.Space):
            return method(agent)
    table = getattr(env, f"{what}_spaces", None)
    return table[agent] if table else getattr(env, f"{what}_space")[agent]
