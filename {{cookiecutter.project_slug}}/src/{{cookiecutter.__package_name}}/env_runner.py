"""RLlib's env runner with what training one's own environment needs: seeds that differ, and loud failures."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from .sampling import BatchedEnvRunner

EPISODE_RETURNS = "episode_returns"


class EnvironmentFailure(Exception):
    """The environment raised an exception; the message holds its traceback from the user's first line on."""


class EnvRunner(BatchedEnvRunner):
    """Samples episodes from the copies of one process."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.config.seed is not None:
            # Gymnasium gives copy i the seed `self._seed + i`. RLlib's own choice, seed + worker_index, would give
            # the second copy of runner 1 the same episodes as the first copy of runner 2.
            self._seed = self.config.seed + (self.worker_index or 0) * self.config.num_envs_per_env_runner

    def sample(self, **kwargs: Any) -> list[SingleAgentEpisode]:
        """Samples as RLlib does; raises EnvironmentFailure for what the environment raises."""
        try:
            return super().sample(**kwargs)
        except Exception as error:
            cause = error.__cause__ or error  # RLlib raises an empty RuntimeError from the environment's exception
            raise EnvironmentFailure(users_traceback(cause)) from cause

    def apply(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `func` on this runner, errors included: RLlib's own would end the process and drop the message."""
        return func(self, *args, **kwargs)


def users_traceback(error: BaseException) -> str:
    """Formats an exception without the frames of Gymnasium and RLlib that lie above the user's own code."""
    lines = traceback.TracebackException.from_exception(error)
    own = str(Path(__file__).parent)
    first = next((i for i, f in enumerate(lines.stack) if f.filename.startswith(own) and f.filename != __file__), 0)
    lines.stack = traceback.StackSummary.from_list(lines.stack[first:])
    return "".join(lines.format(chain=False)).rstrip()


def log_episode_return(
    *,
    episode: SingleAgentEpisode,
    prev_episode_chunks: Sequence[SingleAgentEpisode] = (),
    metrics_logger: MetricsLogger,
    **_: Any,
) -> None:
    """An RLlib callback: reports each finished episode's return, so that `train` can average over episodes."""
    episode_return = sum(chunk.get_return() for chunk in (*prev_episode_chunks, episode))
    metrics_logger.log_value(EPISODE_RETURNS, float(episode_return), reduce="item_series")
