"""Stands between your environment and training, and ends the run at once on what would only spoil it."""

import math
import multiprocessing
import signal
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from ..config import config_of
from . import calls
from .calls import EnvironmentCalls


class Guard(EnvironmentCalls, gym.Wrapper[Any, Any, Any, Any]):
    """Raises EnvironmentFailure when the environment raises, exits, returns NaN or leaves its observation space.

    Floats beyond their bounds are only counted, and the first is warned of: the policy normalises what it sees.

    Each episode gets a seed of its own, drawn from the seed of this copy, and its actions are kept: both together play
    the episode again, however many went before it.

    Args:
        env: the environment in its own spaces, as `Task.make` gives it.
        first_seed: of the first episode, to play it again.
        strict: ends the run on floats beyond their bounds, too; None asks the environment variable `calls.STRICT`.
    """

    def __init__(self, env: gym.Env[Any, Any], first_seed: int | None = None, strict: bool | None = None) -> None:
        super().__init__(env)
        self._prepare(env, "observation", strict)
        self._first_seed = first_seed
        self._seeds = np.random.default_rng()
        self._seed = self._episode = 0
        self._actions: list[Any] = []
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
        observation, info = self._call(self.env.reset, seed=self._seed, options=options)
        if not self._is_inside(observation):
            self._judge(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Takes a step and looks at what it returns."""
        self._actions.append(action)
        observation, reward, terminated, truncated, info = self._call(self.env.step, action)
        if not is_finite(reward):
            raise self._failure(f"the reward is {reward!r}, not a finite number")
        if not self._is_inside(observation):
            self._judge(observation)
        if len(self._actions) == calls.LONG_EPISODE_STEPS:
            calls.warn_of_long_episode()
        return observation, reward, terminated, truncated, info

    def _where(self) -> str:
        call = f"in step {len(self._actions)}" if self._actions else "in reset"
        return f"{call} of episode {self._episode} of its copy, seed {self._seed}"

    def _facts(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "episode": self._episode,
            "step": len(self._actions),
            "config": config_of(self),
            "actions": self.action_space.to_jsonable(self._actions),
            "strict": self._is_strict,
        }


def is_finite(number: Any) -> bool:
    """Returns whether it is a number, neither NaN nor infinite."""
    try:
        return math.isfinite(number)
    except (TypeError, ValueError):
        return False
