"""Stands between your environment and training, and ends the run at once on what would only spoil it."""

import logging
import math
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .failure import EnvironmentFailure, users_traceback
from .spool import keep_log
from .watchdog import watchdog_of

LONG_EPISODE_STEPS = 50_000  # an episode that takes longer is most likely one that never ends
LONG_EPISODE = "does it ever end?"  # how the driver knows the warning, to show it once a run

logger = logging.getLogger(__name__)


class Guard(gym.Wrapper[Any, Any, Any, Any]):
    """Raises EnvironmentFailure when the environment raises, exits, returns NaN or leaves its observation space.

    Each episode gets a seed of its own, drawn from the seed of this copy, and its actions are kept: both together play
    the episode again, however many went before it.

    Args:
        env: the environment in its own spaces, as `make_env` gives it.
        first_seed: of the first episode, to play it again.
    """

    def __init__(self, env: gym.Env[Any, Any], first_seed: int | None = None) -> None:
        super().__init__(env)
        self._first_seed = first_seed
        self._is_inside = membership(env.observation_space)
        self._seeds = np.random.default_rng()
        self._seed = self._episode = 0
        self._actions: list[Any] = []
        self._watchdog = watchdog_of(os.getpid())
        keep_log()
        if multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent ends this one
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode with the next seed of this copy; a `seed` starts the sequence of seeds anew."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        self._seed = int(self._seeds.integers(2**31)) if self._first_seed is None else self._first_seed
        self._first_seed = None
        self._episode += 1
        self._actions = []
        try:
            with self._watchdog:
                observation, info = self.env.reset(seed=self._seed, options=options)
        except (Exception, SystemExit) as error:
            raise self._failure("the environment raised an exception", users_traceback(error)) from error
        if not self._is_inside(observation):
            self._judge(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Takes a step and looks at what it returns."""
        self._actions.append(action)
        try:
            with self._watchdog:
                observation, reward, terminated, truncated, info = self.env.step(action)
        except (Exception, SystemExit) as error:
            raise self._failure("the environment raised an exception", users_traceback(error)) from error
        if not is_finite(reward):
            raise self._failure(f"the reward is {reward!r}, not a finite number")
        if not self._is_inside(observation):
            self._judge(observation)
        if len(self._actions) == LONG_EPISODE_STEPS:
            warn_of_long_episode()
        return observation, reward, terminated, truncated, info

    def _judge(self, observation: Any) -> None:
        """Raises EnvironmentFailure, unless only the dtype is another or a number misses its bound by rounding."""
        from ..spaces.membership import problems  # late: only where something seems wrong

        for problem in problems(self.observation_space, observation):
            if problem.kind != "dtype":  # the adapters convert it
                raise self._failure(f"{problem.message}; {problem.fix}")

    def _failure(self, what: str, details: str = "") -> EnvironmentFailure:
        """Returns the exception that holds all it takes to see the failure again."""
        step = len(self._actions)
        where = f"in step {step}" if step else "in reset"
        message = f"{what}, {where} of episode {self._episode} of its copy, seed {self._seed}"
        config = getattr(self.unwrapped, "config", None)
        return EnvironmentFailure(
            {
                "message": f"{message}:\n{details}" if details else message,
                "seed": self._seed,
                "episode": self._episode,
                "step": step,
                "config": asdict(config) if is_dataclass(config) and not isinstance(config, type) else {},
                "actions": self.action_space.to_jsonable(self._actions),
            }
        )


@cache
def warn_of_long_episode() -> None:
    """Says that an episode may never end; the cache makes it once a process."""
    logger.warning(
        f"an episode has taken {LONG_EPISODE_STEPS:,} steps; {LONG_EPISODE} "
        "No return is known before it does. MAX_EPISODE_STEPS in env.py sets a limit"
    )


def is_finite(number: Any) -> bool:
    """Tells whether it is a number, neither NaN nor infinite."""
    try:
        return math.isfinite(number)
    except (TypeError, ValueError):
        return False


def membership(space: gym.Space[Any]) -> Callable[[Any], bool]:
    """Returns a function that tells whether a value is in a space, in a third of the time of `space.contains`.

    It also refuses infinity in an unbounded Box.
    """
    if isinstance(space, spaces.Box):
        return _box_membership(space)
    if isinstance(space, spaces.Dict):
        parts = {key: membership(part) for key, part in space.spaces.items()}
        return lambda value: (
            isinstance(value, dict) and value.keys() == parts.keys() and all(parts[key](value[key]) for key in parts)
        )
    if isinstance(space, spaces.Tuple):
        each = [membership(part) for part in space.spaces]
        return lambda value: (
            isinstance(value, tuple | list)
            and len(value) == len(each)
            and all(f(v) for f, v in zip(each, value, strict=True))
        )
    return space.contains


def _box_membership(space: spaces.Box) -> Callable[[Any], bool]:
    shape, dtype = space.shape, space.dtype
    low, high = space.low, space.high
    if dtype is not None and dtype.kind == "f":
        limits = np.finfo(dtype)
        low, high = np.maximum(low, limits.min), np.minimum(high, limits.max)
    elif dtype is not None and (low == np.iinfo(dtype).min).all() and (high == np.iinfo(dtype).max).all():
        return lambda value: type(value) is np.ndarray and value.dtype == dtype and value.shape == shape

    def is_inside(value: Any) -> bool:
        return (
            type(value) is np.ndarray
            and value.shape == shape
            and bool((low <= value).all())
            and bool((value <= high).all())
        )

    return is_inside
