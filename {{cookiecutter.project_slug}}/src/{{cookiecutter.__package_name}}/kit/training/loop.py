"""The training loop: one iteration after the other until something ends the run, with every result on disk at once."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tensorboardX import SummaryWriter

from ..cli import RunError
from ..guard import LONG_EPISODE, mailbox
from ..guard.failure import EnvironmentFailure
from ..rllib.sampled import Sampled
from .algorithm import RestartableAlgorithm, is_machines_fault
from .interrupt import Interrupt
from .progress import Progress
from .run_folder import BEST, LAST, RunFolder
from .status import Limits, Status, plateau_hint, reached, seconds_left
from .storage import Storage


class Loop:
    """Trains until a limit is reached, the user interrupts or something fails.

    Args:
        algorithm: is built here.
        folder: gets a row, TensorBoard values and a checkpoint with every iteration.
        limits: what ends the run.
        status: where training begins; if it has iterations, from the last checkpoint.
        facts: what each checkpoint says of itself besides the status.
        keep_going: starts training anew after the environment's failures, too.
        storage: gets a copy of the folder now and then.

    Attributes:
        status: of the last checkpoint.
    """

    def __init__(
        self,
        algorithm: RestartableAlgorithm,
        folder: RunFolder,
        limits: Limits,
        status: Status,
        facts: Mapping[str, Any],
        keep_going: bool,
        storage: Storage | None = None,
    ) -> None:
        self.status = status
        self._algorithm, self._folder, self._limits = algorithm, folder, limits
        self._facts, self._keep_going, self._storage = facts, keep_going, storage
        self._has_warned = False  # of an episode without an end
        self._has_hinted = False  # at a plateau

    def run(self, interrupt: Interrupt, rewrite: bool) -> str:
        """Returns what ended the run, in words.

        Args:
            interrupt: what ends the run from outside.
            rewrite: shows the progress in one line of the terminal.

        Raises:
            EnvironmentFailure: the environment is at fault.
            RunError: an iteration ended without a step, or training fails again and again.
            OSError: something can't be written.
        """
        try:
            with Progress(rewrite) as self._progress:
                while True:
                    interrupt.listen()
                    try:
                        return self._train(interrupt)
                    except (Exception, KeyboardInterrupt) as error:
                        interrupt.stop_listening()
                        interrupt.is_patient = False
                        with suppress(OSError):  # a full disk
                            self._folder.drop_rows_after(self.status.iteration)
                        if interrupt.reason is not None:
                            return interrupt.reason
                        self._recover(error, interrupt.failure or mailbox.read())
        finally:
            interrupt.stop_listening()
            interrupt.stop_escalating()

    def _train(self, interrupt: Interrupt) -> str:
        """Trains from the last checkpoint on, until something ends the run; returns what."""
        is_resumed = self.status.iteration > 0
        purge = self.status.env_steps + 1 if is_resumed else None
        with SummaryWriter(str(self._folder.path), purge_step=purge) as writer:
            while (reason := interrupt.reason) is None:
                if interrupt.failure is not None:
                    raise EnvironmentFailure(interrupt.failure)
                if reason := reached(self._limits, self.status):
                    break
                if self._algorithm.algorithm is None:
                    self._progress.waiting_for("building the networks and the env runners")
                    self._algorithm.build(self.status.restart_count, from_checkpoint=is_resumed)
                    self._progress.waiting_for("sampling the first steps")
                interrupt.is_patient = True
                self._iterate(writer)
            return reason

    def _iterate(self, writer: SummaryWriter) -> None:
        """Samples a batch, learns from it, and writes down what came of it."""
        start = time.perf_counter()
        result = self._algorithm.train()
        seconds, sampled = time.perf_counter() - start, Sampled.of(result)
        if not sampled.env_steps:
            raise RunError(f"iteration {self.status.iteration + 1} ended without a single step of the environment")
        status = self.status.after(sampled, seconds)
        self._say(sampled.log_lines)
        row = progress_row(status, sampled.env_steps / seconds, result["learners"]["default_policy"])
        self._folder.append_row(row)
        for name, value in row.items():
            if value is not None and name not in ("iteration", "env_steps"):
                writer.add_scalar(name, value, status.env_steps)
        kept = dict(self._facts) | asdict(status)
        if status.best_return is not None and not status.steps_since_best:
            self._folder.save_checkpoint(BEST, self._algorithm.save, kept)
        self._folder.save_checkpoint(LAST, self._algorithm.save, kept)
        self.status = status
        if self._storage:
            self._storage.copy(self._folder, status.iteration)
        self._progress.show(row, seconds_left(self._limits, status))
        if not self._has_hinted and (hint := plateau_hint(self._limits, status)):
            self._has_hinted = True
            self._progress.say(hint)

    def _recover(self, error: BaseException, failure: Mapping[str, Any] | None) -> None:
        """Prepares to go on from the last checkpoint after a fault, as --resume does; raises what must end the run."""
        if failure is not None:
            self._say(failure["log"])
            if not self._keep_going:
                raise EnvironmentFailure(failure) from error
            what = str(failure["message"])
        elif is_machines_fault(error):
            what = f"a process that trains was lost ({type(error).__name__})"
        else:
            raise error
        self._algorithm.stop_to_build_anew()
        restarts = self.status.restart_count + 1  # also where no checkpoint came in between: other seeds
        self.status = Status.of_last_checkpoint(self._folder, self._facts)
        self.status.restart_count = restarts
        self._progress.say(f"{what}\ngoing on after iteration {self.status.iteration}")

    def _say(self, lines: Sequence[str]) -> None:
        """Shows what was logged in the environments, and appends it to environment.log."""
        for line in lines:
            if LONG_EPISODE in line:  # each process says it
                if self._has_warned:
                    continue
                self._has_warned = True
            self._progress.say(line)
            self._folder.append_log(line)


def progress_row(status: Status, steps_per_second: float, learner: Mapping[str, Any]) -> dict[str, float | None]:
    """Returns a row of progress.csv; None is what is not known yet, or no number.

    Args:
        status: after the iteration.
        steps_per_second: of the iteration.
        learner: RLlib's metrics of it.
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
        "policy_loss": learner["policy_loss"],
        "value_loss": learner["vf_loss"],
        "value_explained_variance": learner["vf_explained_var"],
        "entropy": learner["entropy"],
        "kl_divergence": learner["mean_kl_loss"],
    }
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}
