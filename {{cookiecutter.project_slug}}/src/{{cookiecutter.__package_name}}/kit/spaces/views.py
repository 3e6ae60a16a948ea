"""An environment that steps many copies, or many agents, seen as one with one observation, action and reward."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate


class View(gymnasium.Env):
    """What both views share: everything else is the environment's own."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.metadata = dict(getattr(env, "metadata", None) or {})  # a copy: SyncVectorEnv writes into it.
        self.render_mode = getattr(env, "render_mode", None)
        self.spec = getattr(env, "spec", None)

    @property
    def unwrapped(self) -> Any:
        """The user's own object."""
        return getattr(self.env, "unwrapped", self.env)

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()


class FirstCopy(View):
    """The first copy of a vector environment, all copies getting the same action."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self.observation_space = env.single_observation_space
        self.action_space = env.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._first(observations), first_info(infos)

    def step(self, action: Any) -> Any:
        copies = self.env.num_envs
        actions = concatenate(self.action_space, [action] * copies, create_empty_array(self.action_space, copies))
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if (terminated[0] or truncated[0]) and mode_of(self.env) is AutoresetMode.SAME_STEP:
            observations = infos.get("final_obs", observations)
        return self._first(observations), rewards[0], terminated[0], truncated[0], first_info(infos)

    def _first(self, observations: Any) -> Any:
        return next(iter(iterate(self.env.observation_space, observations)))

    def render(self) -> Any:
        frames = self.env.render()
        return frames[0] if isinstance(frames, tuple | list) and len(frames) == self.env.num_envs else frames


class SingleCopy(FirstCopy):
    """A VectorEnv of one copy as a `gymnasium.Env`, to evaluate and to watch it."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.config = env.unwrapped.config

    @property
    def unwrapped(self) -> "SingleCopy":
        """This environment: what lies below is no `gymnasium.Env`."""
        return self


class Wrapped(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A user's class of wrappers as an environment of its own: `gymnasium.make` takes only what is not wrapped."""

    spec = None  # what lies below has another; `gymnasium.make` sets this one

    @property
    def unwrapped(self) -> Any:
        """This environment: what lies below has other spaces."""
        return self

    @property
    def config(self) -> Any:
        """The config of the user's class."""
        return getattr(self.env, "config", None)


def first_info(infos: Any) -> Any:
    """Returns the first copy's part of a vector environment's infos; anything else as it is."""
    if not isinstance(infos, dict):
        return infos
    rows = {key: value[0] for key, value in infos.items() if isinstance(value, np.ndarray) and len(value)}
    return {key: value for key, value in rows.items() if not key.startswith("_")}


def mode_of(env: VectorEnv) -> Any:
    """Returns how a vector environment says that it resets its copies."""
    return (getattr(env, "metadata", None) or {}).get("autoreset_mode")
