"""The Guard of an environment that steps all its copies at once."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate

from ..spaces.predicate import predicate
from . import calls
from .calls import EnvironmentCalls
from .failure import EnvironmentFailure


class VectorGuard(EnvironmentCalls, gym.vector.VectorWrapper):
    """Raises EnvironmentFailure where a copy does what `Guard` raises it for, or plays on after its episode's end.

    RLlib starts the copies together, once, so that a failure comes with the seed of the whole and its step since then.

    Args:
        env: the environment in its own spaces, as `Task.make_vector` gives it.
        strict: as of `Guard`.

    Raises:
        EnvironmentFailure: it does not reset its copies in the way that RLlib counts on.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], strict: bool | None = None) -> None:
        super().__init__(env)
        self._prepare(env, "observations", strict)  # the first index of a number is its copy
        self._is_one_inside = predicate(env.single_observation_space)
        self._seed: Any = None
        self._steps = 0
        self._lengths = np.zeros(env.num_envs, int)  # of the episodes under way
        self._ended = np.zeros(env.num_envs, bool)  # copies that the next step resets
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
        observations, infos = self._call(self.env.reset, seed=seed, options=options)
        if not self._is_inside(observations):
            self._judge(observations)
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes a step in every copy and looks at what they return."""
        self._steps += 1
        observations, rewards, terminated, truncated, infos = self._call(self.env.step, actions)
        finite = np.isfinite(rewards)
        if not finite.all():
            copy = int(np.argmin(finite))
            raise self._failure(f"the reward of copy {copy} is {rewards[copy]}, not a finite number")
        done = np.logical_or(terminated, truncated)
        plays_on = self._ended & (done | (np.asarray(rewards) != 0))
        if plays_on.any():
            copy = int(np.argmax(plays_on))
            raise self._failure(
                f"copy {copy}, whose episode had ended, got reward {rewards[copy]} and done={bool(done[copy])}; "
                "this step must only reset it, with reward 0 and not done"
            )
        if not self._is_inside(observations):
            self._judge(observations)
        self._lengths[self._ended] = -1  # this step was no step of an episode
        self._lengths += 1
        if (self._lengths == calls.LONG_EPISODE_STEPS).any():
            calls.warn_of_long_episode()
        self._ended = done
        return observations, rewards, terminated, truncated, infos

    def _number_out_of_bounds(self, observations: Any) -> int:
        return sum(not self._is_one_inside(one) for one in iterate(self._space, observations))

    def _where(self) -> str:
        call = f"in step {self._steps} after" if self._steps else "in"
        return f"{call} reset(seed={self._seed}) of {self.num_envs} copies"
