"""How many steps of the environment a training takes in a second, measured with RLlib's own parts."""

import time
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import tree
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from ..rllib.config import algorithm_config
from ..rllib.env_runner import EnvRunner
from ..task import Task
from .settings import Vectorization

ROUNDS = 4  # the time for a setting is divided among at least so many


class Pace:
    """Samples with one setting after the other, and learns from what was sampled; a context manager.

    An iteration of `train` samples a batch, then learns from it while the environments rest. So its time is the sum of
    both, and what it takes to learn depends on the number of copies alone: it is measured once for each.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._batch_steps = 2_048
        self._algorithm: Algorithm | None = None
        self._processes = -1
        self._episode: SingleAgentEpisode  # the last one
        self._update_seconds: dict[int, float] = {}  # of a batch, by the number of copies

    def __enter__(self) -> "Pace":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def measure(self, one: Vectorization, seconds: float) -> dict[str, float]:
        """Samples for about so many seconds; returns the steps per second of sampling and of whole iterations."""
        self._prepare(one)
        step_seconds = self._sample(one, seconds)
        if one.copies not in self._update_seconds:
            self._update_seconds[one.copies] = self._update(one.copies, seconds)
        update = self._update_seconds[one.copies] / self._batch_steps
        return {"steps_per_second": 1 / (step_seconds + update), "sampling_steps_per_second": 1 / step_seconds}

    def _prepare(self, one: Vectorization) -> None:
        """Gives the env runners their copies; starts others only if their number differs."""
        if self._algorithm is None or self._processes != one.num_env_runners:
            self._stop()
            self._processes = one.num_env_runners
            self._algorithm = algorithm_config(self._task, one, seed=0).build_algo()
            self._round(one.num_envs_per_env_runner)
            if not self._update_seconds:
                self._update(one.copies, seconds=0.0)  # loads code
        else:
            self._each(lambda runner: refit(runner, one.num_envs_per_env_runner, one.gym_env_vectorize_mode))
        self._round(one.num_envs_per_env_runner)  # resets the copies

    def _sample(self, one: Vectorization, seconds: float) -> float:
        """Returns the median time of a step, in batches that are as long as the seconds allow."""
        steps, most = one.num_envs_per_env_runner, self._batch_steps // one.processes
        times: list[float] = []
        left = seconds
        while left > 0:
            start = time.perf_counter()
            sampled = self._round(steps)
            took = time.perf_counter() - start
            if steps < most and took < seconds / ROUNDS:
                steps = min(2 * steps, most)
            else:
                times.append(took / sampled)
                left -= took
        return median(times)

    def _round(self, steps: int) -> int:
        """Samples as `train` does, with new weights before it and metrics after it.

        Args:
            steps: of each process.

        Returns:
            The steps of all processes.
        """
        assert self._algorithm is not None
        group = self._algorithm.env_runner_group
        group.sync_weights(from_worker_or_learner_group=self._algorithm.learner_group, inference_only=True)
        shares = self._each(lambda runner: (runner.sample(num_timesteps=steps), runner.get_metrics()))
        self._episode = shares[0][0][0]
        return sum(len(episode) for share, _ in shares for episode in share)

    def _each(self, function: Any) -> list[Any]:
        """Calls a function with each env runner."""
        assert self._algorithm is not None
        return self._algorithm.env_runner_group.foreach_env_runner(function, local_env_runner=self._processes == 0)

    def _update(self, copies: int, seconds: float) -> float:
        """Returns the median time of an update from a batch that so many copies have sampled."""
        assert self._algorithm is not None and self._algorithm.config is not None
        times: list[float] = []
        while not times or sum(times) < seconds / 2:
            episodes = [stretched(self._episode, self._batch_steps // copies) for _ in range(copies)]
            start = time.perf_counter()
            self._algorithm.learner_group.update(
                episodes=episodes,
                timesteps={"num_env_steps_sampled_lifetime": 0, "num_module_steps_trained_lifetime": 0},
                num_epochs=self._algorithm.config.num_epochs,
                minibatch_size=self._algorithm.config.minibatch_size,
            )
            times.append(time.perf_counter() - start)
        return median(times)

    def _stop(self) -> None:
        algorithm, self._algorithm = self._algorithm, None
        if algorithm is not None:
            algorithm.env_runner_group._worker_manager.clear()  # ends those at once that are busy
            algorithm.stop()


def stretched(episode: SingleAgentEpisode, steps: int) -> SingleAgentEpisode:
    """Returns an episode of so many steps: the first step of the given one, over and over, with random rewards."""

    def column(length: int, part: Any) -> np.ndarray:
        return np.repeat(np.asarray(part)[None], length, axis=0)

    return SingleAgentEpisode(
        observations=tree.map_structure(partial(column, steps + 1), episode.get_observations(0)),
        observation_space=episode.observation_space,
        actions=tree.map_structure(partial(column, steps), episode.get_actions(0)),
        action_space=episode.action_space,
        rewards=np.random.default_rng(0).normal(size=steps),
        infos=[{}] * (steps + 1),
        extra_model_outputs={
            key: column(steps, episode.get_extra_model_outputs(key, 0)) for key in episode.extra_model_outputs
        },
        len_lookback_buffer=0,
    )


def refit(runner: EnvRunner, copies: int, mode: str) -> None:
    """Makes the copies of an env runner anew: so many, stepped so."""
    runner.config = runner.config.copy(copy_frozen=False)
    runner.config.env_runners(num_envs_per_env_runner=copies, gym_env_vectorize_mode=mode)
    runner.make_env()
