"""How many steps of the environment a training takes in a second, measured with RLlib's own parts."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from .guard import mailbox
from .guard.failure import EnvironmentFailure
from .ppo import BATCH_STEPS, ppo_config
from .rllib.env_runner import EnvRunner
from .vectorization import Vectorization

PATIENCE_SECONDS = 2.0
ROUNDS = 4  # the time for a setting is divided among at least so many


class Pace:
    """Samples with one setting after the other, and learns from what was sampled; a context manager.

    An iteration of `train` samples a batch, then learns from it while the environments rest. So its time is the sum of
    both, and what it takes to learn depends on the number of copies alone: it is measured once for each.
    """

    def __init__(self) -> None:
        self._algorithm: Algorithm | None = None
        self._processes = -1
        self._update_seconds: dict[int, float] = {}  # of a batch, by the number of copies

    def __enter__(self) -> "Pace":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def measure(self, one: Vectorization, seconds: float) -> dict[str, float]:
        """Samples for about so many seconds; returns the steps per second of sampling and of whole iterations.

        Raises:
            EnvironmentFailure: the environment is at fault.
        """
        with environment_failures():
            self._prepare(one)
            step_seconds, episodes = self._sample(one, seconds)
            if one.copies not in self._update_seconds:
                self._update_seconds[one.copies] = self._update(episodes, seconds)
        update = self._update_seconds[one.copies] / BATCH_STEPS
        return {"steps_per_second": 1 / (step_seconds + update), "sampling_steps_per_second": 1 / step_seconds}

    def _prepare(self, one: Vectorization) -> None:
        """Gives the env runners their copies; starts others only if their number differs."""
        if self._algorithm is None or self._processes != one.num_env_runners:
            self._stop()
            self._processes = one.num_env_runners
            self._algorithm = ppo_config(one, seed=0).build_algo()
            self._update(self._round(one.num_envs_per_env_runner), seconds=0.0)  # loads code and makes buffers
        else:
            self._each(lambda runner: refit(runner, one.num_envs_per_env_runner, one.gym_env_vectorize_mode))
        self._round(one.num_envs_per_env_runner)  # resets the copies

    def _sample(self, one: Vectorization, seconds: float) -> tuple[float, list[SingleAgentEpisode]]:
        """Returns the median time of a step, and the longest batch, at most one of `train`."""
        steps, most = one.num_envs_per_env_runner, BATCH_STEPS // one.processes
        times: list[float] = []
        left = seconds
        while left > 0:
            start = time.perf_counter()
            episodes = self._round(steps)
            took = time.perf_counter() - start
            if steps < most and took < seconds / ROUNDS:
                steps = min(2 * steps, most)
            else:
                times.append(took / sum(len(episode) for episode in episodes))
                left -= took
        return median(times), episodes

    def _round(self, steps: int) -> list[SingleAgentEpisode]:
        """Samples as `train` does, so many steps in each process, with new weights before it and metrics after it."""
        assert self._algorithm is not None
        group = self._algorithm.env_runner_group
        group.sync_weights(from_worker_or_learner_group=self._algorithm.learner_group, inference_only=True)
        shares = self._each(lambda runner: (runner.sample(num_timesteps=steps), runner.get_metrics()))
        return [episode for share, _ in shares for episode in share]

    def _each(self, function: Any) -> list[Any]:
        """Calls a function with each env runner."""
        assert self._algorithm is not None
        return self._algorithm.env_runner_group.foreach_env_runner(function, local_env_runner=self._processes == 0)

    def _update(self, episodes: list[SingleAgentEpisode], seconds: float) -> float:
        """Returns the time of an update from a whole batch, reckoned from one with these episodes."""
        assert self._algorithm is not None
        config = self._algorithm.config
        steps = sum(len(episode) for episode in episodes)
        times: list[float] = []
        while not times or sum(times) < seconds / 2:
            start = time.perf_counter()
            self._algorithm.learner_group.update(
                episodes=episodes,
                timesteps={"num_env_steps_sampled_lifetime": 0, "num_module_steps_trained_lifetime": 0},
                num_epochs=config.num_epochs,
                minibatch_size=config.minibatch_size,
            )
            times.append(time.perf_counter() - start)
        return median(times) * BATCH_STEPS / steps

    def _stop(self) -> None:
        algorithm, self._algorithm = self._algorithm, None
        if algorithm is not None:
            algorithm.env_runner_group._worker_manager.clear()  # ends those at once that are busy
            algorithm.stop()


def refit(runner: EnvRunner, copies: int, mode: str) -> None:
    """Makes the copies of an env runner anew: so many, stepped so."""
    runner.config = runner.config.copy(copy_frozen=False)
    runner.config.env_runners(num_envs_per_env_runner=copies, gym_env_vectorize_mode=mode)
    runner.make_env()


@contextmanager
def environment_failures() -> Iterator[None]:
    """Turns what an env runner has told of a failure, from whatever process, into the EnvironmentFailure."""
    is_over = threading.Event()

    def insist(_: Any) -> None:
        if not is_over.wait(PATIENCE_SECONDS):  # most often the failure comes by itself; one that hangs doesn't
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    poll = mailbox.Poll(mailbox.read, insist)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if facts := mailbox.read():
            raise EnvironmentFailure(facts) from error
        raise
    finally:
        is_over.set()
        poll.stop()
