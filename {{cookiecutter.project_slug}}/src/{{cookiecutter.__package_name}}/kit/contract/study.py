"""One environment under study: its copies, its recorded episodes, and how much of it the time allows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any

from gymnasium import spaces

from . import sessions
from .building import NO_CONFIG, Built, build
from .locations import defined, unwrapped
from .plan import Plan
from .policies import must_be_sampled
from .pulse import Pulse
from .recording import Episode
from .registry import NotJudged
from .surroundings import Events, quietly
from .targets import WorkerConfig
from .values import attribute, copy_value

SLOW_CONSTRUCTOR_SECONDS = 0.5  # From here on, copies are too dear to make them for one check each.


class Study:
    """Everything that the checks look at, made when the first check asks for it.

    Args:
        maker: Class or creator.
        config: The user's config.
        pulse: Where to note what is being called.
        events: What the process noted since its start.
        quick: Whether only the checks of the first second of `train` run.
        cap: Steps an episode may have, where a longer one ended the process before.
    """

    def __init__(
        self,
        maker: Callable[..., Any],
        config: dict[str, Any],
        pulse: Pulse,
        events: Events,
        quick: bool = False,
        cap: int | None = None,
    ) -> None:
        self.maker, self.config = maker, config
        self.pulse, self.events = pulse, events
        self.quick, self.cap = quick, cap
        self.spare: list[Any] = []  # copies that have not been reset, for who needs one
        self.first_spaces: dict[str, Any] = {}
        self.cache: dict[str, Any] = {}
        self.failed: set[str] = set()  # Checks that have found an error so far.
        self.facts_written = False

    def build(self, config: Any, render_mode: str | None = None) -> Built:
        """Calls the constructor once; never raises."""
        return build(self.maker, config, self.pulse, render_mode)

    @cached_property
    def context(self) -> Built:
        """The environment made as RLlib makes it, from a dict with worker_index."""
        return self.build(WorkerConfig(copy.deepcopy(self.config)))

    @cached_property
    def plain(self) -> Built:
        """The environment made from a plain dict, as tests and notebooks make it."""
        return self.build(copy.deepcopy(self.config))

    @cached_property
    def without(self) -> Built:
        """The environment made without any argument."""
        return self.build(NO_CONFIG)

    @cached_property
    def built(self) -> Built:
        """The first way of construction that works."""
        for attempt in ("context", "plain", "without"):
            built: Built = getattr(self, attempt)
            if built.env is not None:
                if built.seconds > SLOW_CONSTRUCTOR_SECONDS:
                    self._time_again(built)
                for name in ("observation_space", "action_space"):
                    self.first_spaces[name] = copy_value(attribute(built.env, name))
                return built
        raise NotJudged(f"the constructor raises: {self.context.trouble.text if self.context.trouble else ''}")

    def _time_again(self, built: Built) -> None:
        second = self.build(built.config)  # The first time may have imported a library or filled a cache.
        if second.env is not None:
            built.seconds = min(built.seconds, second.seconds)
            self.spare.append(second.env)

    @property
    def env(self) -> Any:
        """The environment that plays the main episodes."""
        return self.built.env

    @cached_property
    def only_one(self) -> bool:
        """Whether a second copy cannot be made beside the first: a fixed port, a lock."""
        if self.slow_to_build:
            return False
        second = self.build(self.built.config)
        if second.env is not None:
            self.spare.append(second.env)
        return second.env is None

    @property
    def slow_to_build(self) -> bool:
        """Whether copies are dear."""
        return self.built.seconds > SLOW_CONSTRUCTOR_SECONDS

    def another(self) -> Any:
        """One more copy from the same config object, as the copies in one env runner are made.

        Raises:
            NotJudged: If the second construction fails.
        """
        if self.spare:
            return self.spare.pop()
        built = self.build(self.built.config)
        if built.env is None:
            raise NotJudged(f"no second copy can be made: {built.trouble.text if built.trouble else ''}")
        return built.env

    def release(self, env: Any) -> None:
        """Closes an extra copy."""
        self.pulse.call("close")
        quietly(env.close)

    def where(self, name: str) -> str | None:
        """ "file:line" of the user's reset, step, render or __init__."""
        plain = type(unwrapped(self.env))
        method = getattr(plain, name, None)
        own = method is not None and getattr(method, "__module__", "").partition(".")[0] != "gymnasium"
        return (defined(method) if own else None) or defined(plain)

    def space(self, name: str) -> Any:
        """A declared space.

        Raises:
            NotJudged: If it is missing or no Gymnasium space.
        """
        space = attribute(self.env, name)
        if not isinstance(space, spaces.Space):
            raise NotJudged(f"{name} is no Gymnasium space")
        return space

    @cached_property
    def recorded(self) -> sessions.Main:
        """The main episodes and the plan that their speed led to."""
        self.space("observation_space")
        must_be_sampled(self.space("action_space"))
        if self.cap is not None and self.cap < 0:
            raise NotJudged("reset() does not return")
        return sessions.record_main(self)

    @property
    def episodes(self) -> list[Episode]:
        """The main episodes; never empty, and the first has been reset.

        Raises:
            NotJudged: If nothing could be played.
        """
        episodes = self.recorded.episodes
        if not episodes[0].has_reset:
            trouble = episodes[0].trouble
            raise NotJudged(f"reset() raises: {trouble.text if trouble else ''}")
        return episodes

    @property
    def steps_played(self) -> list[Episode]:
        """The episodes with at least one step.

        Raises:
            NotJudged: If no step could be made.
        """
        played = [episode for episode in self.episodes if episode.steps]
        if not played:
            raise NotJudged("step() never worked")
        return played

    @property
    def plan(self) -> Plan:
        """How much the probes may play."""
        return self.recorded.plan

    @cached_property
    def replays(self) -> sessions.Replays:
        """The same seeds on other copies, alone and interleaved."""
        _ = self.steps_played
        return sessions.record_replays(self)

    @cached_property
    def starts(self) -> sessions.Starts:
        """How episodes start with and without seeds."""
        _ = self.episodes
        return sessions.record_starts(self)
