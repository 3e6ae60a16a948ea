"""PettingZoo's environments in and out: `FromPettingZoo` makes one of theirs yours, `ToPettingZoo` one of yours theirs."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pettingzoo import AECEnv, ParallelEnv

from ..config import ConfigError
from .adapters import spaces_by_agent
from .env import ALL, MultiAgentEnv


class FromPettingZoo(MultiAgentEnv):
    """A PettingZoo environment as the project's own: derive a class from it that says which.

        class TicTacToe(FromPettingZoo):
            make = tictactoe_v3.env

    In a parallel environment all agents act at once. In a turn-based one (AEC) only the agent whose turn it is is
    observed, and its reward is what it has got since its last action.

    Attributes:
        make: makes a fresh PettingZoo environment, parallel or turn-based, of the config's keys and `render_mode`.
        env: what it has made.

    Raises:
        ConfigError: `make` doesn't take a key of the config.
        ValueError: it makes something else, or what has no `possible_agents`.
    """

    make: ClassVar[Callable[..., Any]]

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config, self.render_mode = dict(config or {}), render_mode
        try:
            self.env = type(self).make(**self.config, **({} if render_mode is None else {"render_mode": render_mode}))
        except TypeError as error:
            if "unexpected keyword argument" not in str(error):
                raise
            raise ConfigError(f"{type(self).__name__}.make doesn't take this config: {error}") from error
        if not isinstance(self.env, ParallelEnv | AECEnv):
            raise ValueError(f"make returned {type(self.env).__name__}; return a PettingZoo ParallelEnv or AECEnv")
        if not getattr(self.env, "possible_agents", None):
            raise ValueError(f"{self.env} has no possible_agents: list there all agents that can ever take part")
        self.possible_agents, self.agents = list(self.env.possible_agents), []
        self.observation_spaces = {agent: self.env.observation_space(agent) for agent in self.possible_agents}
        self.action_spaces = {agent: self.env.action_space(agent) for agent in self.possible_agents}

    @property
    def metadata(self) -> dict[str, Any]:
        """What the PettingZoo environment says of itself."""
        return self.env.metadata

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        came = self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.agents)
        observations, _, _, _, infos = self._turn() if isinstance(self.env, AECEnv) else (came[0], {}, {}, {}, came[1])
        observations = {agent: observations[agent] for agent in self.agents if agent in observations}
        return observations, {agent: infos.get(agent, {}) for agent in observations}

    def step(self, actions: dict[Any, Any]) -> Any:
        """Takes a step, or the turn of the agent whose it is."""
        if isinstance(self.env, AECEnv):
            self.env.step(actions[self.env.agent_selection])
            came = self._turn()
        else:
            came = self.env.step(dict(actions))
        known = {*self.agents, *self.env.agents}  # some tell of agents that ended earlier, or of none in particular
        observations, rewards, ends, cuts, infos = (
            {agent: value for agent, value in part.items() if agent in known} for part in came
        )
        terminated: dict[Any, bool] = {agent: bool(flag) for agent, flag in ends.items()}
        truncated = {agent: bool(flag) and not terminated.get(agent) for agent, flag in cuts.items()}
        self.agents = [agent for agent in self.env.agents if not (terminated.get(agent) or truncated.get(agent))]
        is_cut = any(truncated.values())
        terminated[ALL], truncated[ALL] = not self.agents and not is_cut, not self.agents and is_cut
        infos = {agent: infos.get(agent, {}) for agent in observations}
        return observations, {agent: float(reward) for agent, reward in rewards.items()}, terminated, truncated, infos

    def _turn(self) -> tuple[dict[Any, Any], ...]:
        """Returns, as `step` does, the last of those that have ended, and what the next agent to act sees."""
        came: tuple[dict[Any, Any], ...] = ({}, {}, {}, {}, {})
        while self.env.agents:
            agent = self.env.agent_selection
            for part, value in zip(came, self.env.last(), strict=True):
                part[agent] = value
            if not (came[2][agent] or came[3][agent]):
                break
            self.env.step(None)  # takes it from the agents
        return came

    def render(self) -> Any:
        """Draws as the PettingZoo environment does."""
        return self.env.render()

    def close(self) -> None:
        """Closes it."""
        self.env.close()


class ToPettingZoo(ParallelEnv[Any, Any, Any]):
    """An environment of several agents as a PettingZoo ParallelEnv.

    There all agents act at once: one that rests sees its last observation again, and its action isn't used. One that
    comes late is among the `agents` from its first observation on.

    Args:
        env: yours, with its time limit or without.
    """

    def __init__(self, env: Any) -> None:
        self.env, self.render_mode = env, env.render_mode
        self.metadata = {"name": type(env.unwrapped).__name__, **env.metadata}
        self.possible_agents, self.agents = list(env.unwrapped.possible_agents), list[Any]()
        self._spaces, self._acting = spaces_by_agent(env), set[Any]()
        self._seen: dict[Any, Any] = {}  # the last observation of each agent that takes part

    def observation_space(self, agent: Any) -> Any:
        """Returns the space of an agent's observations."""
        return self._spaces[agent][0]

    def action_space(self, agent: Any) -> Any:
        """Returns the space of an agent's actions."""
        return self._spaces[agent][1]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        observations, infos = self.env.reset(seed=seed, options=options)
        self._seen, self.agents, self._acting = dict(observations), list(observations), set(observations)
        return observations, {agent: infos.get(agent, {}) for agent in observations}

    def step(self, actions: dict[Any, Any]) -> Any:
        """Takes a step with the actions of those that don't rest."""
        came = self.env.step({agent: actions[agent] for agent in self.agents if agent in self._acting})
        observations, rewards, ends, cuts, infos = came
        told = self._seen | observations
        terminated = {agent: bool(ends.get(agent) or (ends[ALL] and not cuts.get(agent))) for agent in told}
        truncated = {agent: bool(cuts.get(agent) or cuts[ALL]) and not terminated[agent] for agent in told}
        self.agents = [agent for agent in told if not (terminated[agent] or truncated[agent])]
        self._seen, self._acting = {agent: told[agent] for agent in self.agents}, set(observations)
        rewards, infos = {a: rewards.get(a, 0.0) for a in told}, {a: infos.get(a, {}) for a in told}
        return told, rewards, terminated, truncated, infos

    def render(self) -> Any:
        """Draws as the environment does."""
        return self.env.render()

    def close(self) -> None:
        """Closes it."""
        self.env.close()
