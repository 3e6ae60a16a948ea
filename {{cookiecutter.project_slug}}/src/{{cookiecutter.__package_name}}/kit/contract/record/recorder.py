"""One environment under study: its copies, and how they are made and played."""

import copy
import time
from collections.abc import Callable
from typing import Any

from gymnasium import spaces

from .episodes import Play
from .file import RecordWriter
from .heartbeat import Heartbeat
from .locations import described, unwrapped
from .model import CallError, Episode, NotJudged
from .plan import make_plan
from .policies import RANDOM, Policy
from .sections import Build
from .surroundings import Events, quietly, snapshot
from .targets import WorkerConfig, make
from .values import attribute, copy_value
from .views import as_single

SLOW_CONSTRUCTOR_SECONDS = 0.5  # from here on, copies are too dear to be made for one probe each


class _NoConfig:
    """Marks a construction without arguments."""


NO_CONFIG = _NoConfig()


class Recorder:
    """Makes copies of the environment and plays with them, for the probes.

    Args:
        maker: Class or creator.
        config: The user's config.
        heartbeat: Where every call is announced.
        events: What the process noted since its start.
        writer: Where the record goes.
        quick: Whether only a second is there for everything.
        cap: Steps an episode may have, where a longer one ended the process before.
    """

    def __init__(
        self,
        maker: Callable[..., Any],
        config: dict[str, Any],
        heartbeat: Heartbeat,
        events: Events,
        writer: RecordWriter,
        quick: bool = False,
        cap: int | None = None,
    ) -> None:
        self.maker, self.config = maker, config
        self.heartbeat, self.events, self.writer = heartbeat, events, writer
        self.quick, self.cap = quick, cap
        self.plan = make_plan([], 0.0, 1, quick, cap)
        self.builds: dict[str, Build] = {}
        self.env: Any = None  # the copy that plays the main episodes
        self.main_config: Any = None  # the config object that it, and all further copies, were made from
        self.config_before: Any = None
        self.first_spaces: dict[str, Any] = {}
        self.slow_to_build = self.only_one = False
        self.spare: list[Any] = []  # copies that have not been reset, for who needs one
        self.episodes: list[Episode] = []

    def build(self, name: str, config: Any, render_mode: str | None = None) -> Any:
        """Calls the constructor once and records how it went; returns the environment, None if it raised."""
        self.heartbeat.call("__init__")
        before, start = snapshot(), time.perf_counter()
        env, error = None, None
        try:
            env = as_single(self.maker() if config is NO_CONFIG else make(self.maker, config, render_mode))
        except BaseException as problem:
            error = CallError.of("__init__", problem)
        seconds = time.perf_counter() - start
        self.heartbeat.call("probe")
        again = env is not None and self.env is not None and unwrapped(env) is unwrapped(self.env)
        self.builds[name] = Build((before, snapshot()), seconds, error, again)
        return env

    def construct(self) -> None:
        """Makes the main copy: from a dict with worker_index as RLlib does, from a plain dict, or without any config.

        Raises:
            NotJudged: If the constructor always raises.
        """
        for name, config in (
            ("context", WorkerConfig(copy.deepcopy(self.config))),
            ("plain", copy.deepcopy(self.config)),
            ("none", NO_CONFIG),
        ):
            kept = copy.deepcopy(config)
            self.env = self.build(name, config)
            if self.env is not None:
                break
        if self.env is None:
            error = self.builds["context"].error
            raise NotJudged(f"the constructor raises: {error.text if error else ''}")
        self.main_config, self.config_before = config, kept
        seconds = self.builds[name].seconds
        if seconds > SLOW_CONSTRUCTOR_SECONDS:  # The first time may have imported a library or filled a cache.
            self.keep(self.build("second", config))
            seconds = self.builds[name].seconds = min(seconds, self.builds["second"].seconds)
        self.slow_to_build = seconds > SLOW_CONSTRUCTOR_SECONDS
        if "second" not in self.builds:
            self.keep(self.build("second", config))
        self.only_one = self.builds["second"].error is not None
        for space in ("observation_space", "action_space"):
            self.first_spaces[space] = copy_value(attribute(self.env, space))

    def keep(self, env: Any) -> None:
        """Keeps a fresh copy for the next probe that needs one."""
        if env is not None and unwrapped(env) is not unwrapped(self.env):
            self.spare.append(env)

    def another(self) -> Any:
        """Returns one more copy from the same config object, as the copies in one env runner are made.

        Raises:
            NotJudged: If none can be made.
        """
        if self.spare:
            return self.spare.pop()
        env = self.build("another", self.main_config)
        if env is None:
            error = self.builds["another"].error
            raise NotJudged(f"no second copy can be made: {error.text if error else ''}")
        return env

    def cheap_copies(self) -> None:
        """Raises NotJudged where copies are too dear to make them for one probe."""
        if self.slow_to_build:
            raise NotJudged("the constructor is slow")
        if self.only_one:
            raise NotJudged("no second copy can be made")

    def stepped(self) -> None:
        """Raises NotJudged where no step of the environment has worked."""
        if not any(episode.steps for episode in self.episodes):
            raise NotJudged("no step could be made")

    def release(self, env: Any) -> None:
        """Closes an extra copy."""
        self.heartbeat.call("close")
        quietly(env.close)

    def action_space(self) -> Any:
        """Returns the action space; raises NotJudged if it is none or can't be sampled."""
        space = attribute(self.env, "action_space")
        if not isinstance(space, spaces.Space):
            raise NotJudged("action_space is no Gymnasium space")
        try:
            copy.deepcopy(space).sample()
        except BaseException as error:
            raise NotJudged(f"action_space cannot be sampled: {described(error)}") from error
        return space

    def play(
        self,
        env: Any,
        seed: int | None,
        cap: int,
        policy: Policy = RANDOM,
        action_seed: int | None = None,
        number: int = 1,
        options: Any = None,
    ) -> Episode:
        """Plays one episode to its end or to `cap` steps; the actions are drawn from the seed unless said otherwise."""
        started = self.start(env, seed, policy, action_seed, number, options)
        for _ in started.moves(cap):
            pass
        return started.close()

    def start(
        self,
        env: Any,
        seed: int | None,
        policy: Policy = RANDOM,
        action_seed: int | None = None,
        number: int = 1,
        options: Any = None,
    ) -> Play:
        """Returns an episode that is ready to be played, see `play`."""
        draws = (seed or 0) if action_seed is None else action_seed
        chooser = policy.chooser(self.action_space_of_env, draws)
        return Play(env, Episode(number, policy, seed), chooser, self.heartbeat, options)

    @property
    def action_space_of_env(self) -> Any:
        """The action space, without a second look."""
        return attribute(self.env, "action_space")
