"""One environment under study: its copies, and how they are made and played."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from ...spaces.views import FirstCopy
from .channel import Heartbeat, RecordWriter
from .episodes import Play
from .locations import described, unwrapped
from .model import Build, Episode, NotJudged
from .policies import RANDOM, Policy, constant_policies
from .state import State, shared_state
from .surroundings import Events, quietly, snapshot
from .targets import Keywords, WorkerConfig, make
from .values import attribute, copy_value, size_in_bytes

SLOW_CONSTRUCTOR_SECONDS = 0.5  # from here on, copies are too dear to be made for one probe each


@dataclass(frozen=True)
class Plan:
    """How much may be played: chosen in coarse grades of speed, so that reports do not depend on the load."""

    total: int  # steps of the main episodes together
    cap: int  # steps of one main episode
    small: int  # steps of an episode in the other probes
    resets: int  # resets in the probes that need many
    longest: int = 0  # steps of one episode more, where none has ended


GRADES = (  # (seconds a step below which the plan holds, plan)
    (0.0005, Plan(total=3000, cap=600, small=100, resets=10, longest=21_000)),
    (0.004, Plan(total=3000, cap=600, small=100, resets=10)),
    (0.015, Plan(total=180, cap=80, small=12, resets=6)),
    (0.06, Plan(total=80, cap=40, small=5, resets=4)),
    (0.3, Plan(total=24, cap=12, small=3, resets=3)),
    (float("inf"), Plan(total=6, cap=3, small=1, resets=2)),
)
THOROUGH = Plan(total=20_000, cap=3000, small=300, resets=20, longest=25_000)
MEMORY_BYTES = 48_000_000  # room for recorded observations


class Recorder:
    """Makes copies of the environment and plays with them, for the probes."""

    maker: Callable[..., Any]  # class or creator

    def __init__(self, request: dict[str, Any], heartbeat: Heartbeat, writer: RecordWriter) -> None:
        self.heartbeat, self.writer = heartbeat, writer
        self.config, self.quick, self.thorough = (request[name] for name in ("config", "quick", "thorough"))
        self.cap: int | None = request["cap"]  # steps that an episode may have, where a longer one ended the process
        self.without: list[str] = request["without"]  # probes to leave out, or "close" where that ends the process
        self.events = Events()
        self.builds: dict[str, Build] = {}
        self.env: Any = None  # the copy that plays the main episodes
        self.main_config: Any = None  # the config object that it, and all further copies, were made from
        self.config_before: Any = None
        self.first_spaces: dict[str, Any] = {}
        self.first_shared: State = {}  # what all copies share, before there was a second one
        self.slow_to_build, self.only_one = False, bool(request["only_one"])
        self.spare: list[Any] = []  # copies that have not been reset, for who needs one
        self.episodes: list[Episode] = []
        self.plan = self.plan_by_pace()

    def build(self, name: str, config: Any, render_mode: str | None = None) -> Any:
        """Calls the constructor once and records how it went; returns the environment, None if it raised."""
        before, env = snapshot(), None
        with self.heartbeat.calling("__init__") as call:
            env = make(self.maker, config, render_mode)
            env = FirstCopy(env) if isinstance(env, VectorEnv) else env
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
        self.first_shared = shared_state(self.env)
        if not self.only_one:
            self.keep(self.build("second", self.main_config))
            if self.builds[name].seconds > SLOW_CONSTRUCTOR_SECONDS:  # the first one may have imported a library
                self.builds[name].seconds = min(self.builds[name].seconds, self.builds["second"].seconds)
            self.only_one = self.builds["second"].error is not None
        self.slow_to_build = self.builds[name].seconds > SLOW_CONSTRUCTOR_SECONDS and not self.thorough
        for space in ("observation_space", "action_space"):
            self.first_spaces[space] = copy_value(attribute(self.env, space))

    def keep(self, env: Any) -> None:
        """Keeps a fresh copy for the next probe that needs one."""
        if env is not None and unwrapped(env) is not unwrapped(self.env):
            self.spare.append(env)

    def another(self) -> Any:
        """Returns one more copy from the same config object, as in one env runner; raises NotJudged if none can be."""
        env = self.spare.pop() if self.spare else None
        if env is None and not self.only_one:
            env = self.build("another", self.main_config)
        if env is None:
            raise NotJudged("no second copy can be made")
        return env

    def require(self, copies: bool, steps: bool) -> None:
        """Raises NotJudged where a probe lacks what it needs: cheap copies, or an environment that can be stepped."""
        if copies and (self.slow_to_build or self.only_one):
            raise NotJudged(
                f"{NotJudged.CUT}: the constructor is slow" if self.slow_to_build else "no second copy can be made"
            )
        if steps and not any(episode.steps for episode in self.episodes):
            raise NotJudged("no step could be made")

    def release(self, *envs: Any) -> None:
        """Closes extra copies."""
        for env in envs if "close" not in self.without else ():
            self.heartbeat.call("close")
            quietly(env.close)

    def plan_by_pace(self) -> Plan:
        """Returns how much may be played, as fast as the episodes were so far."""
        seconds = [step.seconds for episode in self.episodes for step in episode.steps]
        first = self.episodes[0] if self.episodes else Episode(0, RANDOM, None)
        typical = sorted(seconds or [0.0])[len(seconds) // 4]  # below the median, as a busy machine only slows down
        pace = max(typical, first.reset_seconds / 30)
        plan = THOROUGH if self.thorough else next(plan for limit, plan in GRADES if pace < limit)
        room = MEMORY_BYTES // max(size_in_bytes(first.obs), 1)
        total = max(min(int(plan.total * (0.2 if self.quick else 1.0)), room), 4)
        cap, longest = min(plan.cap, total), min(plan.longest, room)
        if self.cap is not None:
            cap, longest = min(cap, self.cap), min(longest, self.cap)
        return Plan(total, cap, min(plan.small, cap), plan.resets, longest)

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

    def constant_policies(self, limit: int = 6) -> list[Policy]:
        """Returns policies that always take the same action."""
        return constant_policies(self.action_space(), limit)

    def start(self, env: Any, seed: int | None, policy: Policy = RANDOM, draws: Any = None, number: int = 1) -> Play:
        """Returns an episode that is ready to be played; the actions are drawn from `draws`, else from the seed."""
        chooser = policy.chooser(attribute(self.env, "action_space"), (seed or 0) if draws is None else draws)
        return Play(env, Episode(number, policy, seed), chooser, self.heartbeat)

    def play(self, env: Any, seed: int | None, cap: int, policy: Policy = RANDOM, **how: int) -> Episode:
        """Plays one episode to its end or to `cap` steps; see `start`."""
        return self.start(env, seed, policy, **how).run(cap)
