"""The training loop: one iteration after the other until something ends the run, with every result on disk at once."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from tensorboardX import SummaryWriter

from .cli import RunError
from .env_runner import EPISODE_RETURNS
from .interrupt import Interrupt
from .progress import Progress
from .run_folder import BEST, LAST, RunFolder

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

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Status":
        """Returns the status that a checkpoint was saved with."""
        return cls(**{f.name: facts[f.name] for f in fields(cls)})

    @property
    def mean_return(self) -> float | None:
        """The mean return of the last episodes, or None before the first has ended."""
        return math.fsum(self.recent_returns) / len(self.recent_returns) if self.recent_returns else None

    @property
    def comparable_return(self) -> float | None:
        """The mean return once enough episodes have ended for it to mean something, else None."""
        return self.mean_return if len(self.recent_returns) >= FEWEST_EPISODES else None


def train_until(
    algorithm: Algorithm, folder: RunFolder, limits: Limits, status: Status, facts: Mapping[str, Any], debug: bool
) -> tuple[str, int]:
    """Trains until a limit is reached or the user interrupts; returns what ended it, in words, and the exit code.

    Args:
        algorithm: built, and restored if the run is resumed.
        folder: gets a row, TensorBoard values and a checkpoint with every iteration.
        limits: what ends the run.
        status: is moved on.
        facts: what each checkpoint says of itself besides the status.
        debug: leaves the terminal alone, for a debugger's prompt.

    Raises:
        RunError: an iteration ended without a step.
    """
    writer = SummaryWriter(str(folder.path), purge_step=status.env_steps + 1 if status.iteration else None)
    with writer, Progress(rewrite=not debug) as progress, Interrupt() as interrupt:
        while (reason := interrupt.reason or reached(limits, status)) is None:
            try:
                row = iterate(algorithm, status, limits)
            except KeyboardInterrupt:
                break
            folder.append_row(row)
            for name, value in row.items():
                if value is not None and name not in ("iteration", "env_steps"):
                    writer.add_scalar(name, value, status.env_steps)
            kept = dict(facts) | asdict(status)
            if status.comparable_return is not None and status.comparable_return == status.best_return:
                folder.save_checkpoint(BEST, algorithm.save_to_path, kept)
            folder.save_checkpoint(LAST, algorithm.save_to_path, kept)
            progress.show(row, seconds_left(limits, status))
        return reason or str(interrupt.reason), interrupt.exit_code


def iterate(algorithm: Algorithm, status: Status, limits: Limits) -> dict[str, Any]:
    """Samples a batch, learns from it, moves `status` on, and returns a row of progress.csv."""
    start = time.perf_counter()
    result = algorithm.train()
    seconds = time.perf_counter() - start
    sampled = result["env_runners"]
    steps = int(result["num_env_steps_sampled_lifetime"]) - status.env_steps
    if steps <= 0:
        raise RunError(f"iteration {status.iteration + 1} ended without a single step of the environment")
    finished = sampled.get(EPISODE_RETURNS, ())
    returns = [] if isinstance(finished, float) else [float(value) for value in finished]  # NaN: none has finished
    status.iteration += 1
    status.env_steps += steps
    status.episodes += len(returns)
    status.seconds += seconds
    status.recent_returns = (status.recent_returns + returns)[-WINDOW_EPISODES:]
    mean = status.comparable_return
    if mean is not None and (status.best_return is None or mean > status.best_return):
        status.best_return = mean
    if status.seconds_to_stop_return is None and reached_return(limits, status):
        status.seconds_to_stop_return = round(status.seconds, 3)
    learner = result["learners"]["default_policy"]
    return {
        "iteration": status.iteration,
        "env_steps": status.env_steps,
        "episodes": status.episodes,
        "seconds": round(status.seconds, 3),
        "steps_per_second": round(steps / seconds, 1),
        "episode_return_mean": status.mean_return,
        "episode_return_min": min(status.recent_returns, default=None),
        "episode_return_max": max(status.recent_returns, default=None),
        "episode_length_mean": sampled.get("episode_len_mean"),
        "best_return": status.best_return,
        "policy_loss": learner["policy_loss"],
        "value_loss": learner["vf_loss"],
        "value_explained_variance": learner["vf_explained_var"],
        "entropy": learner["entropy"],
        "kl_divergence": learner["mean_kl_loss"],
    }


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
