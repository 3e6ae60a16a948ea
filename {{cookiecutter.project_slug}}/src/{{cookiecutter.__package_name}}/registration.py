"""One way to make the environment, for Gymnasium's users and for each of RLlib's copies."""

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from .adapters import adapt
from .guard import Guard

ENV_ID = "{{cookiecutter.__package_name}}/{{cookiecutter.__env_name}}-v0"


def make_env(config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Makes one copy of the environment, in its own spaces, with its time limit and a config of its own.

    Args:
        config: None, a dict or RLlib's EnvContext. RLlib hands the same object to every copy of an env runner;
            each copy gets a deep copy here, so that none can change another's.
        render_mode: one of the environment's `metadata["render_modes"]` to look at it, else None.
    """
    return gym.make(ENV_ID, config=copy.deepcopy(config), render_mode=render_mode, disable_env_checker=True)


def env_creator(config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Makes one copy of the environment as PPO learns it, with the adapters around `make_env`'s.

    Raises:
        UnsupportedSpace: PPO can't learn with one of its spaces; the message says what to use instead.
    """
    return adapt(make_env(config, render_mode))


def training_env(config: Mapping[str, Any] | None = None) -> gym.Env[Any, Any]:
    """Makes one copy as `env_creator` does, with a Guard that ends training on what would only spoil it."""
    return adapt(Guard(make_env(config)))


def register_env() -> str:
    """Makes the environment known to RLlib, on every machine of a cluster; returns the name to use there."""
    from ray.tune.registry import register_env as register_with_ray  # late: the checks do without Ray

    register_with_ray(ENV_ID, training_env)
    return ENV_ID
