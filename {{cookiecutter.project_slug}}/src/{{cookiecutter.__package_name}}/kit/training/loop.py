"""The training loop: one iteration after the other until something ends the run, with every result on disk at once."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from tensorboardX import SummaryWriter

from ..cli import RunError
from ..guard.calls import ONCE_A_RUN
from ..guard.failure import EnvironmentFailure
from ..policy.find import BEST, LAST
from ..rllib import failure_report
from ..rllib.sampled import Sampled
from .algorithm import RestartableAlgorithm, is_machines_fault
from .interrupt import Interrupt
from .known_errors import explained
from .options import TrainOptions
from .progress import Progress
from .run_folder import RunFolder
from .status import Status, plateau_hint, reached, seconds_left
from .storage import Storage
from .tracking import Tracker

LEARNER_METRICS = {
    "policy_loss": "policy_loss",
    "value_loss": "vf_loss",
    "value_explained_variance": "vf_explained_var",
    "entropy": "entropy",
    "kl_divergence": "mean_kl_loss",
}  # the columns of progress.csv, with RLlib's names
MOST_RESTARTS = 3  # without a finished iteration in between; then something breaks every time


@dataclass
class Loop:
    """Trains until a limit is reached, the user interrupts or something fails.

    Attributes:
        algorithm: is built here.
        folder: gets a row, TensorBoard values and a checkpoint with every iteration.
        options: what ends the run, and whether it goes on after a failure of the environment.
        status: of the last checkpoint, where training begins.
        facts: what each checkpoint says of itself besides the status.
        storage: gets a copy of the folder now and then.
        trackers: get each row.
    """

    algorithm: RestartableAlgorithm
    folder: RunFolder
    options: TrainOptions
    status: Status
    facts: Mapping[str, Any]
    storage: Storage | None = None
    trackers: Sequence[Tracker] = ()
    _restarts: int = field(default=0, init=False)  # since the last finished iteration
    _began: float | None = field(default=None, init=False)  # when `status.seconds` were 0, had no start come in between

    def run(self, interrupt: Interrupt) -> str:
        """Returns what ended the run, in words; `interrupt` is what ends it from outside.

        Raises:
            EnvironmentFailure: the environment is at fault.
            RunError: an iteration ended without a step, or training fails again and again.
            OSError: something can't be written.
        """
        with Progress(rewrite=not self.options.debug) as self._progress:
            while True:
                try:
                    with interrupt.listening():
                        return self._train(interrupt)
                except (Exception, KeyboardInterrupt) as error:
                    interrupt.is_patient = False
                    with suppress(OSError):  # a full disk
                        self.folder.drop_rows_after(self.status.iteration)
                    if interrupt.reason is not None:
                        return interrupt.reason
                    self._recover(error, interrupt.failure or failure_report.read())

    def _train(self, interrupt: Interrupt) -> str:
        """Trains from the last checkpoint on, until something ends the run; returns what."""
        is_resumed = self.status.iteration > 0
        purge = self.status.env_steps + 1 if is_resumed else None
        with SummaryWriter(str(self.folder.path), purge_step=purge) as writer:
            while (reason := interrupt.reason) is None:
                if interrupt.failure is not None:
                    raise EnvironmentFailure(interrupt.failure)
                if reason := reached(self.options, self.status):
                    break
                if self.algorithm.algorithm is None:
                    self._progress.waiting_for("building the networks and the env runners")
                    self.algorithm.build(self.status.restart_count, from_checkpoint=is_resumed)
                    self._progress.waiting_for("sampling the first steps")
                interrupt.is_patient = True
                self._iterate(writer)
            return reason

    def _iterate(self, writer: SummaryWriter) -> None:
        """Samples a batch, learns from it, and writes down what came of it."""
        if self._began is None:
            self._began = time.perf_counter() - self.status.seconds
        result = self.algorithm.train()
        seconds, sampled = time.perf_counter() - self._began, Sampled.of(result)
        if not sampled.env_steps:
            raise RunError(f"iteration {self.status.iteration + 1} ended without a single step of the environment")
        self._restarts = 0
        status = self.status.after(sampled, seconds)
        self._log(sampled.log_lines)
        row = progress_row(
            status, sampled.env_steps / (seconds - self.status.seconds), learner_means(result.get("learners", {}))
        )
        self.folder.append_row(row)
        for name, value in row.items():
            if value is not None and name not in ("iteration", "env_steps"):
                writer.add_scalar(name, value, status.env_steps)
        save = partial(self.algorithm.save, facts={**self.facts, **asdict(status), "return": status.mean_return})
        if is_best := status.best_return is not None and not status.steps_since_best:
            self.folder.save_checkpoint(BEST, save)
        self.folder.save_checkpoint(LAST, self.folder.copy_of_best if is_best else save)
        self.algorithm.take_snapshot(status.iteration, status.env_steps)
        self.status = status
        for tracker in self.trackers:
            tracker.log(row)
        if self.storage and self.storage.is_due() and (error := self.storage.copy(self.folder, status.iteration)):
            self._progress.say(f"WARNING: {error}")
        self._progress.show(row, seconds_left(self.options, status), status.policies)
        if hint := plateau_hint(self.options, status):
            self._progress.say(hint, once=hint)

    def _recover(self, error: BaseException, failure: Mapping[str, Any] | None) -> None:
        """Prepares to go on from the last checkpoint after a fault, as --resume does; raises what must end the run."""
        if failure is not None:
            self._log(failure["log"])
            if not self.options.keep_going:
                raise EnvironmentFailure(failure) from error
            what = str(failure["message"])
        elif is_machines_fault(error):
            what = explained(error) or f"a process that trains was lost ({type(error).__name__})"
        else:
            raise error
        self.algorithm.stop()
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise RunError(
                f"training was started anew {MOST_RESTARTS} times and failed each time within one iteration; a crash "
                "in the environment's own C code looks like that: run it in this process by --debug to see it"
            )
        restart_count = self.status.restart_count + 1  # also where no checkpoint came in between: other seeds
        self.status = replace(
            type(self.status).of_last_checkpoint(self.folder, self.facts), restart_count=restart_count
        )
        self._progress.say(f"{what}\ngoing on after iteration {self.status.iteration}")

    def _log(self, lines: Sequence[str]) -> None:
        """Shows what was logged in the environments, and appends it to environment.log."""
        for line in lines:
            mark = next((mark for mark in ONCE_A_RUN if mark in line), None)  # each process says it
            if self._progress.say(line, once=mark):
                self.folder.append_log(line)


def learner_means(learners: Mapping[str, Any]) -> dict[str, float]:
    """Returns the means over the policies that learned in an iteration; mostly there is one."""
    found = [metrics for metrics in learners.values() if "policy_loss" in metrics]
    return {key: sum(one[key] for one in found) / len(found) for key in LEARNER_METRICS.values() if found}


def progress_row(status: Status, steps_per_second: float, learner: Mapping[str, Any]) -> dict[str, float | None]:
    """Returns a row of progress.csv; None is what is not known yet, or no number.

    Args:
        status: after the iteration.
        steps_per_second: since the iteration before.
        learner: RLlib's metrics of it, those of LEARNER_METRICS.
    """
    lengths = status.recent_lengths
    row = {
        "iteration": status.iteration,
        "env_steps": status.env_steps,
        "episodes": status.episodes,
        "seconds": round(status.seconds, 3),
        "steps_per_second": round(steps_per_second, 1),
        "episode_return_mean": status.mean_return,
        "episode_return_min": min(status.recent_returns, default=None),
        "episode_return_max": max(status.recent_returns, default=None),
        "episode_length_mean": sum(lengths) / len(lengths) if lengths else None,
        "best_return": status.best_return,
        **{name: learner.get(key) for name, key in LEARNER_METRICS.items()},
        **status.columns(),
    }
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}
