"""Plays episodes and keeps everything that the environment returned, for the checks to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..spaces.membership import short
from .locations import described, raised
from .policies import Chooser, Policy
from .pulse import Pulse
from .surroundings import Snapshot, snapshot
from .values import copy_value, same, truth


@dataclass
class Trouble:
    """A call of the environment that raised."""

    call: str
    step: int
    text: str
    where: str | None
    problem: BaseException


@dataclass
class Step:
    """What one `step` got and gave; `obs` is a copy made at once, `live` the returned object itself."""

    action: Any
    obs: Any
    live: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: Any
    info_copy: Any
    seconds: float
    action_after: Any = None


@dataclass
class Episode:
    """A reset and the steps after it."""

    number: int
    policy: Policy
    seed: int | None
    fresh: bool
    obs: Any = None
    live: Any = None
    info: Any = None
    info_copy: Any = None
    has_reset: bool = False
    steps: list[Step] = field(default_factory=list)
    ended: bool = False
    trouble: Trouble | None = None
    malformed_reset: Any = None
    malformed_step: Any = None
    reset_seconds: float = 0.0
    before: Snapshot | None = None
    after_reset: Snapshot | None = None
    after_steps: Snapshot | None = None
    chdir: bool = False

    def at(self, step: int) -> str:
        """A place in this episode, in words; step 0 is the reset."""
        seed = "no seed" if self.seed is None else f"seed {self.seed}"
        call = "in reset()" if step == 0 else f"at step {step}"
        return f"{call} of episode {self.number} ({self.policy.label}, {seed})"

    def observations(self) -> Iterator[tuple[int, Any]]:
        """(step, observation), the reset's first."""
        if self.has_reset:
            yield 0, self.obs
        for index, step in enumerate(self.steps, 1):
            yield index, step.obs

    def infos(self) -> Iterator[tuple[int, Any]]:
        """(step, info), the reset's first."""
        if self.has_reset:
            yield 0, self.info
        for index, step in enumerate(self.steps, 1):
            yield index, step.info

    def overwritten(self) -> int | None:
        """The first step whose returned observation was changed afterwards."""
        pairs = [(self.live, self.obs), *((step.live, step.obs) for step in self.steps)]
        return next((i for i, (live, kept) in enumerate(pairs) if not same(live, kept)), None)

    def info_overwritten(self) -> int | None:
        """The first step whose returned info was changed afterwards."""
        pairs = [(self.info, self.info_copy), *((step.info, step.info_copy) for step in self.steps)]
        return next((i for i, (live, kept) in enumerate(pairs) if kept is not None and not same(live, kept)), None)


def play(env: Any, episode: Episode, chooser: Chooser, cap: int, pulse: Pulse, options: Any = None) -> Episode:
    """Plays one episode to its end or to `cap` steps."""
    for _ in moves(env, episode, chooser, cap, pulse, options):
        pass
    return episode


def moves(env: Any, episode: Episode, chooser: Chooser, cap: int, pulse: Pulse, options: Any = None) -> Iterator[None]:
    """Like `play`, but pauses after the reset and after every step, so that two copies can be interleaved."""
    pulse.context(episode.at(0).removeprefix("in reset() of "))
    episode.before = snapshot()
    if not _reset(env, episode, pulse, options):
        return
    episode.after_reset = snapshot()
    yield
    obs, info = episode.obs, episode.info
    while len(episode.steps) < cap and not episode.ended:
        step = _step(env, episode, chooser(obs, info), pulse)
        if step is None:
            break
        episode.ended = truth(step.terminated) or truth(step.truncated)
        obs, info = step.obs, step.info
        yield
    episode.after_steps = snapshot()


def _reset(env: Any, episode: Episode, pulse: Pulse, options: Any) -> bool:
    arguments: dict[str, Any] = {} if episode.seed is None else {"seed": episode.seed}
    if options is not None:
        arguments["options"] = options
    pulse.call("reset")
    start = time.perf_counter()
    try:
        result = env.reset(**arguments)
    except BaseException as problem:
        episode.trouble = Trouble("reset", 0, described(problem), raised(problem), problem)
        return False
    episode.reset_seconds = time.perf_counter() - start
    if (
        isinstance(result, tuple | list)
        and len(result) == 2
        and (isinstance(result, tuple) or isinstance(result[1], dict))
    ):
        episode.live, episode.info = result
    else:
        episode.live, episode.info = result, {}
    if not isinstance(result, tuple) or len(result) != 2:
        episode.malformed_reset = result if result is not None else "None"
    episode.obs = copy_value(episode.live)
    episode.info_copy = _info_copy(episode.info)
    episode.has_reset = True
    return True


def _step(env: Any, episode: Episode, action: Any, pulse: Pulse) -> Step | None:
    number = len(episode.steps) + 1
    kept = copy_value(action)
    pulse.call("step", number)
    start = time.perf_counter()
    try:
        result = env.step(action)
    except BaseException as problem:
        text = f"{described(problem)} (action {short(kept)})"
        episode.trouble = Trouble("step", number, text, raised(problem), problem)
        return None
    seconds = time.perf_counter() - start
    if not isinstance(result, tuple) or len(result) != 5:
        episode.malformed_step = result if result is not None else "None"
        if isinstance(result, tuple | list) and len(result) == 4:  # The old API: obs, reward, done, info.
            result = (*result[:3], False, result[3])
        elif not isinstance(result, list) or len(result) != 5:
            return None
    obs, reward, terminated, truncated, info = result
    copied = _info_copy(info) if number <= 40 else None
    step = Step(kept, copy_value(obs), obs, copy_value(reward), terminated, truncated, info, copied, seconds)
    if not isinstance(action, np.generic | int) and not same(action, kept):
        step.action_after = copy_value(action)
    episode.steps.append(step)
    return step


def _info_copy(info: Any) -> Any:
    """A copy of a small, flat info, to see whether it is changed later; None where that would be dear."""
    if not isinstance(info, dict) or len(info) > 30:
        return None
    simple = (int, float, str, bool, np.generic)
    kept: dict[Any, Any] = {}
    for key, value in info.items():
        if isinstance(value, np.ndarray) and value.nbytes <= 1000:
            kept[key] = value.copy()
        elif isinstance(value, simple):
            kept[key] = value
        elif isinstance(value, dict | list) and len(value) <= 10:
            kept[key] = copy_value(value)
        else:
            return None
    return kept
