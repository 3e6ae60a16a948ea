"""The record of one environment: data only, so that judges in another process and unit tests can look at it."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from .model import About, Batches, Build, CallError, Episode, Growth, NotJudged, Rendered, Replays, Starts, Step, Stop


class EnvRecord:
    """Everything that was recorded of one environment; each attribute is a section, written by one probe.

    Reading a section that is missing raises NotJudged with the reason, so that a judge needs no test for it.
    """

    config: dict[str, Any]
    quick: bool
    several: bool  # agents; each observation, action and reward is then a dict by agent ID
    cap: int | None  # steps that an episode may have, where a longer one ended the process
    usage: tuple[str, str | None]  # why there is no environment, and where
    builds: dict[str, Build]
    about: About
    episodes: list[Episode]
    config_changes: dict[str, tuple[str, str, str, bool]]  # key: (what happened, was, now, whether it is an error)
    spaces_after: dict[str, tuple[str, str]]  # the spaces that changed while playing: what they were and are
    unread_keys: dict[str, str | None]  # key: the word that may be meant
    defaults: dict[str, Any]  # see record_defaults
    copies: dict[str, tuple[tuple[str, str] | None, bool]]  # each space: how another copy's differs, whether all share
    seeding: dict[str, Any]  # see record_seeding
    replays: Replays
    starts: Starts
    self_reset: tuple[int, str]
    closing: dict[str, CallError | None]
    closed_alone: CallError | None
    released: dict[str, list[int]]
    shared_files: list[str]
    unpicklable: tuple[str, str] | None
    growth: Growth
    stacked: CallError | None
    vector: Batches
    replica: Episode
    rendered: list[Rendered]
    draws: bool
    warnings: dict[tuple[str, str], str]  # (category, text): where
    accidents: list[tuple[str, CallError]]  # (probe, exception) of the environment's where none may come
    stops: list[Stop]
    render_stop: Stop | None
    replicas: "list[EnvRecord]"
    changed_kit_files: list[str]
    ids_after: Any  # of several agents: `possible_agents` after the episodes
    variations: Any  # of several agents: see multi_agent.model.Variations

    def __init__(self, **sections: Any) -> None:
        self.config, self.quick, self.several, self.cap, self.render_stop = {}, False, False, None, None
        self.late = False  # the time was over before the recorder was done
        self.warnings, self.accidents, self.stops = {}, [], []
        self.missing: dict[str, str] = {}
        self.memo: dict[str, Any] = {}  # what several judges look at, computed once
        vars(self).update(sections)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            reason = f"{name} was not recorded"
            raise NotJudged(self.missing.get(name, f"{NotJudged.CUT}: {reason}" if self.late else reason))

    def has(self, name: str) -> bool:
        """Tells whether a section was recorded."""
        return name in vars(self)

    def cut(self, reason: str) -> NotJudged:
        """Returns why there is nothing to look at: for want of time, where episodes were not played to their end."""
        is_cut = self.cap is None and any(not episode.ended and not episode.error for episode in self.episodes)
        return NotJudged(f"{NotJudged.CUT}: {reason}" if is_cut and not self.quick else reason)

    def where(self, name: str) -> str | None:
        """Returns "file:line" of the user's reset, step, render or __init__."""
        return self.about.where.get(name) if self.has("about") else None

    def space(self, name: str) -> Any:
        """Returns a declared space; raises NotJudged if it is no Gymnasium space."""
        space = self.about.spaces.get(name)
        if not isinstance(space, spaces.Space):
            raise NotJudged(f"{name} is no Gymnasium space")
        return space

    @property
    def resets(self) -> list[Episode]:
        """The episodes; the first has been reset. Raises NotJudged if `reset` never worked."""
        if not self.episodes or not self.episodes[0].has_reset:
            raise NotJudged("reset() does not work")
        return self.episodes

    @property
    def played(self) -> list[Episode]:
        """The episodes with at least one step. Raises NotJudged if no step could be made."""
        played = [episode for episode in self.resets if episode.steps]
        if not played:
            raise NotJudged("step() never worked")
        return played

    @property
    def steps(self) -> Iterator[tuple[Episode, int, Step]]:
        """Yields every step with its episode and its number in it. Raises NotJudged if no step could be made."""
        for episode in self.played:
            for number, step in enumerate(episode.steps, 1):
                yield episode, number, step

    def first_step(self, wrong: Callable[[Step], bool]) -> Iterator[tuple[Step, str]]:
        """Yields the first step for which `wrong` holds, and its place in words; nothing where there is none."""
        found = ((step, episode.at(number)) for episode, number, step in self.steps if wrong(step))
        yield from islice(found, 1)

    @property
    def finished(self) -> list[Episode]:
        """The episodes that ended, with flags that can be read. Raises NotJudged if there are too few."""
        ended = [episode for episode in self.played if episode.ended]
        if len(ended) < 3 or any("step" in episode.malformed for episode in ended):
            raise self.cut("fewer than three episodes ended with both flags")
        return ended
