"""The training loop: one iteration after the other until something ends the run, with every result on disk at once."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from tensorboardX import SummaryWriter

from ..cli import RunError
from ..guard import LONG_EPISODE, mailbox
from ..guard.failure import EnvironmentFailure
from ..rllib.env_runner import EPISODE_RETURNS, LOG_LINES
from .algorithm import RestartableAlgorithm, is_machines_fault
from .interrupt import Interrupt
from .progress import Progress
from .run_folder import BEST, LAST, RunFolder
from .status import WINDOW_EPISODES, Limits, Status, reached, reached_return, seconds_left
from .storage import Storage


class Loop:
    """Trains until a limit is reached, the user interrupts or something fails.

    Args:
        algorithm: is built here.
        folder: gets a row, TensorBoard values and a checkpoint with every iteration.
        limits: what ends the run.
        status: is moved on; if it has iterations, training goes on from the last checkpoint.
        facts: what each checkpoint says of itself besides the status.
        keep_going: starts training anew after the environment's failures, too.
        storage: gets a copy of the folder now and then.
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
        self._algorithm, self._folder, self._limits, self._status = algorithm, folder, limits, status
        self._facts, self._keep_going, self._storage = facts, keep_going, storage
        self._has_warned = False  # of an episode without an end

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
        purge = self._status.env_steps + 1 if self._status.iteration else None
        with ExitStack() as stack:
            self._writer = stack.enter_context(SummaryWriter(str(self._folder.path), purge_step=purge))
            self._progress = stack.enter_context(Progress(rewrite))
            stack.callback(interrupt.stop_insisting)
            interrupt.listen()
            while (reason := interrupt.reason or reached(self._limits, self._status)) is None:
                try:
                    if self._algorithm.algorithm is None:
                        self._algorithm.build(self._status.part, from_checkpoint=self._status.iteration > 0)
                    interrupt.is_patient = True
                    self._iterate()
                except (Exception, KeyboardInterrupt) as error:
                    self._go_on_after(error, interrupt)
                finally:
                    interrupt.is_patient = False
            return reason

    def _iterate(self) -> None:
        """Samples a batch, learns from it, and writes down what came of it."""
        start = time.perf_counter()
        result = self._algorithm.train()
        row = move_on(self._status, self._limits, result, time.perf_counter() - start)
        self._say(result["env_runners"].get(LOG_LINES, ()))
        self._folder.append_row(row)
        for name, value in row.items():
            if value is not None and name not in ("iteration", "env_steps"):
                self._writer.add_scalar(name, value, self._status.env_steps)
        kept = dict(self._facts) | asdict(self._status)
        if self._status.comparable_return is not None and self._status.comparable_return == self._status.best_return:
            self._folder.save_checkpoint(BEST, self._algorithm.save, kept)
        self._folder.save_checkpoint(LAST, self._algorithm.save, kept)
        if self._storage:
            self._storage.copy(self._folder, self._status.iteration)
        self._progress.show(row, seconds_left(self._limits, self._status))

    def _go_on_after(self, error: BaseException, interrupt: Interrupt) -> None:
        """Prepares to train anew from the last checkpoint after a fault; raises what must end the run."""
        failure = interrupt.failure or mailbox.read()
        if failure is not None:
            self._say(failure["log"])
            if not self._keep_going:
                raise EnvironmentFailure(failure) from error
            what = str(failure["message"])
            interrupt.forget_failure()
        elif isinstance(error, KeyboardInterrupt):
            return
        elif is_machines_fault(error):
            what = f"a process that trains was lost ({type(error).__name__})"
        else:
            raise error
        self._algorithm.stop_to_build_anew()
        self._status.part += 1
        self._progress.say(f"{what}\ngoing on after iteration {self._status.iteration}")

    def _say(self, lines: Sequence[str] | float) -> None:
        """Shows what was logged in the environments, and appends it to environment.log."""
        for line in () if isinstance(lines, float) else lines:  # NaN: nothing was
            if LONG_EPISODE in line:  # each process says it
                if self._has_warned:
                    continue
                self._has_warned = True
            self._progress.say(line)
            self._folder.append_log(line)


def move_on(status: Status, limits: Limits, result: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Moves `status` on by an iteration of so many seconds; returns its row of progress.csv.

    Raises:
        RunError: RLlib's result has no new step.
    """
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
