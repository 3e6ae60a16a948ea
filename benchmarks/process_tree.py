"""What a process and all that it has started use: seconds of processors, and memory."""

from contextlib import suppress

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
