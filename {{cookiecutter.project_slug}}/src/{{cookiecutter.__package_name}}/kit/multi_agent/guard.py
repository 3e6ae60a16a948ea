"""Stands between an environment of several agents and training, as `kit.guard.Guard` does for one."""

from collections.abc import Mapping
from typing import Any

from ..guard import Guard, is_finite
from ..spaces.predicate import predicate, without_float_bounds
from .adapters import spaces_by_agent
from .env import ALL

MOST_IDLE_STEPS = 1_000  # in which no agent acts; RLlib would take them for ever


class MultiAgentGuard(Guard):
    """Raises EnvironmentFailure for what `Guard` raises it for, and for what would mix up the agents."""

    def _prepare(self, env: Any, strict: bool | None) -> None:
        spaces = spaces_by_agent(env)
        self._own = {agent: observation for agent, (observation, _) in spaces.items()}
        self._action_spaces = {agent: action for agent, (_, action) in spaces.items()}
        self._done: set[Any] = set()  # in this episode
        self._idle = 0  # steps in a row
        self._inside = {agent: predicate(space) for agent, space in self._own.items()}
        self._sound = {agent: predicate(without_float_bounds(space)) for agent, space in self._own.items()}
        self._ready(env, next(iter(self._own.values())), "observations", strict)
        self._is_inside = self._all_inside

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode with the next seed of this copy."""
        self._done, self._idle = set(), 0
        returned = super().reset(seed=seed, options=options)
        self._watch_idleness(returned[0])
        return returned

    def step(self, action: Mapping[Any, Any]) -> Any:
        """Takes a step with the actions of those who act, and looks at what it returns."""
        self._actions.append(dict(action))
        observations, rewards, terminated, truncated, infos = self._call(self.env.step, dict(action))
        for name, by_agent in (("rewards", rewards), ("terminated", terminated), ("truncated", truncated)):
            self._require_known(name, by_agent, (ALL,) if by_agent is not rewards else ())
        for name, by_agent in (("an observation", observations), ("a reward", rewards)):
            if revived := self._done & by_agent.keys():
                agent = next(iter(revived))
                raise self._failure(
                    f"agent {agent!r} has ended in this episode, and gets {name} again; leave it out, or let it "
                    "begin under another ID"
                )
        for agent, reward in rewards.items():
            if not is_finite(reward):
                raise self._failure(f"the reward of agent {agent!r} is {reward!r}, not a finite number")
        for name, flags in (("terminated", terminated), ("truncated", truncated)):
            if ALL not in flags:
                raise self._failure(f'{name} has no "{ALL}"; set it to True when the episode is over for every agent')
        self._done.update(agent for flags in (terminated, truncated) for agent, flag in flags.items() if flag)
        self._done.discard(ALL)
        self._watch_length(len(self._actions))
        if not (terminated[ALL] or truncated[ALL]):
            self._watch_idleness(observations)
        return observations, rewards, terminated, truncated, infos

    def actions_from_json(self, actions: list[dict[str, Any]]) -> list[dict[Any, Any]]:
        """Returns the actions of failure.json, a dict for each step."""
        by_name = {str(agent): agent for agent in self._action_spaces}
        return [
            {by_name[name]: self._action_spaces[by_name[name]].from_jsonable([one])[0] for name, one in step.items()}
            for step in actions
        ]

    def _watch_idleness(self, observations: Mapping[Any, Any]) -> None:
        """Ends a run in which no step of an agent is counted any more."""
        self._idle = 0 if observations.keys() - self._done else self._idle + 1
        if self._idle >= MOST_IDLE_STEPS:
            gone = f'; all that began have ended, so set terminated["{ALL}"]' if self._done else ""
            raise self._failure(f"no agent was observed, and so none has acted, for {self._idle:,} steps{gone}")

    def _judge(self, observation: Any) -> None:
        self._require_known("observations", observation)
        for agent, one in observation.items():
            if not self._inside[agent](one):
                self._space, self._is_sound = self._own[agent], self._sound[agent]
                self._name = f"observation of {agent!r}"
                super()._judge(one)

    def _all_inside(self, observations: Any) -> bool:
        inside = self._inside
        return isinstance(observations, dict) and all(
            agent in inside and inside[agent](one) for agent, one in observations.items()
        )

    def _require_known(self, name: str, by_agent: Any, others: tuple[str, ...] = ()) -> None:
        if not isinstance(by_agent, dict):
            raise self._failure(f"{name} is {by_agent!r}; return a dict by agent ID")
        for agent in by_agent:
            if agent not in self._own and agent not in others:
                raise self._failure(f"{name} has a key {agent!r}, which is none of possible_agents {[*self._own]}")

    def _actions_to_json(self) -> list[Any]:
        return [
            {str(agent): self._action_spaces[agent].to_jsonable([action])[0] for agent, action in step.items()}
            for step in self._actions
        ]
