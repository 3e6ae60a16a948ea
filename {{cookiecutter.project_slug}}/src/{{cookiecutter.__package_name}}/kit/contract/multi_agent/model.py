"""What is recorded of several agents: the dicts by agent ID, as they came, and what the variations show."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..record.compare import Difference
from ..record.model import About, Episode
from ..record.values import truth

ALL = "__all__"
TABLES = ("observation_spaces", "action_spaces")


@dataclass
class JointAbout(About):
    """What an environment of several agents says of itself; `spaces` holds a Dict space of each table."""

    ids: Any = None  # `possible_agents`
    ids_after: Any = None  # as they are after the episodes
    tables: dict[str, Any] = field(default_factory=dict)  # what is declared, whatever it is
    only_one: str | None = None  # `observation_space` in place of `observation_spaces`
    base_left_out: bool = False  # RLlib's constructor was not called


@dataclass
class JointEpisode(Episode):
    """An episode whose observations, actions, rewards and flags are dicts; the lists have an entry for the reset, too."""

    agents: list[Any] = field(default_factory=list)  # the attribute
    info_ids: list[list[Any]] = field(default_factory=list)
    wrong_type: dict[str, tuple[int, str]] = field(default_factory=dict)  # what is no dict: the first step, in words


@dataclass
class Effect:
    """What changed when one agent took other actions in one step, and all others what they had taken."""

    tries: int = 0
    seen_by: dict[Any, int] = field(default_factory=dict)  # agent: most steps for which it saw something else
    rewarded: set[Any] = field(default_factory=set)
    ended: bool = False  # or another end


class Absent(NamedTuple):
    """An agent that was not observed, and for whom `step` took an action all the same."""

    agent: Any
    number: int  # the step
    action: Any  # that it took by itself
    episode: Episode


@dataclass
class Variations:
    """The same episode with other actions, or with the same in another form."""

    shuffled: Difference | None = None  # the dict of actions in another order
    swapped: list[tuple[Any, Any]] = field(default_factory=list)  # agents whose exchanged actions changed nothing
    effects: dict[Any, Effect] = field(default_factory=dict)
    absent: Absent | None = None


@dataclass
class Moment:
    """One step, or the reset, with what went before."""

    episode: JointEpisode
    number: int  # 0 is the reset
    obs: dict[Any, Any]
    actions: dict[Any, Any]
    rewards: dict[Any, Any]
    terminated: dict[Any, Any]
    truncated: dict[Any, Any]
    ended: dict[Any, int]  # before this step: agent and the step in which it ended
    seen: set[Any]  # agents that were observed before
    waiting: set[Any]  # those that have acted and were not observed since, also not before this step

    @property
    def at(self) -> str:
        """The place in words."""
        return self.episode.at(self.number)

    def is_over(self, agent: Any) -> bool:
        """Tells whether an agent ends here, by its own flags or everyone's."""
        return any(truth(flags.get(key)) for flags in (self.terminated, self.truncated) for key in (agent, ALL))

    @property
    def all_over(self) -> bool:
        """Tells whether `__all__` says so."""
        return self.is_over(ALL)


def moments(episode: JointEpisode) -> Iterator[Moment]:
    """Yields the reset and every step of an episode."""
    ended: dict[Any, int] = {}
    seen: set[Any] = set()
    waiting: set[Any] = set()
    rows: list[Any] = [({}, episode.obs, {}, {}, {})] if episode.has_reset else []
    rows += [(step.action, step.obs, step.reward, step.terminated, step.truncated) for step in episode.steps]
    for number, (actions, *others) in enumerate(rows):
        obs, rewards, terminated, truncated = (value if isinstance(value, dict) else {} for value in others)
        waiting = waiting | actions.keys()
        made = Moment(episode, number, obs, actions, rewards, terminated, truncated, ended, seen, waiting)
        yield made
        over = {agent: number for agent in {*seen, *obs, *terminated, *truncated} - {ALL} if made.is_over(agent)}
        ended = {**over, **ended} if over else ended
        seen = seen | obs.keys()
        waiting = waiting - obs.keys()
