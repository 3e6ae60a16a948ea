"""What agents have seen and done since sampling began: rows of a batch for each policy, cut into trajectories."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode


@dataclass
class Trajectory:
    """The part of an agent in an episode, as far as it has not been handed to the learner.

    Attributes:
        agent: its ID.
        policy: the name of its policy.
        episode: the ID of the episode.
        start: the steps that the learner has had before.
        observation: the last one, which the agent must act on; None where it rests since its action.
        rows: of its policy's batch, one for each action that it has taken.
        rewards: of all these steps, but for the last one where the agent rests.
        held: what it has been rewarded with since its last action.
        terminated: it has ended.
        truncated: it was cut off.
    """

    agent: Any
    policy: str
    episode: str
    start: int = 0
    observation: Any = None
    rows: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    held: float = 0.0
    terminated: bool = False
    truncated: bool = False

    def observe(self, observation: Any) -> None:
        """Takes the next observation, which completes the last step."""
        if self.observation is None and self.rows:
            self.rewards.append(self.held)
            self.held = 0.0
        self.observation = observation

    def act(self, row: int) -> None:
        """Takes an action, which is in a row of the policy's batch."""
        self.rows.append(row)
        self.observation = None

    def end(self, terminated: bool) -> None:
        """Ends it; without a last observation the one before stands for it."""
        self.terminated, self.truncated = terminated, not terminated
        if self.observation is None:
            self.rewards.append(self.held)
        else:
            self.observation = tree.map_structure(np.array, self.observation)  # a reset may write over it


class Batch:
    """The steps of all agents of one policy, in the order in which they were taken."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._size = 0

    def add(self, step: dict[str, Any], size: int) -> int:
        """Adds a step of so many agents, one a row; returns the first of the rows."""
        first, self._size = self._size, self._size + size
        self._steps.append(step)
        return first

    def cut(self, trajectories: Iterable[Trajectory], spaces: Any) -> list[SingleAgentEpisode]:
        """Returns what the learner has not had of trajectories, each as an episode of one agent.

        Those that go on begin anew, in an empty batch: with the step that is not complete yet, if there is one.

        Args:
            trajectories: of this policy.
            spaces: the policy's adapters.
        """
        columns = tree.map_structure(lambda *parts: np.concatenate(parts), *self._steps) if self._steps else {}
        episodes: list[SingleAgentEpisode] = []
        resting: list[int] = []
        for one in trajectories:
            if one.rewards:
                episodes.append(_episode(columns, one, spaces))
            one.start += len(one.rewards)
            incomplete = one.rows[len(one.rewards) :]
            one.rewards, one.rows = [], [len(resting)] if incomplete else []
            resting += incomplete
        self._steps, self._size = [], 0
        if resting:
            self.add(tree.map_structure(lambda column: column[resting], columns), len(resting))
        return episodes


def _episode(columns: dict[str, Any], one: Trajectory, spaces: Any) -> SingleAgentEpisode:
    """Returns the complete steps of a trajectory."""
    steps = len(one.rewards)
    rows = np.array(one.rows[:steps])
    taken = tree.map_structure(lambda column: column[rows], columns)
    if one.observation is not None:
        last = one.observation
    else:  # of a resting agent, the observation that it acted on last; of an ended one, the same again
        last = tree.map_structure(lambda column: column[one.rows[-1]], columns[Columns.OBS])
    return SingleAgentEpisode(
        id_=f"{one.episode}/{one.agent}",
        agent_id=one.agent,
        module_id=one.policy,
        # RLlib puts together what has the same ID, in an order of its own: each piece needs another.
        multi_agent_episode_id=f"{one.episode}/{one.start}",
        observations=tree.map_structure(
            lambda column, end: np.concatenate([column, end[None]]), taken.pop(Columns.OBS), last
        ),
        observation_space=spaces.seen,
        infos=[{}] * (steps + 1),
        actions=taken.pop(Columns.ACTIONS),
        action_space=spaces.chosen,
        rewards=np.array(one.rewards),
        terminated=one.terminated,
        truncated=one.truncated,
        extra_model_outputs=taken,
        t_started=one.start,
        len_lookback_buffer=0,
    )
