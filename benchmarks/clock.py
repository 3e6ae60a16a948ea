"""When a run has reached its threshold, or has taken too long."""

import os
import time
from collections import deque
from typing import Any

from process_tree import ProcessTree

WINDOW_EPISODES, FEWEST_EPISODES = 50, 20  # as `train` counts them


class Clock:
    """Tells when the mean return of enough episodes has reached the threshold, or the time is over.

    Attributes:
        max_seconds: by the wall; the time is over when both have passed, or twice these.
        max_cpu_seconds: of this process and what it has started.
    """

    def __init__(self, stop_return: float, max_seconds: float, max_cpu_seconds: float = 0.0) -> None:
        self.stop_return, self.max_seconds, self.max_cpu_seconds = stop_return, max_seconds, max_cpu_seconds
        self.returns: deque[float] = deque(maxlen=WINDOW_EPISODES)
        self.env_steps = 0
        self._tree = ProcessTree(os.getpid())
        self.start()

    def start(self) -> None:
        """Counts from now on."""
        self._started, self._cpu_started = time.perf_counter(), self._tree.cpu_seconds()
        self._asked, self._cpu = 0.0, 0.0

    @property
    def seconds(self) -> float:
        """By the wall, since the start."""
        return time.perf_counter() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Of the processors, since the start."""
        return self._tree.cpu_seconds() - self._cpu_started

    @property
    def mean(self) -> float | None:
        """The mean return, once enough episodes have ended."""
        return sum(self.returns) / len(self.returns) if len(self.returns) >= FEWEST_EPISODES else None

    @property
    def solved(self) -> bool:
        """Whether the threshold is reached."""
        return self.mean is not None and self.mean >= self.stop_return

    @property
    def over(self) -> bool:
        """Whether training is to end."""
        seconds = self.seconds
        if self.solved or seconds > 2 * self.max_seconds:
            return True
        if seconds > self.max_seconds and seconds > self._asked + 1:  # asking takes milliseconds
            self._asked, self._cpu = seconds, self.cpu_seconds
        return seconds > self.max_seconds and self._cpu > self.max_cpu_seconds

    def report(self) -> dict[str, Any]:
        """Returns what panel.py reads."""
        numbers = {"seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}
        return {"solved": self.solved, **numbers, "env_steps": self.env_steps, "last_return": self.mean}
