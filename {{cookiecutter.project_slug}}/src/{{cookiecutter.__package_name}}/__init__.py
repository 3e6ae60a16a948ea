"""{{cookiecutter.__description}}"""

import gymnasium as gym

from .env import MAX_EPISODE_STEPS, REWARD_THRESHOLD, {{cookiecutter.__class_name}}
from .registration import ENV_ID, env_creator, register_env

__all__ = ["ENV_ID", "{{cookiecutter.__class_name}}", "env_creator", "register_env"]

gym.register(
    id=ENV_ID,
    entry_point="{{cookiecutter.__package_name}}.env:{{cookiecutter.__class_name}}",
    max_episode_steps=MAX_EPISODE_STEPS,
    reward_threshold=REWARD_THRESHOLD,
)
