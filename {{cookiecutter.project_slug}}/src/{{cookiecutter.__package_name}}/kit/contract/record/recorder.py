"""One environment under study: its copies, and how they are made and played."""

import copy
from collections.abc import Callable
from typing import Any

from gymnasium import spaces

from ...spaces.single import as_single
from .episodes import Play
from .file import RecordWriter
from .heartbeat import Heartbeat
from .locations import described, unwrapped
from .model import Build, Episode, NotJudged
from .plan import make_plan
from .policies import RANDOM, Policy
from .surroundings import Events, quietly, snapshot
from .targets import Keywords, WorkerConfig, make
from .values import attribute, copy_value

SLOW_CONSTRUCTOR_SECONDS = 0.5  # from here on, copies are too dear to be made for one probe each


class Recorder:
    """Makes copies of the environment and plays with them, for the probes."""

    maker: Callable[..., Any]  # class or creator

    def __init__(self, request: dict[str, Any], heartbeat: Heartbeat, writer: RecordWriter) -> None:
        self.heartbeat, self.writer = heartbeat, writer
        self.config, self.quick, self.cap = request["config"], request["quick"], request["cap"]
        self.without: list[str] = request["without"]  # probes to leave out, or "close" where that ends the process
        self.events = Events()
        self.plan = make_plan([], self.quick, self.cap)
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
        before, env = snapshot(), None
        with self.heartbeat.calling("__init__") as call:
            env = as_single(make(self.maker, config, render_mode))
        self.heartbeat.call("probe")
        again = env is not None and self.env is not None and unwrapped(env) is unwrapped(self.env)
        self.builds[name] = Build((before, snapshot()), call.seconds, call.error, again)
        return env

    def construct(self) -> None:
        """Makes the main copy: as RLlib does, from a plain dict, or with keywords; raises NotJudged if none works."""
        for name, kind in {"context": WorkerConfig, "plain": dict, "keywords": Keywords}.items():
            errors = [build.error for build in self.builds.values() if build.error]
            if name == "keywords" and not any("TypeError" in error.kinds for error in errors):
                raise NotJudged("the constructor takes a config, but not this one")
            config = kind(copy.deepcopy(self.config))
            self.main_config, self.config_before = config, copy.deepcopy(config)
            self.env = self.build(name, config)
            if self.env is not None:
                break
        else:
            raise NotJudged("the constructor raises")
        self.keep(self.build("second", self.main_config))
        if self.builds[name].seconds > SLOW_CONSTRUCTOR_SECONDS:  # the first one may have imported a library
            self.builds[name].seconds = min(self.builds[name].seconds, self.builds["second"].seconds)
        self.slow_to_build = self.builds[name].seconds > SLOW_CONSTRUCTOR_SECONDS
        self.only_one = self.builds["second"].error is not None
        for space in ("observation_space", "action_space"):
            self.first_spaces[space] = copy_value(attribute(self.env, space))

    def keep(self, env: Any) -> None:
        """Keeps a fresh copy for the next probe that needs one."""
        if env is not None and unwrapped(env) is not unwrapped(self.env):
            self.spare.append(env)

    def another(self) -> Any:
        """Returns one more copy from the same config object, as in one env runner; raises NotJudged if none can be."""
        env = self.spare.pop() if self.spare else self.build("another", self.main_config)
        if env is None:
            raise NotJudged("no second copy can be made")
        return env

    def require(self, copies: bool, steps: bool) -> None:
        """Raises NotJudged where a probe lacks what it needs: cheap copies, or an environment that can be stepped."""
        if copies and (self.slow_to_build or self.only_one):
            raise NotJudged("the constructor is slow" if self.slow_to_build else "no second copy can be made")
        if steps and not any(episode.steps for episode in self.episodes):
            raise NotJudged("no step could be made")

    def release(self, *envs: Any) -> None:
        """Closes extra copies."""
        for env in envs if "close" not in self.without else ():
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

    def start(self, env: Any, seed: int | None, policy: Policy = RANDOM, draws: Any = None, number: int = 1) -> Play:
        """Returns an episode that is ready to be played; the actions are drawn from `draws`, else from the seed."""
        chooser = policy.chooser(attribute(self.env, "action_space"), (seed or 0) if draws is None else draws)
        return Play(env, Episode(number, policy, seed), chooser, self.heartbeat)

    def play(self, env: Any, seed: int | None, cap: int, policy: Policy = RANDOM, **how: int) -> Episode:
        """Plays one episode to its end or to `cap` steps; see `start`."""
        return self.start(env, seed, policy, **how).run(cap)
