"""Ctrl-C and SIGTERM end a run in order: with its checkpoint, its curve and its summary."""

import signal
import threading
from types import FrameType
from typing import Any

PATIENCE_SECONDS = 8.0  # for the iteration at hand; then it is given up, and the last checkpoint stands
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, a first signal asks the loop to end; a second one, or no end within PATIENCE_SECONDS, makes it.

    Attributes:
        reason: what was received, in words, or None.
        exit_code: 128 + the signal's number, as shells have it, or 0.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self._timer: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._received) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            raise KeyboardInterrupt
        self.exit_code = 128 + number
        self.reason = "interrupted by Ctrl-C" if number == signal.SIGINT else "ended by SIGTERM"
        self._timer = threading.Timer(PATIENCE_SECONDS, signal.raise_signal, [number])
        self._timer.daemon = True
        self._timer.start()
