"""What a run trains: one policy, or one for each kind of agent."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config import config_of
from ..policy.folder import spaces_of
from ..policy.measure import MOST_AGENTS
from ..policy.networks import network_summary, seen_and_chosen
from ..task import Task
from .run_folder import RunFolder
from .status import Status

if TYPE_CHECKING:
    from ..multi_agent.policies import Roles
    from .self_play import SelfPlay


class Subject:
    """What is trained for a single agent.

    Attributes:
        env_config: all fields of the environment's config.
        policies: what each observes and does, adapted.
        spaces: what each checkpoint says of the environment's own.
        agents: likewise; empty for a single one.
        roles: who acts for whom among several agents, else None.
        status: the class of the run's status.
    """

    roles: "Roles | None" = None
    status: type[Status] = Status
    agents: Mapping[str, Any] = {}

    def __init__(self, task: Task, config: Mapping[str, Any]) -> None:
        env = task.make_adapted(config)
        env.close()
        self.env_config = config_of(env) or dict(config)
        self.spaces = self._spaces(task, env)
        self.policies = seen_and_chosen(env)

    def summaries(self, numbers: Mapping[str, Any]) -> list[str]:
        """Says in a line for each policy which networks are built for it, and how they learn."""
        return [network_summary(self.policies[0][0], numbers)]

    def _spaces(self, task: Task, env: Any) -> dict[str, Any]:
        return spaces_of(env)


class Agents(Subject):
    """What is trained for several agents."""

    roles: "Roles"

    def summaries(self, numbers: Mapping[str, Any]) -> list[str]:
        """Says in a line for each policy who acts by it, which networks are built for it, and how they learn."""
        lines = []
        for name, adapters in self.roles.policies.items():
            agents = [str(agent) for agent, policy in self.roles.trained.items() if policy == name]
            who = ", ".join(agents) if len(agents) <= MOST_AGENTS else f"{len(agents)} agents"
            lines.append(f"{name} acts for {who}; {network_summary(adapters.seen, numbers)}")
        return lines

    def _spaces(self, task: Task, env: Any) -> dict[str, Any]:
        from ..policy.multi_agent import spaces_of_agent
        from .agents import MultiAgentStatus

        self.status, self.roles = MultiAgentStatus, task.roles(self.env_config)
        self.agents = {"agents": self.roles.pairs}
        return {name: spaces_of_agent(env, agent) for agent, name in self.roles.trained.items()}


def self_play_of(folder: RunFolder, facts: Mapping[str, Any], roles: "Roles | None") -> "SelfPlay | None":
    """Returns what keeps the past selves, where agents play against them; `facts` are those of each checkpoint."""
    if roles and roles.past:
        from .self_play import SelfPlay  # late: RLlib

        return SelfPlay(folder, set(roles.past.values()), facts)
    return None


def subject_of(task: Task, config: Mapping[str, Any]) -> Subject:
    """Returns what a task's run trains."""
    return (Agents if task.is_multi_agent else Subject)(task, config)
