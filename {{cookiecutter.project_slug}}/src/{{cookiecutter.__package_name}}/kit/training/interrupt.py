"""Ctrl-C, SIGTERM and a failed environment end a run in order: with its checkpoint, its curve and its summary."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

PATIENCE_SECONDS = 4.0  # for the iteration at hand; then it is given up, and the last checkpoint stands
MERCY_SECONDS = 3.0  # for code that Python can't interrupt; then the process ends where it is
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, a signal raises KeyboardInterrupt, but for an iteration at hand, which may come to its end.

    Attributes:
        reason: what was received, in words, or None.
        exit_code: 128 + the signal's number, as shells have it; 1 for a failure; else 0.
        failure: the facts of the environment's failure, or None.
        is_patient: the first signal only sets `reason`; a second one, or PATIENCE_SECONDS, still raise.
        finish: writes what a run leaves behind; called when the process has to be ended where it is.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self.failure: dict[str, Any] | None = None
        self.is_patient = False
        self.finish: Callable[[], object] = lambda: None
        self._is_over = threading.Event()
        self._before: dict[signal.Signals, Any] = {}
        self._poll: Any = None

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._received) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_insisting()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Begins to look for failures that env runners report."""
        from ..rllib import failure_report  # late: Ray takes a while to import, and a signal may come before

        self._poll = failure_report.Poll(failure_report.read, self._failed)

    def stop_insisting(self) -> None:
        """Leaves the time that is still needed to what ends in order now."""
        self._is_over.set()
        if self._poll is not None:
            self._poll.stop()

    def forget_failure(self) -> None:
        """Waits for the next failure of the environment, to go on in spite of this one."""
        from ..rllib import failure_report

        self.stop_insisting()
        failure_report.clear()
        if self.failure is not None:
            self.failure, self.reason, self.exit_code = None, None, 0
        self._is_over = threading.Event()
        self.listen()

    def _failed(self, facts: dict[str, Any]) -> None:
        """Ends the run because of the environment; called from the thread that polls."""
        self.failure, self.reason, self.exit_code = facts, "the environment failed", 1
        self._insist(2.0)  # most often the same failure comes to the loop by itself

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            raise KeyboardInterrupt
        self.exit_code = 128 + number
        self.reason = "interrupted by Ctrl-C" if number == signal.SIGINT else "ended by SIGTERM"
        threading.Thread(target=self._insist, args=[PATIENCE_SECONDS], daemon=True).start()
        if not self.is_patient:
            raise KeyboardInterrupt

    def _insist(self, seconds: float) -> None:
        """Waits for the end, then raises KeyboardInterrupt in the loop, then ends the process."""
        is_over = self._is_over
        if not is_over.wait(seconds):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if not is_over.wait(MERCY_SECONDS):
                self.finish()
                os._exit(self.exit_code)
