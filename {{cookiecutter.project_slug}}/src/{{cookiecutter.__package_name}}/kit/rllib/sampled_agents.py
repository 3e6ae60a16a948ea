"""What env runners have sampled of several agents."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from .sampled import Sampled


@dataclass
class SampledAgents(Sampled):
    """What one call of `sample` has brought, or those of all env runners in an iteration.

    Attributes:
        returns: of each episode, the sum over the agents whose policies are trained.
        agent_steps: of these agents.
        agent_returns: of each episode, those of all its agents by their names.
    """

    agent_steps: int = 0
    agent_returns: list[dict[str, float]] = field(default_factory=list)


class AgentsCounter:
    """Counts what was sampled, until `count` is asked.

    Attributes:
        sampled: so far.
    """

    def __init__(self) -> None:
        self.sampled = SampledAgents()

    def count(self, chunks: Sequence[SingleAgentEpisode]) -> SampledAgents:
        """Returns what was sampled since the last call; its chunks hold the steps of the agents."""
        sampled, self.sampled = self.sampled, SampledAgents()
        sampled.agent_steps = sum(map(len, chunks))
        return sampled
