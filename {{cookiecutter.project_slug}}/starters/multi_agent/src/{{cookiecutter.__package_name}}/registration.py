"""The task, and the one way to make its environment: for Gymnasium, for RLlib and for the kit."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from .env import MAX_EPISODE_STEPS, REWARD_THRESHOLD, {{cookiecutter.__class_name}}
from .kit.task import Task
from .policies import policy_of

ENV_ID = "{{cookiecutter.__package_name}}/{{cookiecutter.__env_name}}-v0"
TASK = Task(
    env_id=ENV_ID,
    env_class={{cookiecutter.__class_name}},
    max_episode_steps=MAX_EPISODE_STEPS,
    reward_threshold=REWARD_THRESHOLD,
    algorithm="{{cookiecutter.__package_name}}.ppo:ppo_config",
    policy_of=policy_of,
)
TASK.register()


def env_creator(config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Makes one copy of the environment as PPO learns it, its spaces adapted."""
    return TASK.make_adapted(config, render_mode)


def register_env() -> str:
    """Makes the environment known to RLlib, and returns the name to give to `PPOConfig().environment(...)`."""
    return TASK.register_with_rllib()
