"""Ctrl-C, SIGTERM and a failed environment end a run in order: with its checkpoint, its curve and its summary."""

import _thread
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..guard import child_log
from .start import kill_ray

GRACE_S = 4.0  # for the iteration at hand after a signal; then it is given up, and the last checkpoint stands
FAILURE_GRACE_S = 2.0  # for a failure to come to the loop by itself, as it mostly does
KILL_AFTER_S = 3.0  # for code that Python can't interrupt, and for Ray to end; then the process ends where it is
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Interrupts the main thread. Windows has no SIGURG, and no call that C code would wait in is cut short there.
NUDGE: Any = getattr(signal, "SIGBREAK" if sys.platform == "win32" else "SIGURG")

if hasattr(os, "register_at_fork"):  # what a child process receives is no signal to the run
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


class Interrupt:
    """While entered, a signal raises KeyboardInterrupt, but for an iteration at hand, which may come to its end.

    Attributes:
        reason: the signal that was received, in words, or None.
        exit_code: 128 + the signal's number, as shells have it, else 0.
        failure: the facts of a failure of the environment that came before any signal, or None.
        is_patient: the first signal only sets `reason`; a second one, or GRACE_S, still raise.
        is_at_once: a signal ends the process where it is; out of the imports of torch, in C++, an exception aborts it.
        finish: writes what a run leaves behind; called when the process has to be ended where it is.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self.failure: dict[str, Any] | None = None
        self.is_patient = self.is_at_once = False
        self.finish: Callable[[], object] = lambda: None
        self._is_ending = threading.Event()  # the loop has come to its end
        self._awaited: threading.Event | None = None  # what the main thread was nudged for the lack of
        self._before: dict[signal.Signals, Any] = {}
        self._reading, self._writing = socket.socketpair()

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._received) for number in (*SIGNALS, NUDGE)}
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.ending():
            pass
        signal.set_wakeup_fd(-1)
        self._writing.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Looks for failures that env runners report, and interrupts what is done meanwhile; forgets earlier ones."""
        from ..rllib import failure_report  # late: Ray takes a while to import, and a signal may come before

        failure_report.clear()
        self.failure, is_met = None, threading.Event()
        poll = failure_report.Poll(lambda facts: self._failed(facts, is_met))
        try:
            yield
        finally:  # now it is left to the caller what to do about a failure
            is_met.set()
            poll.stop()
            poll.join(timeout=1.0)  # it may be waiting for a Ray that has gone

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Gives the run the time that it needs to write what it leaves behind.

        What comes after is cut short by the end of the process if there was a signal: Ray may have got it, too.
        """
        self.is_patient = False
        self._is_ending.set()
        yield
        self.finish = lambda: None
        if self.reason is not None:
            timer = threading.Timer(KILL_AFTER_S, self.end_process)
            timer.daemon = True
            timer.start()

    def _received(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal in the main thread, as soon as Python can."""
        if number == NUDGE:
            if self._awaited is not None and not self._awaited.is_set():
                raise KeyboardInterrupt
            return
        if self.reason is not None:
            raise KeyboardInterrupt
        self._note(number)
        if self.is_at_once:
            self.end_process()
        if not self.is_patient:
            raise KeyboardInterrupt

    def _note(self, number: int) -> None:
        self.exit_code = 128 + number
        self.reason = "interrupted by Ctrl-C" if number == signal.SIGINT else "ended by SIGTERM"

    def _failed(self, facts: dict[str, Any], is_met: threading.Event) -> None:
        """Ends the iteration at hand because of the environment; called from the thread that polls."""
        if self.reason is None and not is_met.is_set():
            self.failure = facts
            self._escalate(FAILURE_GRACE_S, is_met)

    def _watch(self) -> None:
        """Sees to it that a signal ends the run, also while code in C keeps Python from calling the handler."""
        while number := self._reading.recv(1):
            if number[0] in SIGNALS:
                return self._escalate(GRACE_S, self._is_ending, number[0])

    def _escalate(self, seconds: float, is_over: threading.Event, number: int | None = None) -> None:
        """Waits for the end, then raises KeyboardInterrupt in the main thread, then ends the process."""
        if is_over.wait(seconds):
            return
        if number is not None and self.reason is None:
            self._note(number)
        self._awaited = is_over
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, NUDGE)
        else:
            _thread.interrupt_main(NUDGE)
        if not is_over.wait(KILL_AFTER_S):
            self.end_process()

    def end_process(self) -> None:
        """Ends the process where it is, with what has to be left behind and said."""
        if self.failure is not None:
            print(f"ERROR: {self.failure['message']}", file=sys.stderr, flush=True)
        self.finish()
        child_log.clean()
        sys.stdout.flush()
        kill_ray()
        os._exit(self.exit_code or 1)
