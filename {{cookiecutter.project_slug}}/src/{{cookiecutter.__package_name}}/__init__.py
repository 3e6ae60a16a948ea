"""{{cookiecutter.__description}}"""

import gymnasium as gym

from .env import MAX_EPISODE_STEPS, REWARD_THRESHOLD, {{cookiecutter.__class_name}}
from .registration import ENV_ID, env_creator, is_vector_env, register_env

__all__ = ["ENV_ID", "{{cookiecutter.__class_name}}", "env_creator", "register_env"]

_PACKAGE = "{{cookiecutter.__package_name}}"
gym.register(
    id=ENV_ID,
    entry_point=f"{_PACKAGE}.registration:SingleCopy" if is_vector_env() else f"{_PACKAGE}.env:{{cookiecutter.__class_name}}",
    vector_entry_point=f"{_PACKAGE}.registration:make_vector_env" if is_vector_env() else None,
    max_episode_steps=MAX_EPISODE_STEPS,
    reward_threshold=REWARD_THRESHOLD,
)
