"""How far a run of several agents is: the returns of each of them, and of their policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..policy.measure import MOST_AGENTS
from .run_folder import RunFolder
from .status import WINDOW_EPISODES, Status


@dataclass
class MultiAgentStatus(Status):
    """How far a run of several agents is; its returns are the sums over the agents that are trained.

    Attributes:
        agents: each with the name of its policy, or None.
        agent_steps: of those that are trained.
        recent_agent_returns: of the last episodes, by the names of all agents that were in them.
    """

    agents: list[list[Any]] = field(default_factory=list)
    agent_steps: int = 0
    recent_agent_returns: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of_last_checkpoint(cls, folder: RunFolder, facts: Mapping[str, Any]) -> "MultiAgentStatus":
        """Returns the status to go on with, for the agents that there are now."""
        status = super().of_last_checkpoint(folder, facts)
        assert isinstance(status, cls)
        status.agents = facts["agents"]
        return status

    def after(self, sampled: Any, seconds: float) -> "MultiAgentStatus":
        """Returns the status after one more iteration."""
        status = super().after(sampled, seconds)
        assert isinstance(status, MultiAgentStatus)
        status.agent_steps += sampled.agent_steps
        status.recent_agent_returns = (self.recent_agent_returns + sampled.agent_returns)[-WINDOW_EPISODES:]
        return status

    @property
    def policies(self) -> list[str]:
        """The names of the trained policies."""
        return policies_of(self.agents)

    def columns(self) -> dict[str, Any]:
        """Returns the agents' steps, and the mean return of each agent and policy in the episodes that it was in."""
        found: dict[str, Any] = {"agent_steps": self.agent_steps}
        if len(self.agents) <= MOST_AGENTS:
            found |= {f"return_{agent}": self._mean([agent]) for agent, _ in self.agents}
        for name in self.policies:
            found[f"return_{name}"] = self._mean(agent for agent, policy in self.agents if policy == name)
        return found

    def _mean(self, agents: Iterable[Any]) -> float | None:
        names = {str(agent) for agent in agents}
        returns = [one for episode in self.recent_agent_returns for name, one in episode.items() if name in names]
        return sum(returns) / len(returns) if returns else None


def policies_of(agents: Iterable[list[Any]]) -> list[str]:
    """Returns the names of the trained policies, of pairs of an agent and its policy."""
    return list(dict.fromkeys(policy for _, policy in agents if policy is not None))
