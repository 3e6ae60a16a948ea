"""What a process and all that it has started use: seconds of processors, and memory."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil


class ProcessTree:
    """A process, its children, their children; what has ended still counts."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[psutil.Process, float] = {}

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:  # it has ended
            return []

    def cpu_seconds(self) -> float:
        """Returns the seconds that processors have worked for it so far; call it now and then, lest one is missed."""
        for process in self._processes():
            with suppress(psutil.Error):
                times = process.cpu_times()
                self._seconds[process] = times.user + times.system
        return sum(self._seconds.values())

    def memory(self) -> int:
        """Returns the bytes that it holds; a page that n processes share counts 1/n for each (Linux's PSS)."""
        total = 0
        for process in self._processes():
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total


def run_watched(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    observe: Callable[[ProcessTree], None],
    *,
    every_seconds: float,
) -> None:
    """Runs a command in a folder to its end, and calls `observe` again and again meanwhile.

    Raises:
        RuntimeError: the command failed; the message holds what it printed.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        tree = ProcessTree(process.pid)
        while process.poll() is None:
            observe(tree)
            time.sleep(every_seconds)
        output.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"it ended with {process.returncode}:\n{output.read()}")
