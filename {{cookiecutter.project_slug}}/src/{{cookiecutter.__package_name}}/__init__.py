"""{{cookiecutter.__description}}"""

from functools import partial

from .kit.errors import importing

with importing(__name__):
    from .env import {{cookiecutter.__class_name}}
    from .kit.policy import load_policy
    from .registration import ENV_ID, TASK, env_creator, register_env

load_policy = partial(load_policy, env_id=ENV_ID)  # without an argument, the newest run of this environment

__all__ = ["ENV_ID", "TASK", "{{cookiecutter.__class_name}}", "env_creator", "load_policy", "register_env"]
