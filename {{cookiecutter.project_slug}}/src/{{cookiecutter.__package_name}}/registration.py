"""One way to make the environment, for Gymnasium's users and for each of RLlib's copies."""

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from .adapters import adapt, adapt_vector
from .checks.views import FirstCopy
from .env import MAX_EPISODE_STEPS, {{cookiecutter.__class_name}}
from .guard import Guard
from .guard.vector import VectorGuard

ENV_ID = "{{cookiecutter.__package_name}}/{{cookiecutter.__env_name}}-v0"
COPIES_TO_CHECK = 3  # of a VectorEnv, where nobody says how many


def is_vector_env() -> bool:
    """Tells whether the environment steps all its copies itself: whether its class is a VectorEnv.

    Its config must then have the field `num_envs: int = 1`, the number of copies.
    """
    return issubclass({{cookiecutter.__class_name}}, VectorEnv)


def make_env(config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Makes one copy of the environment, in its own spaces, with its time limit and a config of its own.

    Args:
        config: None, a dict or RLlib's EnvContext. RLlib hands the same object to every copy of an env runner;
            each copy gets a deep copy here, so that none can change another's.
        render_mode: one of the environment's `metadata["render_modes"]` to look at it, else None.
    """
    return gym.make(ENV_ID, config=copy.deepcopy(config), render_mode=render_mode, disable_env_checker=True)


def make_vector_env(
    config: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    num_envs: int = COPIES_TO_CHECK,
    max_episode_steps: int | None = None,
) -> Any:
    """Makes a VectorEnv, in its own spaces; `gymnasium.make_vec` calls it.

    Args:
        config: as of `make_env`; its `num_envs` goes before the argument.
        render_mode: as of `make_env`.
        num_envs: how many copies it steps.
        max_episode_steps: what `make_vec` passes on.

    Raises:
        ValueError: another time limit than that of env.py, which the environment itself keeps to.
    """
    if max_episode_steps not in (None, MAX_EPISODE_STEPS):
        raise ValueError(f"max_episode_steps is {MAX_EPISODE_STEPS}: a VectorEnv counts itself; change it in env.py")
    own: Any = {} if config is None else copy.deepcopy(config)
    own.setdefault("num_envs", num_envs)
    return {{cookiecutter.__class_name}}(own, render_mode=render_mode)


class SingleCopy(FirstCopy):
    """A VectorEnv of one copy as a `gymnasium.Env`, to evaluate and to watch it."""

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        super().__init__(make_vector_env({**(config or {}), "num_envs": 1}, render_mode))
        self.config = self.env.unwrapped.config

    @property
    def unwrapped(self) -> "SingleCopy":
        """This environment: what lies below is no `gymnasium.Env`."""
        return self

    def __str__(self) -> str:
        return f"<SingleCopy of {self.env}>"


def env_creator(config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Makes one copy of the environment as PPO learns it, with the adapters around `make_env`'s.

    Raises:
        UnsupportedSpace: PPO can't learn with one of its spaces; the message says what to use instead.
    """
    return adapt(make_env(config, render_mode))


def training_env(config: Mapping[str, Any] | None = None) -> Any:
    """Makes what an env runner steps: adapters around a Guard, which ends training on what would only spoil it.

    Returns:
        One copy; all `num_envs` of the config in a VectorEnv, where the environment is one.
    """
    return adapt_vector(VectorGuard(make_vector_env(config))) if is_vector_env() else adapt(Guard(make_env(config)))


def register_env() -> str:
    """Makes the environment known to RLlib, on every machine of a cluster; returns the name to use there."""
    from ray.tune.registry import register_env as register_with_ray  # late: the checks do without Ray

    register_with_ray(ENV_ID, training_env)
    return ENV_ID
