"""The policies of several agents: who acts for whom, and a folder that holds one for each name.

policies.json says what policy.json does, but for `agents`, a list of [agent ID, name of its policy or null], and the
`spaces` of each policy. Beside it lies a policy's own folder for each name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_json
from ..multi_agent.adapters import spaces_by_agent
from ..multi_agent.policies import Roles, roles_of
from ..spaces import limits_of
from ..task import Task
from .actor import Actor
from .find import POLICIES
from .folder import FORMAT, load_folder, read_facts, save_policy
from .space_json import to_json

Others = Mapping[Any, Callable[[Any], Any]]


@dataclass(frozen=True)
class MultiPolicy:
    """The trained policies of several agents: observations in, actions out, both as dicts by agent ID.

    Attributes:
        policies: each by its name.
        agents: the name of each agent's policy; None where none was trained for it.
        facts: what policies.json holds: where the policies come from, and how far they were trained.
        others: functions of an observation that act for agents without a policy, where they are known.
    """

    policies: Mapping[str, Any]
    agents: Mapping[Any, str | None]
    facts: Mapping[str, Any]
    others: Others = field(default_factory=dict)

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
        actions, turns = {}, dict[str, list[Any]]()
        for agent in observations:
            if agent not in self.agents:
                raise ValueError(f"there is no agent {agent!r}; known are: {', '.join(map(repr, self.agents))}")
            if (name := self.agents[agent]) is not None:
                turns.setdefault(name, []).append(agent)
            elif agent in self.others:
                actions[agent] = self.others[agent](observations[agent])
        for name, agents in turns.items():
            actions.update(zip(agents, self._batch(name, agents, observations, deterministic), strict=True))
        return {agent: actions[agent] for agent in observations if agent in actions}

    def _batch(self, name: str, agents: list[Any], observations: Mapping[Any, Any], deterministic: bool) -> Any:
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
        players = [one for one in (*self.policies.values(), *self.others.values()) if hasattr(one, "reset")]
        for place, player in enumerate(players):
            player.reset(None if seed is None else seed * len(players) + place)

    def instead(self, policies: Mapping[str, Any]) -> "MultiPolicy":
        """Returns the same with other policies for the trained agents."""
        return replace(self, policies={**self.policies, **policies})

    def random(self) -> "MultiPolicy":
        """Returns the same with random actions of the trained agents."""
        return self.instead({name: policy.random() for name, policy in self.policies.items()})


def spaces_of_agent(env: Any, agent: Any) -> dict[str, Any]:
    """Returns the spaces of an agent as JSON values, as `folder.spaces_of` does for a single one."""
    observation, action = spaces_by_agent(env)[agent]
    return {"observation": to_json(observation), "action": to_json(action), "limits": limits_of(env)._asdict()}


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
        agents = {_hashable(agent): name for agent, name in facts["agents"]}
        if unknown := set(agents.values()) - {None, *facts["spaces"]}:
            raise ValueError(f"it has no spaces of the policies {sorted(unknown)}")
    except (TypeError, ValueError) as error:  # anyone may have written the file
        raise UsageError(f"{folder / POLICIES} is damaged: {error}") from None
    return MultiPolicy({name: load_folder(folder / name) for name in facts["spaces"]}, agents, facts)


def load_for(task: Task, folder: Path, env: Any) -> MultiPolicy:
    """Loads the policies of several agents to act in an environment; agents without one are played as the task says.

    A PastSelf is played by the policy itself, whoever is in the trained agents' place.

    Raises:
        UsageError: as of `load_policies`, or an agent's policy isn't there, or is of other spaces.
        RunError: the task doesn't say who acts for whom.
    """
    policy, roles = load_policies(folder), roles_of(env, task.policy_of)
    for agent, name in {**roles.trained, **roles.past}.items():
        if name not in policy.policies:
            known = ", ".join(policy.policies)
            raise UsageError(f"{folder} has no policy {name!r} for the agent {agent!r}, only {known}; train it anew")
        read_facts(folder / name, task.env_id, spaces_of_agent(env, agent))
    agents = {agent: roles.trained.get(agent) for agent in roles.adapters}
    return replace(policy, agents=agents, others=others_of(roles, policy.policies))


def others_of(roles: Roles, past: Mapping[str, Any]) -> Others:
    """Returns what acts for the agents that are not trained, with the policies `past` for past selves."""
    return {**roles.fixed, **{agent: past[name] for agent, name in roles.past.items()}}


def _hashable(agent: Any) -> Any:
    """Returns an agent's ID as it was: JSON has no tuples."""
    return tuple(map(_hashable, agent)) if isinstance(agent, list) else agent
