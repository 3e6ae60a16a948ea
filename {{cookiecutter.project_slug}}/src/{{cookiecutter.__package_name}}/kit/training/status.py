"""How far a run is, and what ends it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..cli import UsageError
from ..policy.find import BEST, LAST, find_policy
from ..policy.folder import read_facts
from ..rllib.sampled import Sampled
from .options import TrainOptions
from .run_folder import RunFolder

WINDOW_EPISODES = 50  # the returns that are shown, compared and stopped on are means over so many episodes
FEWEST_EPISODES = 20  # a mean over fewer is not compared with anything
PLATEAU_STEPS = 100_000  # a run is not said to have stopped learning before


@dataclass
class Status:
    """How far a run is. Saved with each checkpoint, so that a resumed run goes on from it."""

    iteration: int = 0
    env_steps: int = 0
    episodes: int = 0
    seconds: float = 0.0  # from the first sample on, with all that is written; the start of Ray is not counted
    best_return: float | None = None
    best_env_steps: int = 0  # when the best return was reached
    recent_returns: list[float] = field(default_factory=list)
    recent_lengths: list[int] = field(default_factory=list)  # steps
    observations_out_of_bounds: int = 0
    restart_count: int = 0  # how often the run was started before: by --resume, or after a fault

    @classmethod
    def of_last_checkpoint(cls, folder: RunFolder, facts: Mapping[str, Any]) -> "Status":
        """Returns the status to go on with, or to begin with; drops the rows that came after its checkpoint.

        Args:
            folder: of the run.
            facts: what its next checkpoints will say of themselves.

        Raises:
            UsageError: the checkpoint is of another environment, of other spaces or of another version of Ray.
        """
        folder.recover()
        status = cls()
        if folder.has_checkpoint():
            last = read_facts(find_policy(str(folder.checkpoint(LAST))), facts["env_id"], facts["spaces"])
            if last["versions"]["ray"] != facts["versions"]["ray"]:
                raise UsageError(
                    f"{folder.path} was trained with Ray {last['versions']['ray']}, not {facts['versions']['ray']}, "
                    f"and can't go on with another; install ray[rllib]=={last['versions']['ray']}"
                )
            status = cls(**{f.name: last[f.name] for f in fields(cls)})
            status.restart_count += 1
            if best := folder.facts(BEST):  # a crash can leave one that is newer than the last
                status.best_return, status.best_env_steps = best["best_return"], best["best_env_steps"]
        folder.drop_rows_after(status.iteration)
        return status

    def after(self, sampled: Sampled, seconds: float) -> "Status":
        """Returns the status after one more iteration, which ended so many seconds after the first sample."""
        status = replace(
            self,
            iteration=self.iteration + 1,
            env_steps=self.env_steps + sampled.env_steps,
            episodes=self.episodes + len(sampled.returns),
            seconds=seconds,
            recent_returns=(self.recent_returns + sampled.returns)[-WINDOW_EPISODES:],
            recent_lengths=(self.recent_lengths + sampled.lengths)[-WINDOW_EPISODES:],
            observations_out_of_bounds=self.observations_out_of_bounds + sampled.observations_out_of_bounds,
        )
        mean = status.comparable_return
        if mean is not None and (self.best_return is None or mean > self.best_return):
            status.best_return, status.best_env_steps = mean, status.env_steps
        return status

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last episodes, or None before the first has ended."""
        return math.fsum(self.recent_returns) / len(self.recent_returns) if self.recent_returns else None

    @property
    def comparable_return(self) -> float | None:
        """The mean return once enough episodes have ended for it to mean something, else None."""
        return self.mean_return if len(self.recent_returns) >= FEWEST_EPISODES else None

    @property
    def policies(self) -> list[str]:
        """The names of the policies that are trained, where there are several agents."""
        return []

    def columns(self) -> dict[str, Any]:
        """Returns what progress.csv tells of several agents."""
        return {}

    @property
    def steps_since_best(self) -> int:
        """The steps of the environment since the best return; 0 before there is one."""
        return 0 if self.best_return is None else self.env_steps - self.best_env_steps


def reached(options: TrainOptions, status: Status) -> str | None:
    """Returns the limit that ends the run, in words, or None."""
    mean = status.comparable_return
    if options.stop_return is not None and mean is not None and mean >= options.stop_return:
        return f"solved: the mean return {mean:.4g} has reached {options.stop_return:g}"
    if status.env_steps >= options.max_env_steps:
        return f"the limit of {options.max_env_steps:,} environment steps is reached"
    if options.max_seconds is not None and status.seconds >= options.max_seconds:
        return f"the limit of {options.max_seconds:g} seconds is reached"
    if options.patience is not None and status.steps_since_best >= options.patience:
        return f"no better return than {status.best_return:.4g} for {options.patience:,} environment steps"
    return None


def plateau_hint(options: TrainOptions, status: Status) -> str | None:
    """Returns what to say of a run that no longer improves and has no limit for that, or None."""
    long = max(PLATEAU_STEPS, options.max_env_steps // 5)
    if options.patience is not None or status.steps_since_best < long:
        return None
    return f"no better return for {long:,} steps: Ctrl-C keeps the best; --patience {long} would end it"


def seconds_left(options: TrainOptions, status: Status) -> float:
    """Returns how long the run may still take before a limit other than the stop return ends it."""
    left = (options.max_env_steps - status.env_steps) * status.seconds / status.env_steps
    if options.max_seconds is not None:
        left = min(left, options.max_seconds - status.seconds)
    return max(left, 0.0)
