"""Trains candidates: each run is the command `train`, in a process of its own on a CPU of its own."""

import math
import multiprocessing
import os
import queue
import runpy
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..task import Task
from ..training.interrupt import Interrupt
from ..training.run_folder import RunFolder
from ..vectorization.settings import available_cpus

MARKS = 10  # of a run: there, at equal steps, candidates are compared
POLL_SECONDS = 0.3
STOP_SECONDS = 2.0  # for a run to write its summary; its checkpoints are whole anyway


class Trainer:
    """Trains runs below a folder, at most one on each CPU: none waits for a CPU that it never gets."""

    def __init__(self, task: Task, folder: Path, max_env_steps: int, interrupt: Interrupt) -> None:
        self.task, self.folder, self.interrupt = task, folder, interrupt
        self.marks = sorted({-(-max_env_steps * number // MARKS) for number in range(1, MARKS + 1)})
        self.cpus: queue.SimpleQueue[int] = queue.SimpleQueue()  # the free ones
        for cpu in os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(available_cpus()):
            if self.cpus.empty() or not task.only_one:
                self.cpus.put(cpu)

    def returns(self, name: str, seed: int, options: Sequence[str]) -> Generator[tuple[int, float], None, None]:
        """Yields each mark that a run passes, in steps, with its mean return there; closing the iterator ends the run.

        A run that an earlier start of the search has left goes on.

        Raises:
            RunError: it failed, or no episode has ended.
            KeyboardInterrupt: after a signal.
        """
        run, log, left = RunFolder(self.folder / name), self.folder / "logs" / f"{name}.log", self.marks
        limits = ["--stop-return", "none", "--max-env-steps", str(left[-1]), "--num-env-runners", "0"]
        words = ["train", *self.task.env_option, "--name", f"{self.folder.name}/{name}", "--seed", str(seed)]
        words += [*options, *limits]
        if not returns_at(left[-1:], run.rows()):
            self.check_signal()
            with self._process(words + ["--resume"] * run.has_checkpoint(), log) as process:
                while process.is_alive():
                    self.check_signal()
                    for mark, mean in returns_at(left[:-1], run.rows()):
                        left = [later for later in left if later > mark]
                        yield mark, mean
                    process.join(POLL_SECONDS)
        if not returns_at(left[-1:], run.rows()):
            said = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            raise RunError(f"{said} (see {log})")
        yield from returns_at(left, run.rows())

    def check_signal(self) -> None:
        """Raises KeyboardInterrupt, in any thread, after Ctrl-C or SIGTERM."""
        if self.interrupt.reason:
            raise KeyboardInterrupt

    @contextmanager
    def _process(self, words: Sequence[str], log: Path) -> Iterator[Any]:
        """Starts a command on a free CPU; ends it where it has not ended by itself."""
        process = multiprocessing.get_context("spawn").Process(target=_command, args=(self.task.package, words, log))
        cpu = self.cpus.get()
        log.parent.mkdir(exist_ok=True)
        log.touch()
        process.start()
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid or 0, {cpu})  # Ray starts as many processes as there are CPUs
            yield process
        finally:
            process.terminate()
            process.join(STOP_SECONDS)
            process.kill()
            process.join()
            self.cpus.put(cpu)


def returns_at(marks: Sequence[int], rows: Iterable[Mapping[str, float]]) -> list[tuple[int, float]]:
    """Returns the marks that a run has passed, each with the mean return of the first iteration that reached it."""
    found = [(row["env_steps"], row["episode_return_mean"]) for row in rows]
    firsts = ((mark, next((mean for steps, mean in found if steps >= mark), math.nan)) for mark in marks)
    return [(mark, mean) for mark, mean in firsts if not math.isnan(mean)]


def _command(package: str, words: Sequence[str], log: Path) -> None:
    """Does what `python -m <package> ...` does, until the process that has started this one ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in the terminal is for the search, which then ends this
    with log.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.argv[1:] = words
    runpy.run_module(package, run_name="__main__")


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
