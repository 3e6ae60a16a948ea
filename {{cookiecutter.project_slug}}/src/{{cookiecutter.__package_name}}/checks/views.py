"""Vector and multi-agent environments, seen as single ones, so that all checks apply to them too."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from .locations import unwrapped

ALL = "__all__"


def as_single(env: Any) -> Any:
    """The environment itself, or a view of it that has one observation, one action and one reward."""
    if isinstance(env, VectorEnv):
        return FirstCopy(env)
    return AllAgents(env) if is_multi_agent(env) else env


def is_multi_agent(env: Any) -> bool:
    """Whether it is an RLlib MultiAgentEnv or a PettingZoo ParallelEnv, told without importing either."""
    names = {base.__name__ for base in type(unwrapped(env)).__mro__}
    return bool(names & {"MultiAgentEnv", "ParallelEnv"}) and hasattr(env, "step")


def is_view(env: Any) -> bool:
    """Whether it is such a view."""
    return isinstance(env, _View)


class _View(gymnasium.Env):
    """What both views share: everything else is the environment's own."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.metadata = dict(getattr(env, "metadata", None) or {})  # A copy: SyncVectorEnv writes into it.
        self.render_mode = getattr(env, "render_mode", None)
        self.spec = getattr(env, "spec", None)

    @property
    def unwrapped(self) -> Any:
        """The user's own object."""
        return unwrapped(self.env)

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()


class FirstCopy(_View):
    """The first copy of a vector environment, all copies getting the same action."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self.observation_space = env.single_observation_space
        self.action_space = env.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        return first_row(observations), first_info(infos)

    def step(self, action: Any) -> Any:
        copies = self.env.num_envs
        actions = concatenate(self.action_space, [action] * copies, create_empty_array(self.action_space, copies))
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        obs = first_row(observations)
        if (terminated[0] or truncated[0]) and mode_of(self.env) is AutoresetMode.SAME_STEP:
            obs = first_row(infos.get("final_obs", observations))
        return obs, rewards[0], terminated[0], truncated[0], first_info(infos)

    def render(self) -> Any:
        frames = self.env.render()
        return frames[0] if isinstance(frames, tuple | list) and len(frames) == self.env.num_envs else frames


class AllAgents(_View):
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


class SomeOf(spaces.Dict):
    """A Dict space of which an observation may lack keys: agents come and go."""


def _space_of(env: Any, what: str, agent: Any) -> Any:
    for name in (f"get_{what}_space", f"{what}_space"):
        method = getattr(env, name, None)
        if callable(method) and not isinstance(method, spaces.Space):
            return method(agent)
    table = getattr(env, f"{what}_spaces", None)
    return table[agent] if table else getattr(env, f"{what}_space")[agent]


def first_row(batch: Any) -> Any:
    """The first copy's part of a batch."""
    if isinstance(batch, dict):
        return {key: first_row(value) for key, value in batch.items()}
    if isinstance(batch, tuple) and batch and isinstance(batch[0], np.ndarray | dict | tuple):
        return tuple(first_row(value) for value in batch)
    return batch[0]


def first_info(infos: Any) -> Any:
    """The first copy's part of a vector environment's infos; anything else as it is."""
    if not isinstance(infos, dict):
        return infos
    rows = {key: value[0] for key, value in infos.items() if isinstance(value, np.ndarray) and len(value)}
    return {key: value for key, value in rows.items() if not key.startswith("_")}


def mode_of(env: VectorEnv) -> Any:
    """How a vector environment says that it resets its copies."""
    return (getattr(env, "metadata", None) or {}).get("autoreset_mode")
