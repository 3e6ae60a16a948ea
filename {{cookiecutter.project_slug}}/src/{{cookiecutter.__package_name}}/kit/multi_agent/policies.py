"""Who acts for whom: what the project's `policy_of` says of each agent, read once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import RunError, one_line
from ..spaces import Adapters
from .adapters import adapters_by_agent, spaces_by_agent

PolicyOf = Callable[[Any], Any]


@dataclass(frozen=True)
class PastSelf:
    """A snapshot of a trained policy from earlier in the run, drawn anew at the start of each episode.

    Attributes:
        policy: its name.
    """

    policy: str


@dataclass(frozen=True)
class Roles:
    """Who acts for each agent that there can be; each is in one of the first three.

    Attributes:
        trained: the name of its policy, by agent.
        past: the name of the trained policy whose snapshots act.
        fixed: a function from an observation to an action, both as the environment has them.
        adapters: of every agent.
    """

    trained: Mapping[Any, str]
    past: Mapping[Any, str]
    fixed: Mapping[Any, Callable[[Any], Any]]
    adapters: Mapping[Any, Adapters]

    @property
    def policies(self) -> dict[str, Adapters]:
        """The adapters of each trained policy."""
        return {name: self.adapters[agent] for agent, name in self.trained.items()}

    @property
    def pairs(self) -> list[list[Any]]:
        """Each agent with the name of its trained policy, or None, as JSON values."""
        return [[agent, self.trained.get(agent)] for agent in self.adapters]


def roles_of(env: Any, policy_of: PolicyOf | None) -> Roles:
    """Returns who acts for whom.

    Args:
        env: in its own spaces.
        policy_of: of the project; None lets agents with equal spaces share a policy.

    Raises:
        RunError: it can't be; the message says what to write instead.
        UnsupportedSpace: PPO can't learn with a space of an agent.
    """
    spaces = spaces_by_agent(env)
    trained: dict[Any, str] = {}
    past: dict[Any, str] = {}
    fixed: dict[Any, Callable[[Any], Any]] = {}
    given = {agent: _asked(policy_of, agent) for agent in spaces} if policy_of else _shared(spaces)
    for agent, policy in given.items():
        if isinstance(policy, str):
            trained[agent] = policy
        elif isinstance(policy, PastSelf):
            past[agent] = policy.policy
        elif callable(policy):
            fixed[agent] = policy
        else:
            raise RunError(
                f"policy_of({agent!r}) returns {policy!r}; return the name of a policy, a function from an observation to "
                "an action, or PastSelf(name)"
            )
    if not trained:
        raise RunError("policy_of names no policy to train; return a name for at least one agent")
    _require_equal_spaces(trained, past, spaces)
    return Roles(trained, past, fixed, adapters_by_agent(env))


def _require_equal_spaces(trained: Mapping[Any, str], past: Mapping[Any, str], spaces: Mapping[Any, Any]) -> None:
    """Raises RunError where the name of a policy can't be, or where the agents that it acts for have other spaces."""
    first = {name: next(agent for agent in trained if trained[agent] == name) for name in trained.values()}
    for agent, name in {**trained, **past}.items():
        if not re.fullmatch(r"[\w-]+", name) or name == "default_policy":
            raise RunError(f"policy_of({agent!r}) names a policy {name!r}; use letters, digits, _ and -")
        if name not in first:
            known = ", ".join(map(repr, first))
            raise RunError(f"policy_of({agent!r}) is PastSelf({name!r}), which no agent trains; trained are {known}")
        if spaces[agent] != spaces[first[name]]:
            raise RunError(
                f"policy_of gives {name!r} to {first[name]!r} and {agent!r}, whose spaces differ: {spaces[first[name]]} and "
                f"{spaces[agent]}; return another name for one of them"
            )


@cache
def _asked(policy_of: PolicyOf, agent: Any) -> Any:
    """Returns what the project says of an agent; asked once a process, since it may load a policy."""
    try:
        return policy_of(agent)
    except Exception as error:
        raise RunError(f"policy_of({agent!r}) fails: {one_line(error)}") from None


def _shared(spaces: Mapping[Any, Any]) -> dict[Any, str]:
    """Returns a name for each agent, the same for those with equal spaces."""
    kinds: list[Any] = []
    for own in spaces.values():
        if own not in kinds:
            kinds.append(own)
    return {agent: f"policy_{kinds.index(own)}" for agent, own in spaces.items()}
