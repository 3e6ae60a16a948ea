"""What is put around an environment of one agent, of several, or of all copies at once; imported when one is made."""

from collections.abc import Callable, Mapping
from typing import Any

from gymnasium.vector import VectorEnv

from .guard import Guard, VectorGuard
from .kinds import is_multi_agent
from .spaces import adapt, adapt_vector
from .spaces.views import SingleCopy, Wrapped


def single(task: Any, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> Any:
    """Makes what `gymnasium.make` takes of a task's class that is no plain environment."""
    if task.is_multi_agent:
        from .multi_agent import TimeLimit  # late, here and below: few have several agents

        return TimeLimit(task.env_class(config, render_mode=render_mode), task.max_episode_steps)
    if task.is_vector:
        return SingleCopy(task.make_vector({**(config or {}), "num_envs": 1}, render_mode))
    return Wrapped(task.env_class(config=config, render_mode=render_mode))


def adapted(env: Any) -> Any:
    """Returns an environment with the adapters around it; raises UnsupportedSpace."""
    if is_multi_agent(type(env.unwrapped)):
        from .multi_agent.adapters import AdaptedAgents

        return AdaptedAgents(env)
    return adapt(env)


def guarded(env: Any) -> Any:
    """Returns an environment with a Guard around it, and with adapters unless it is of several agents."""
    if isinstance(env, VectorEnv):
        return adapt_vector(VectorGuard(env))
    if is_multi_agent(type(env.unwrapped)):
        from .multi_agent.guard import MultiAgentGuard

        return MultiAgentGuard(env)
    return adapt(Guard(env))


def for_rllib(make_guarded: Callable[[Any], Any], config: Mapping[str, Any] | None = None) -> Any:
    """Makes what RLlib's own env runners take."""
    env = make_guarded(config)
    if is_multi_agent(type(env.unwrapped)):
        from .multi_agent.adapters import as_rllib

        return as_rllib(env)
    return env
