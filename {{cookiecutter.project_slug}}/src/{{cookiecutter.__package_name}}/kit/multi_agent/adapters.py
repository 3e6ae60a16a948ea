"""What stands between the spaces of each agent and those of its policy."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from ..spaces import Adapters, UnsupportedSpace, adapters_for, limits_of
from .env import MultiAgentEnv

Spaces = tuple[gym.Space[Any], gym.Space[Any]]  # of observations and of actions


def spaces_by_agent(env: Any) -> dict[Any, Spaces]:
    """Returns the own spaces of each agent that there can ever be.

    Raises:
        ValueError: the environment names no agents, or not the spaces of one.
    """
    env = env.unwrapped
    agents = list(getattr(env, "possible_agents", None) or ())
    if not agents:
        raise ValueError("the environment has no possible_agents; set it to a list of all agent IDs in __init__")
    return {agent: (_space(env, "observation", agent), _space(env, "action", agent)) for agent in agents}


def adapters_by_agent(env: Any) -> dict[Any, Adapters]:
    """Returns the adapters of each agent; agents with equal spaces share theirs.

    Raises:
        UnsupportedSpace: PPO can't learn with a space of one of them.
    """
    known: list[tuple[Spaces, Adapters]] = []
    found = {}
    for agent, own in spaces_by_agent(env).items():
        adapters = next((adapters for spaces, adapters in known if spaces == own), None)
        if adapters is None:
            try:
                adapters = adapters_for(*own, limits_of(env))
            except UnsupportedSpace as error:
                raise UnsupportedSpace(f"agent {agent!r}: {error}") from None
            known.append((own, adapters))
        found[agent] = adapters
    return found


class AdaptedAgents(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose agents observe what their policies see, and act with what these choose."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.possible_agents = list(env.unwrapped.possible_agents)
        self._adapters = adapters_by_agent(env)
        self.observation_spaces = {agent: adapters.seen for agent, adapters in self._adapters.items()}
        self.action_spaces = {agent: adapters.chosen for agent, adapters in self._adapters.items()}

    @property
    def agents(self) -> list[Any]:
        """The agents that take part now."""
        return self.env.get_wrapper_attr("agents")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._seen(observations), infos

    def step(self, actions: Mapping[Any, Any]) -> Any:
        """Takes a step with what the policies have chosen."""
        decoded = {agent: self._adapters[agent].decode(action) for agent, action in actions.items()}
        observations, *rest = self.env.step(decoded)
        return self._seen(observations), *rest

    def _seen(self, observations: Mapping[Any, Any]) -> dict[Any, Any]:
        return {agent: self._adapters[agent].encode(observation) for agent, observation in observations.items()}


def as_rllib(make: Callable[[Any], Any], config: Mapping[str, Any] | None = None) -> Any:
    """Makes an environment, adapted, as RLlib's `MultiAgentEnv`, to train it with a configuration of one's own."""
    from ray.rllib.env.multi_agent_env import MultiAgentEnv as RLlibs  # late: takes seconds

    env = AdaptedAgents(make(config))

    class ForRLlib(RLlibs):
        """Hands everything on."""

        metadata = env.metadata
        possible_agents = list(env.possible_agents)
        observation_spaces = dict(env.observation_spaces)
        action_spaces = dict(env.action_spaces)
        agents: list[Any] = []

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            returned = env.reset(seed=seed, options=options)
            self.agents = list(env.agents)
            return returned

        def step(self, actions: Any) -> Any:
            returned = env.step(actions)
            self.agents = list(env.agents)
            return returned

        def render(self) -> Any:
            return env.render()

        def close(self) -> None:
            env.close()

    return ForRLlib()


def _space(env: MultiAgentEnv, what: str, agent: Any) -> gym.Space[Any]:
    """Returns a space of one agent, as RLlib's own `MultiAgentEnv` gives it or as the kit's."""
    by_agent = getattr(env, f"{what}_spaces", None)
    if by_agent and agent in by_agent:
        return by_agent[agent]
    try:
        return getattr(env, f"get_{what}_space")(agent)
    except Exception:
        raise ValueError(
            f"the environment has no {what}_spaces[{agent!r}]; give every possible agent its own"
        ) from None
