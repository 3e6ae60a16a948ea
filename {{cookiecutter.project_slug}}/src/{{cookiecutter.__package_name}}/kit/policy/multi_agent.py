"""The policies of several agents: who acts for whom, and a folder that holds one for each name.

policies.json says what policy.json does, but for `agents`, a list of [agent ID, name of its policy or null], and the
`spaces` of each policy. Beside it lies a policy's own folder for each name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_json
from ..spaces import limits_of
from .actor import Actor
from .find import POLICIES
from .folder import FORMAT, load_folder, read_facts, save_policy
from .space_json import to_json


class MultiPolicy:
    """The trained policies of several agents: observations in, actions out, both as dicts by agent ID.

    Attributes:
        policies: each by its name.
        agents: the name of each agent's policy; None where none was trained for it.
        facts: what policies.json holds: where the policies come from, and how far they were trained.
    """

    def __init__(
        self,
        policies: Mapping[Any, Any],
        agents: Mapping[Any, Any],
        facts: Mapping[str, Any],
        others: Mapping[Any, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.policies, self.agents, self.facts = dict(policies), dict(agents), facts
        self.others = dict(others or {})  # what acts for agents without a policy

    def __call__(self, observations: Mapping[Any, Any], deterministic: bool = True) -> dict[Any, Any]:
        """Returns the actions of the agents that are observed.

        Args:
            observations: of each agent that acts next, in its own space; those that share a policy are one batch.
            deterministic: the most likely actions; otherwise drawn as in training.

        Returns:
            An action for each of these agents, but for those that no policy was trained for.

        Raises:
            ValueError: an agent isn't known, or its observation is not in its space.
        """
        actions, turns = {}, dict[Any, list[Any]]()
        for agent in observations:
            if agent not in self.agents:
                raise ValueError(f"there is no agent {agent!r}; known are: {', '.join(map(repr, self.agents))}")
            if agent in self.others:
                actions[agent] = self.others[agent](observations[agent])
            elif self.agents[agent] is not None:
                turns.setdefault(self.agents[agent], []).append(agent)
        for name, agents in turns.items():
            actions.update(zip(agents, self._batch(name, agents, observations, deterministic), strict=True))
        return {agent: actions[agent] for agent in observations if agent in actions}

    def _batch(self, name: Any, agents: list[Any], observations: Mapping[Any, Any], deterministic: bool) -> Any:
        policy = self.policies[name]
        try:
            return policy.batch([observations[agent] for agent in agents], deterministic)
        except ValueError:
            for agent in agents:  # whose observation is it?
                try:
                    policy(observations[agent])
                except ValueError as error:
                    raise ValueError(f"agent {agent!r}: {error}") from None
            raise

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode; a seed makes what the policies draw repeatable."""
        for place, policy in enumerate(self.policies.values()):
            policy.reset(None if seed is None else seed * len(self.policies) + place)


def spaces_of_agent(env: Any, agent: Any) -> dict[str, Any]:
    """Returns the spaces of an agent as JSON values, as `folder.spaces_of` does for a single one."""
    own = {"observation": env.unwrapped.observation_spaces[agent], "action": env.unwrapped.action_spaces[agent]}
    return {name: to_json(space) for name, space in own.items()} | {"limits": limits_of(env)._asdict()}


def save_policies(folder: Path, actors: Mapping[str, Actor], facts: Mapping[str, Any]) -> None:
    """Writes the policies of several agents into a folder, which is made here.

    Args:
        folder: of the policies.
        actors: what was trained, by name.
        facts: as of `save_policy`, but `spaces` by policy (see `spaces_of_agent`), and `agents`: pairs of an agent's ID
            and the name of its policy, or None.
    """
    folder.mkdir()
    shared = {name: fact for name, fact in facts.items() if name != "agents"}
    for name, actor in actors.items():
        save_policy(folder / name, actor, {**shared, "spaces": facts["spaces"][name]})
    write_json(folder / POLICIES, {"format": FORMAT, **facts})


def load_policies(folder: Path) -> MultiPolicy:
    """Loads the policies of several agents.

    Raises:
        UsageError: one of them is damaged, or of another version.
    """
    facts = read_facts(folder)
    try:
        agents, names = agents_of(facts), list(facts["spaces"])
        unknown = set(agents.values()) - {None, *names}
    except (AttributeError, TypeError, ValueError) as error:  # anyone may have written the file
        raise UsageError(f"{folder / POLICIES} is damaged: {error}") from None
    if unknown:
        raise UsageError(f"{folder / POLICIES} is damaged: it names the policies {sorted(unknown)}, but has {names}")
    return MultiPolicy({name: load_folder(folder / name) for name in names}, agents, facts)


def agents_of(facts: Mapping[str, Any]) -> dict[Any, str | None]:
    """Returns the name of each agent's policy, which policies.json lists; nothing for a single agent."""
    return {_hashable(agent): name for agent, name in facts.get("agents", ())}


def _hashable(agent: Any) -> Any:
    """Returns an agent's ID as it was: JSON has no tuples."""
    return tuple(map(_hashable, agent)) if isinstance(agent, list) else agent
