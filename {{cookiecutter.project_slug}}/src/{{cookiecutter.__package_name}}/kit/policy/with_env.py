"""A trained policy, or those of several agents, and the environment to act in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from ..errors import RunError, UsageError, one_line
from ..task import Task
from .find import POLICIES
from .folder import load_folder, read_facts, spaces_of


def load_with_env(
    task: Task, folder: Path, config: Mapping[str, Any] | None, render_mode: str | None = None
) -> tuple[Any, gym.Env[Any, Any]]:
    """Loads a policy, and makes the environment that it acts in; without a `config`, the one that it was trained in.

    Returns:
        A Policy, or a MultiPolicy for several agents, and the environment.

    Raises:
        UsageError: as of `load_folder`, or it is of another environment or other spaces.
        RunError: the environment can't be made.
    """
    facts = read_facts(folder, task.env_id)
    if task.is_multi_agent != ("agents" in facts):
        raise UsageError(f"{folder} is one policy of several agents'; give the folder above it, with the {POLICIES}")
    config = facts["env_config"] if config is None else config
    try:
        env = task.make(config, render_mode)
    except Exception as error:
        raise RunError(f"the environment can't be made with the config {config}: {one_line(error)}") from None
    if task.is_multi_agent:
        from .multi_agent import load_for  # late: few have several agents

        return load_for(task, folder, env), env
    read_facts(folder, task.env_id, spaces_of(env))
    return load_folder(folder), env
