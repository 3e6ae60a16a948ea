"""A trained policy, or those of several agents, and the environment to act in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from ..errors import RunError, UsageError, one_line
from ..task import Task
from .find import POLICIES
from .folder import load_folder, read_facts, spaces_of
from .multi_agent import MultiPolicy, load_policies, spaces_of_agent


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
        raise UsageError(f"{folder} is the policy of one name; give the folder above it, which holds {POLICIES}")
    config = facts["env_config"] if config is None else config
    try:
        env = task.make(config, render_mode)
    except Exception as error:
        raise RunError(f"the environment can't be made with the config {config}: {one_line(error)}") from None
    if task.is_multi_agent:
        return _for_all(task, folder, env), env
    read_facts(folder, task.env_id, spaces_of(env))
    return load_folder(folder), env


def _for_all(task: Task, folder: Path, env: Any) -> MultiPolicy:
    """Returns the policies of a folder; agents without one are played as the task says.

    Raises:
        UsageError: the environment has other agents or other spaces than those that were trained for.
    """
    policy = load_policies(folder)
    for agent in env.unwrapped.possible_agents:
        if agent not in policy.agents:
            known = ", ".join(map(str, policy.agents))
            raise UsageError(f"{folder} has no policy for the agent {agent!r}, only for {known}; train it anew")
        if (name := policy.agents[agent]) is not None:
            read_facts(folder / name, task.env_id, spaces_of_agent(env, agent))
        elif task.policy_of and callable(player := task.policy_of(agent)):
            policy.others[agent] = player
        else:
            raise UsageError(f"{folder} has no policy for the agent {agent!r}, and policy_of none that is a function")
    return policy
