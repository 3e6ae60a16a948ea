"""How far a run is, and what ends it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..cli import UsageError
from ..files import read_json
from ..policy.find import BEST, LAST, find_policy
from ..policy.folder import read_facts
from .run_folder import CHECKPOINT_FILE, RunFolder

WINDOW_EPISODES = 50  # the returns that are shown, compared and stopped on are means over so many episodes
FEWEST_EPISODES = 20  # a mean over fewer is not compared with anything


@dataclass(frozen=True)
class Limits:
    """What ends a run; None never does."""

    stop_return: float | None
    max_env_steps: int
    max_seconds: float | None


@dataclass
class Status:
    """How far a run is. Saved with each checkpoint, so that a resumed run goes on from it."""

    iteration: int = 0
    env_steps: int = 0
    episodes: int = 0
    seconds: float = 0.0  # of sampling and learning, the start of Ray not counted
    best_return: float | None = None
    seconds_to_stop_return: float | None = None
    recent_returns: list[float] = field(default_factory=list)
    part: int = 0  # how often the run was started before: by --resume, or after a fault

    @classmethod
    def resumed(cls, folder: RunFolder, facts: Mapping[str, Any]) -> "Status":
        """Returns the status to go on with from a run's last checkpoint, and drops the rows that came after it.

        Args:
            folder: of the run.
            facts: what its next checkpoints will say of themselves.

        Raises:
            UsageError: the checkpoint is of another environment, of other spaces or of another version of Ray.
        """
        last = read_facts(find_policy(str(folder.checkpoint(LAST))), facts["env_id"], facts["spaces"])
        if last["versions"]["ray"] != facts["versions"]["ray"]:
            raise UsageError(
                f"{folder.path} was trained with Ray {last['versions']['ray']}, not {facts['versions']['ray']}, and "
                f"can't go on with another; install ray[rllib]=={last['versions']['ray']}"
            )
        status = cls(**{f.name: last[f.name] for f in fields(cls)})
        status.part += 1
        if folder.checkpoint(BEST).is_dir():  # a crash can leave one that is newer than the last
            status.best_return = read_json(folder.checkpoint(BEST) / CHECKPOINT_FILE)["best_return"]
        folder.drop_rows_after(status.iteration)
        print(f"going on after iteration {status.iteration} of {folder.checkpoint(LAST)}")
        return status

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last episodes, or None before the first has ended."""
        return math.fsum(self.recent_returns) / len(self.recent_returns) if self.recent_returns else None

    @property
    def comparable_return(self) -> float | None:
        """The mean return once enough episodes have ended for it to mean something, else None."""
        return self.mean_return if len(self.recent_returns) >= FEWEST_EPISODES else None


def reached_return(limits: Limits, status: Status) -> bool:
    """Tells whether the mean return of enough episodes has reached the stop return."""
    mean = status.comparable_return
    return limits.stop_return is not None and mean is not None and mean >= limits.stop_return


def reached(limits: Limits, status: Status) -> str | None:
    """Returns the limit that ends the run, in words, or None."""
    if reached_return(limits, status):
        return f"solved: the mean return {status.mean_return:.4g} has reached {limits.stop_return:g}"
    if status.env_steps >= limits.max_env_steps:
        return f"the limit of {limits.max_env_steps:,} environment steps is reached"
    if limits.max_seconds is not None and status.seconds >= limits.max_seconds:
        return f"the limit of {limits.max_seconds:g} seconds is reached"
    return None


def seconds_left(limits: Limits, status: Status) -> float:
    """Returns how long the run may still take before a limit other than the stop return ends it."""
    left = (limits.max_env_steps - status.env_steps) * status.seconds / status.env_steps
    if limits.max_seconds is not None:
        left = min(left, limits.max_seconds - status.seconds)
    return max(left, 0.0)
