"""Plays an environment of several agents: those that were observed act, as in training."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...spaces.membership import kind
from ..record.channel import Heartbeat
from ..record.episodes import Play
from ..record.locations import unwrapped
from ..record.model import NotJudged, Step
from ..record.policies import RANDOM, Chooser, Policy, constant_policies, mask_in
from ..record.recorder import Plan, Recorder
from ..record.values import attribute, copy_value, truth
from .model import ALL, TABLES, JointEpisode

IDLE_STEPS = 10  # so many steps in which nobody acts are enough
LEAST_STEPS = 60  # of all episodes together, however many agents there are
LONG_STEPS = 1500  # of the one episode more, where none has ended
RESULTS = ("observations", "rewards", "terminated", "truncated", "infos")
Alter = Callable[[int, dict[Any, Any]], dict[Any, Any]]  # the step's number and its actions: other ones


class JointPlay(Play):
    """One episode being played; `choosers` gives the actions of each agent, `alter` may change them."""

    episode: JointEpisode

    def __init__(
        self, env: Any, episode: JointEpisode, choosers: dict[Any, Chooser], heartbeat: Heartbeat, alter: Alter | None
    ) -> None:
        super().__init__(env, episode, self._choose, heartbeat)
        self.choosers, self.alter = choosers, alter
        self._ended: set[Any] = set()
        self._idle = 0

    def _choose(self, obs: Any, info: Any) -> dict[Any, Any]:
        """Returns the actions of those who were observed; all draw, so that another's end changes nobody's draws."""
        obs, info = (value if isinstance(value, dict) else {} for value in (obs, info))
        drawn = {agent: choose(obs.get(agent), info.get(agent)) for agent, choose in self.choosers.items()}
        actions = {agent: drawn[agent] for agent in obs if agent in drawn and agent not in self._ended}
        return actions if self.alter is None else self.alter(len(self.episode.steps) + 1, actions)

    def _is_end(self, step: Step) -> bool:
        for flags in (step.terminated, step.truncated):
            self._ended |= {agent for agent, flag in _dict(flags).items() if truth(flag)}
        return ALL in self._ended

    def _step(self, action: Any) -> bool:
        self._idle = 0 if action else self._idle + 1
        if self._idle > IDLE_STEPS or not super()._step(action):
            return False
        step, number = self.episode.steps[-1], len(self.episode.steps)
        for name, value in zip(RESULTS[1:], (step.reward, step.terminated, step.truncated), strict=False):
            if not isinstance(value, dict):
                self.episode.wrong_type.setdefault(name, (number, kind(value)))
        return True

    def _taken(self, obs: Any, info: Any) -> tuple[Any, Any]:
        number = len(self._keep)
        copied, _ = super()._taken(obs, info)
        if not isinstance(obs, dict):
            self.episode.wrong_type.setdefault("observations", (number, kind(obs)))
        for agent, own in _dict(info).items():
            if not isinstance(own, dict):
                text = f"infos[{agent!r}] must be a dict, got {kind(own)}"
                self.episode.faults.setdefault("info type", (number, text))
        agents = attribute(unwrapped(self.env), "agents")
        self.episode.agents.append(list(agents) if isinstance(agents, list | tuple | set) else None)
        self.episode.info_ids.append(list(_dict(info)))
        masks = {agent: mask_in(own, _dict(info).get(agent)) for agent, own in _dict(obs).items()}
        return copied, {agent: mask for agent, mask in masks.items() if mask is not None}


class JointRecorder(Recorder):
    """Goes on with what a Recorder has made, once it turns out to hold several agents."""

    def __init__(self, recorder: Recorder) -> None:
        vars(self).update(vars(recorder))
        plain = unwrapped(self.env)
        self.first_spaces = {name: copy_value(attribute(plain, name)) for name in TABLES}
        spaces = _dict(self.first_spaces["action_spaces"])
        ids = attribute(plain, "possible_agents")
        ids = list(ids) if isinstance(ids, list | tuple | set) else []
        self.action_spaces = {agent: space for agent, space in spaces.items() if agent in ids}

    def action_space(self) -> dict[Any, Any]:
        """Returns the action spaces by agent; raises NotJudged if there is none or one can't be sampled."""
        for agent, space in self.action_spaces.items():
            try:
                copy_value(space).sample()
            except BaseException as error:
                raise NotJudged(f"the action space of {agent!r} cannot be sampled: {error}") from error
        if not self.action_spaces:
            raise NotJudged("no agent has an action space")
        return self.action_spaces

    def constant_policies(self, limit: int = 6) -> list[Policy]:
        """Returns policies by which every agent always takes the same action of its own."""
        each = {agent: constant_policies(space, limit) for agent, space in self.action_space().items()}
        count = max(map(len, each.values()))
        rows = [{agent: own[i % len(own)].action for agent, own in each.items() if own} for i in range(count)]
        return [Policy(f"always the actions number {i}", row) for i, row in enumerate(rows)]

    def start(
        self,
        env: Any,
        seed: int | None,
        policy: Policy = RANDOM,
        draws: Any = None,
        number: int = 1,
        alter: Alter | None = None,
    ) -> JointPlay:
        """Returns an episode that is ready to be played; each agent draws from a seed of its own."""
        first, choosers = (seed or 0) if draws is None else draws, {}
        for index, (agent, space) in enumerate(self.action_spaces.items()):
            own = policy if policy.action is None else replace(policy, action=policy.action.get(agent))
            choosers[agent] = own.chooser(space, first + 1000 * index)
        return JointPlay(env, JointEpisode(number, policy, seed), choosers, self.heartbeat, alter)

    def plan_by_pace(self) -> Plan:
        """Returns how much may be played: as many steps of agents as one agent alone would take."""
        plan = super().plan_by_pace()
        steps = self.episodes[0].steps if self.episodes else []
        share = sum(len(step.action) for step in steps) / len(steps) if steps else 1.0
        total, longest = (int(steps / max(share, 1.0)) for steps in (plan.total, plan.longest / 3))
        total, longest = max(total, LEAST_STEPS), max(longest, min(plan.longest, LONG_STEPS))
        return replace(plan, total=total, cap=min(plan.cap, total), longest=longest)


def _dict(value: Any) -> dict[Any, Any]:
    """Returns a dict as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}
