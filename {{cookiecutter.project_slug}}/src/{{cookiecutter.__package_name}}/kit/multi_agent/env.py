"""What an environment of several agents is: RLlib's interface, without the seconds that importing RLlib takes."""

from collections.abc import Hashable, Mapping
from typing import Any

import gymnasium as gym

AgentID = Hashable
ALL = "__all__"  # in the dicts of terminated and truncated: the episode is over for every agent
_Env: Any = gym.Env  # whose declared types are those of a single agent


class MultiAgentEnv(_Env):
    """An environment whose observations, actions, rewards and flags are dicts by agent ID; derive yours from it.

    An agent whose ID is among the observations must act next; the others don't. It may begin late, end early and rest
    in between. When it ends, its last observation, reward and flag come together. RLlib's own `MultiAgentEnv` has the
    same interface, and does as well.

    Attributes:
        possible_agents: the IDs of all agents that there can ever be.
        agents: the IDs of those that take part now.
        observation_spaces: the space of each possible agent.
        action_spaces: likewise.
    """

    possible_agents: list[Any]
    agents: list[Any]
    observation_spaces: dict[Any, gym.Space[Any]]
    action_spaces: dict[Any, gym.Space[Any]]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Starts an episode; returns the observations of the agents that act first, and infos.

        Args:
            seed: of the random numbers, as `gymnasium.Env.reset` takes it.
            options: None, or what your environment offers.
        """
        super().reset(seed=seed)
        return {}, {}

    def step(
        self, actions: dict[Any, Any]
    ) -> tuple[dict[Any, Any], dict[Any, float], dict[Any, bool], dict[Any, bool], dict[Any, Any]]:
        """Takes a step with the actions of those who were observed.

        Returns:
            Observations, rewards, terminated, truncated and infos, by agent ID; the flags also for `"__all__"`.
        """
        raise NotImplementedError


class TimeLimit(gym.Wrapper[Any, Any, Any, Any]):
    """Truncates every agent that is left after so many steps, as Gymnasium's wrapper does for one.

    Who is not observed in that step gets its last observation once more, and a reward of 0: RLlib needs both of all that
    are truncated.

    Args:
        env: the environment.
        max_episode_steps: of an episode; None for no limit.
    """

    def __init__(self, env: Any, max_episode_steps: int | None) -> None:
        super().__init__(env)
        self._limit, self._steps = max_episode_steps, 0
        self._seen: dict[Any, Any] = {}  # the last observation of each agent that has not ended

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        started = self.env.reset(seed=seed, options=options)
        self._steps, self._seen = 0, {}
        self._note(started[0])
        return started

    def step(self, actions: Mapping[Any, Any]) -> Any:
        """Takes a step."""
        results: Any = self.env.step(actions)
        observations, rewards, terminated, truncated, infos = results
        self._steps += 1
        self._note(observations, terminated, truncated)
        if self._limit is not None and self._steps >= self._limit and not terminated.get(ALL):
            playing = [*self.env.get_wrapper_attr("agents"), *self._seen]
            left = {agent: True for agent in playing if not terminated.get(agent)}
            truncated = {**truncated, **left, ALL: True}
            again = {agent: self._seen[agent] for agent in left if agent in self._seen}
            observations, rewards = {**again, **observations}, {**dict.fromkeys(again, 0.0), **rewards}
        return observations, rewards, terminated, truncated, infos

    def _note(self, observations: Any, *flags: Any) -> None:
        self._seen.update(observations if isinstance(observations, dict) else {})
        over = {agent for one in flags if isinstance(one, dict) for agent, flag in one.items() if flag is True}
        self._seen = {agent: seen for agent, seen in self._seen.items() if agent not in over}
