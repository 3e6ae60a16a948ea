"""Stands between your environment and training, and ends the run at once on what would only spoil it."""

import logging
import math
import multiprocessing
import signal
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate

from ..config import config_of
from ..errors import BrokenEpisode
from ..spaces.predicate import predicate
from .calls import EnvironmentCalls
from .failure import EnvironmentFailure

BROKEN = "broken_episode"  # in the info of a step that was none: the environment has raised BrokenEpisode
logger = logging.getLogger(__name__)


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
        self._observation: Any = None
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
        self._observation, info = self._call(self.env.reset, seed=self._seed, options=options)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Takes a step and looks at what it returns."""
        self._actions.append(action)
        try:
            observation, reward, terminated, truncated, info = self._call(self.env.step, action)
        except BrokenEpisode as error:
            logger.warning(f"an episode is dropped, {self._where()}: {error}")
            return self._observation, 0.0, False, True, {BROKEN: True}  # never learnt from: the env runner drops it
        if not _is_finite(reward):
            raise self._failure(f"the reward is {reward!r}, not a finite number")
        self._observation = observation
        self._watch_length(len(self._actions))
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


class VectorGuard(EnvironmentCalls, gym.vector.VectorWrapper):
    """Raises EnvironmentFailure where a copy does what `Guard` raises it for, or plays on after its episode's end.

    RLlib starts the copies together, once, so that a failure comes with the seed of the whole and its step since then.

    Args:
        env: the environment that steps all its copies, in its own spaces, as `Task.make_vector` gives it.
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
            message = (
                f'metadata["autoreset_mode"] is {mode}; RLlib would mix the episodes. Write '
                "AutoresetMode.NEXT_STEP, and reset a copy in the step after its episode's end"
            )
            raise EnvironmentFailure({"message": message})

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in every copy."""
        self._seed, self._steps = seed, 0
        self._lengths[:], self._ended[:] = 0, False
        return self._call(self.env.reset, seed=seed, options=options)

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
        self._lengths[self._ended] = -1  # this step was no step of an episode
        self._lengths += 1
        self._watch_length(self._lengths.max())
        self._ended = done
        return observations, rewards, terminated, truncated, infos

    def _number_out_of_bounds(self, observations: Any) -> int:
        return sum(not self._is_one_inside(one) for one in iterate(self._space, observations))

    def _where(self) -> str:
        call = f"in step {self._steps} after" if self._steps else "in"
        return f"{call} reset(seed={self._seed}) of {self.num_envs} copies"


def _is_finite(reward: Any) -> bool:
    try:
        return math.isfinite(reward)
    except (TypeError, ValueError):
        return False
