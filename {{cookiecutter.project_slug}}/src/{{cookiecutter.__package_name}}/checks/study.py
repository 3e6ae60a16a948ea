"""One environment under study: its copies, its recorded episodes, and how much of it the time allows."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gymnasium import spaces

from . import sessions
from .locations import defined, described, raised, unwrapped
from .pulse import Pulse
from .recording import Episode, Trouble
from .registry import NotJudged
from .surroundings import Events, Snapshot, quietly, snapshot
from .targets import WorkerConfig, make
from .values import copy_value

SLOW_CONSTRUCTOR_SECONDS = 0.5  # From here on, copies are too dear to make them for one check each.


@dataclass
class Built:
    """One call of the constructor: the environment or the trouble, and what changed around it."""

    config: Any
    config_before: Any
    before: Snapshot
    after: Snapshot
    seconds: float
    env: Any = None
    trouble: Trouble | None = None


@dataclass(frozen=True)
class Plan:
    """How much may be played: chosen in coarse grades of speed, so that reports do not depend on the load."""

    total: int  # Steps of the main episodes together.
    cap: int  # Steps of one main episode.
    small: int  # Steps of an episode in the other probes.
    resets: int  # Resets in the probes that need many.


GRADES = (  # (seconds a step below which the plan holds, plan)
    (0.0003, Plan(total=5000, cap=1200, small=150, resets=12)),
    (0.001, Plan(total=1600, cap=500, small=80, resets=12)),
    (0.004, Plan(total=500, cap=250, small=30, resets=10)),
    (0.015, Plan(total=180, cap=80, small=12, resets=6)),
    (0.06, Plan(total=80, cap=40, small=5, resets=4)),
    (0.3, Plan(total=24, cap=12, small=3, resets=3)),
    (float("inf"), Plan(total=6, cap=3, small=1, resets=2)),
)
MEMORY_BYTES = 48_000_000  # Room for recorded observations.


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
        self.maker = maker
        self.config = config
        self.pulse = pulse
        self.events = events
        self.quick = quick
        self.cap = cap
        self.spare: list[Any] = []
        self.first_spaces: dict[str, Any] = {}
        self.cache: dict[str, Any] = {}
        self.failed: set[str] = set()  # Checks that have found an error so far.
        self.facts_written = False

    def build(self, config: Any, render_mode: str | None = None, *arguments: Any) -> Built:
        """Calls the constructor once; never raises."""
        kept = copy.deepcopy(config)
        self.pulse.call("__init__")
        before, start = snapshot(), time.perf_counter()
        env, trouble = None, None
        try:
            env = self.maker() if config is NO_CONFIG else make(self.maker, config, render_mode)
        except BaseException as problem:
            trouble = Trouble("__init__", 0, described(problem), raised(problem), problem)
        seconds = time.perf_counter() - start
        self.pulse.call("check")
        return Built(config, kept, before, snapshot(), seconds, env, trouble)

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
                    self.first_spaces[name] = copy_value(getattr(built.env, name, None))
                return built
        raise NotJudged(f"the constructor raises: {self.context.trouble.text if self.context.trouble else ''}")

    def _time_again(self, built: Built) -> None:
        """Constructs once more: the first time may have imported a library or filled a cache."""
        second = self.build(built.config)
        if second.env is not None:
            built.seconds = min(built.seconds, second.seconds)
            self.put_back(second.env)

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
            self.put_back(second.env)
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

    def put_back(self, env: Any) -> None:
        """Keeps a copy that has not been reset for the next one who needs a fresh copy."""
        self.spare.append(env)

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
        space = getattr(self.env, name, None)
        if not isinstance(space, spaces.Space):
            raise NotJudged(f"{name} is no Gymnasium space")
        return space

    @cached_property
    def recorded(self) -> sessions.Main:
        """The main episodes and the plan that their speed led to."""
        self.space("observation_space")
        self.check_sampling()
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

    def check_sampling(self) -> None:
        """Makes sure that actions can be drawn.

        Raises:
            NotJudged: If they cannot.
        """
        space = self.space("action_space")
        try:
            copy.deepcopy(space).sample()
        except BaseException as problem:
            raise NotJudged(f"action_space cannot be sampled: {described(problem)}") from problem

    def make_plan(self, step_seconds: list[float], reset_seconds: float, obs_bytes: int) -> Plan:
        """The plan for an environment of this speed."""
        seconds = statistics.median(step_seconds) if step_seconds else 0.0
        pace = max(seconds, reset_seconds / 30)
        plan = next(plan for limit, plan in GRADES if pace < limit)
        share = 0.2 if self.quick else 1.0
        total = max(min(int(plan.total * share), MEMORY_BYTES // max(obs_bytes, 1)), 4)
        cap = min(plan.cap, self.cap) if self.cap else plan.cap
        return Plan(total, max(min(cap, total), 1), max(min(plan.small, cap), 1), plan.resets)


class _NoConfig:
    """Marks a construction without arguments."""


NO_CONFIG = _NoConfig()
