"""The Guard of an environment that steps all its copies at once."""

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from . import LONG_EPISODE_STEPS, membership, warn_of_long_episode
from .failure import EnvironmentFailure, users_traceback
from .spool import keep_log
from .watchdog import watchdog_of


class VectorGuard(gym.vector.VectorWrapper):
    """Raises EnvironmentFailure where a copy does what `Guard` raises it for, or plays on after its episode's end.

    RLlib starts the copies together, once, so that a failure comes with the seed of the whole and its step since then.

    Args:
        env: the environment in its own spaces, as `make_vector_env` gives it.

    Raises:
        EnvironmentFailure: it does not reset its copies in the way that RLlib counts on.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self._is_inside = membership(env.observation_space)
        self._seed: Any = None
        self._steps = 0
        self._lengths = np.zeros(env.num_envs, int)  # of the episodes under way
        self._ended = np.zeros(env.num_envs, bool)  # copies that the next step resets
        self._watchdog = watchdog_of(os.getpid())
        keep_log()
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.NEXT_STEP:
            raise EnvironmentFailure(
                {
                    "message": f'metadata["autoreset_mode"] is {mode}; RLlib would mix the episodes. Write '
                    "AutoresetMode.NEXT_STEP, and reset a copy in the step after its episode's end"
                }
            )

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in every copy."""
        self._seed, self._steps = seed, 0
        self._lengths[:], self._ended[:] = 0, False
        try:
            with self._watchdog:
                observations, infos = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:
            raise self._failure("the environment raised an exception", users_traceback(error)) from error
        self._judge(observations)
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes a step in every copy and looks at what they return."""
        self._steps += 1
        try:
            with self._watchdog:
                observations, rewards, terminated, truncated, infos = self.env.step(actions)
        except (Exception, SystemExit) as error:
            raise self._failure("the environment raised an exception", users_traceback(error)) from error
        if not np.isfinite(rewards).all():
            copy = int(np.argmin(np.isfinite(rewards)))
            raise self._failure(f"the reward of copy {copy} is {rewards[copy]}, not a finite number")
        done = np.logical_or(terminated, truncated)
        if (self._ended & (done | (np.asarray(rewards) != 0))).any():
            copy = int(np.argmax(self._ended & (done | (np.asarray(rewards) != 0))))
            raise self._failure(
                f"copy {copy}, whose episode had ended, got reward {rewards[copy]} and done={bool(done[copy])}; "
                "this step must only reset it, with reward 0 and not done"
            )
        self._judge(observations)
        self._lengths[self._ended] = -1  # this step was no step of an episode
        self._lengths += 1
        if (self._lengths == LONG_EPISODE_STEPS).any():
            warn_of_long_episode()
        self._ended = done
        return observations, rewards, terminated, truncated, infos

    def _judge(self, observations: Any) -> None:
        """Raises EnvironmentFailure for what `Guard` raises it for; the first index of a number is its copy."""
        if not self._is_inside(observations):
            from ..spaces.membership import problems  # late: only where something seems wrong

            for problem in problems(self.observation_space, observations, "observations"):
                if problem.kind != "dtype":  # the adapters convert it
                    raise self._failure(f"{problem.message}; {problem.fix}")

    def _failure(self, what: str, details: str = "") -> EnvironmentFailure:
        where = f"in step {self._steps} after" if self._steps else "in"
        message = f"{what}, {where} reset(seed={self._seed}) of {self.num_envs} copies"
        return EnvironmentFailure({"message": f"{message}:\n{details}" if details else message})
