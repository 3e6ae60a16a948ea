"""What env runners have sampled, counted to the last digit; RLlib's own metrics are means over windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ray.rllib.env.single_agent_episode import SingleAgentEpisode

SAMPLED = "sampled"  # the metric of an env runner that is a Sampled


@dataclass
class Sampled:
    """What one call of `sample` has brought, or those of all env runners in an iteration.

    Attributes:
        env_steps: of all copies; a step that only resets is none.
        returns: of the episodes that have ended, in the order of their ends in each env runner.
        lengths: the steps of each of them.
        observations_out_of_bounds: with a float outside the bounds of its space.
        log_lines: what was logged in the environments meanwhile.
    """

    env_steps: int = 0
    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    observations_out_of_bounds: int = 0
    log_lines: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Sampled":
        """Returns what all env runners have sampled, from RLlib's result of an iteration."""
        found = result["env_runners"].get(SAMPLED, [])
        found = found if isinstance(found, list) else [found]  # RLlib unwraps a list of one item
        total = type(found[0])() if found else cls()
        for one in found:
            for name, value in vars(one).items():
                setattr(total, name, getattr(total, name) + value)
        return total


class EpisodeCounter:
    """Adds up the returns and the lengths of episodes that come in chunks."""

    def __init__(self) -> None:
        self._ongoing: dict[str, tuple[float, int]] = {}  # return and length so far, by the episode's ID

    def count(self, chunks: Sequence["SingleAgentEpisode"]) -> Sampled:
        """Counts what was sampled. To be called before the learner has it, which lengthens the chunks."""
        sampled = Sampled()
        for chunk in chunks:
            sampled.env_steps += len(chunk)
            earlier, length = self._ongoing.pop(chunk.id_, (0.0, 0))
            length += len(chunk)
            # One reward after the other, as an environment adds them up: the same sum however the episode is cut.
            total = float(np.cumsum([earlier, *chunk.get_rewards()])[-1])
            if chunk.is_done:
                sampled.returns.append(total)
                sampled.lengths.append(length)
            else:
                self._ongoing[chunk.id_] = total, length
        return sampled
