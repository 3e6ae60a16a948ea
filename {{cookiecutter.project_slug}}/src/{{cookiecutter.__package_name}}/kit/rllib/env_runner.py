"""RLlib's env runner with what training one's own environment needs: seeds that differ, and loud failures."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import torch
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from ..guard import BROKEN
from ..guard.child_log import ChildLog, pop_hang_report
from ..guard.failure import EnvironmentFailure
from ..guard.watchdog import watchdog_of
from ..tracebacks import users_traceback
from . import failure_report, quieten
from .sampled import SAMPLED, EpisodeCounter
from .sampling import BatchedEnvRunner
from .seeding import seed_of, seed_process

CLOSE_SECONDS = 2.0
SEEDS_OF_A_START = 1_000_000  # more copies than there ever are


class CopyLost(Exception):
    """A process of `async` vectorization has died: the machine's fault, not the environment's."""


class EnvRunner(BatchedEnvRunner):
    """Samples episodes from the copies of one process, and says so at once when one of them fails."""

    env: Any

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        quieten()
        seed_process(config, kwargs.get("worker_index") or 0)
        gym.logger.min_level = gym.logger.ERROR + 1  # what its async mode logs is raised as well
        self._child_log = ChildLog()
        watchdog_of(os.getpid()).report = self._report  # of this process; those of `async` copies end theirs
        super().__init__(config=config, **kwargs)
        self._counter: Any = EpisodeCounter()
        self.seed_envs(restart_count=0)

    def seed_envs(self, restart_count: int) -> None:
        """Chooses the seeds of the copies: no two of them, after no restart of the run, share one.

        Args:
            restart_count: how often the run has been started before.
        """
        if (seed := seed_of(self.config)) is not None:
            # Gymnasium gives copy i the seed `self._seed + i`. RLlib's own choice, seed + worker_index, would give
            # the second copy of runner 1 the same episodes as the first copy of runner 2.
            first = (self.worker_index or 0) * self.config.num_envs_per_env_runner
            self._seed = seed + restart_count * SEEDS_OF_A_START + first
            if restart_count:
                torch.manual_seed(self._seed)  # of the actions
        self._needs_initial_reset = True

    def make_env(self) -> None:
        """Makes the copies; tells the driver what their constructor raises."""
        if not isinstance(self.config.env_config, _Context):
            self.config.env_config = _Context(
                self.config.env_config, worker_index=self.worker_index, num_workers=self.num_workers
            )
        if report := pop_hang_report():  # of the env runner that this one is to replace
            raise self._report(report)
        try:
            self._make_copies()
        except Exception as error:
            raise self._report(f"the environment can't be made:\n{users_traceback(error)}") from error

    def _make_copies(self) -> None:
        super().make_env()

    def sample(self, **kwargs: Any) -> list[SingleAgentEpisode]:
        """Samples as RLlib does.

        Raises:
            EnvironmentFailure: the environment is at fault; the driver has been told.
            CopyLost: a process of `async` vectorization is gone.
        """
        try:
            episodes = super().sample(**kwargs)
        except Exception as error:
            # Of a failed reset RLlib raises an error without a message; what failed is its cause.
            cause: Any = error.__cause__ if error.__cause__ and not str(error) else error
            if isinstance(cause, EOFError | BrokenPipeError | ConnectionResetError):
                if report := pop_hang_report():
                    raise self._report(report) from error
                raise CopyLost("a process of an environment has died") from cause
            is_known = isinstance(cause, EnvironmentFailure)
            raise self._report(cause if is_known else f"sampling failed:\n{users_traceback(cause)}") from error
        episodes = [episode for episode in episodes if not episode.get_infos(-1).get(BROKEN)]
        sampled = self._counter.count(episodes)
        sampled.observations_out_of_bounds = self._child_log.new_out_of_bounds()
        sampled.log_lines = self._tag(self._child_log.new_lines())
        self.metrics.log_value(SAMPLED, sampled, reduce="item_series")
        return episodes

    def apply(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `func` on this runner, errors included: RLlib's own would end the process and drop the message."""
        return func(self, *args, **kwargs)

    def stop(self) -> None:
        """Closes the copies."""
        if self.config.gym_env_vectorize_mode == "async" and self.env is not None:
            self.env.close(timeout=CLOSE_SECONDS)  # the copies may be busy
        super().stop()
        self._child_log.close()

    def _report(self, failure: EnvironmentFailure | str) -> EnvironmentFailure:
        """Tells the driver, with what only the env runner knows; returns the failure, to raise it."""
        failure = EnvironmentFailure({"message": failure}) if isinstance(failure, str) else failure
        log = self._tag(self._child_log.new_lines())
        failure_report.post({**failure.facts, "env_runner": self.worker_index, "log": log})
        return failure

    def _tag(self, lines: Sequence[str]) -> list[str]:
        return [f"{line} [env runner {self.worker_index}]" if self.worker_index else line for line in lines]


class _Context(EnvContext):
    """RLlib's EnvContext, which stays one when RLlib adds `num_envs` to it in `vector_entry_point` mode."""

    def __or__(self, other: Any) -> "_Context":
        return _Context({**self, **other}, worker_index=self.worker_index, num_workers=self.num_workers)
