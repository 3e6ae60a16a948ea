"""Notices a reset or a step that doesn't return."""

import faulthandler
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from traceback import extract_stack

from ..tracebacks import CALLS, users_stack
from . import child_log, last_resort

SECONDS = f"{child_log.PREFIX}_HANG_SECONDS"  # an environment variable, so that it reaches every process
GRACE_SECONDS = 2.0  # a thread that runs again so much later than it asked for was suspended, or had no CPU

_forking = threading.Lock()


def _before_fork() -> None:
    """Ends faulthandler's thread: a forked process would wait for ever for the one that it doesn't have."""
    _forking.acquire()
    faulthandler.cancel_dump_traceback_later()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_forking.release, after_in_child=_forking.release)


class Watchdog(threading.Thread):
    """A thread of each process that steps environments.

    Attributes:
        since: when the call that is under way began, by `time.monotonic`; None between calls.
        caller: its thread.
        report: is told where a call is that has taken too long; an env runner puts its own in the place of this one.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._seconds = seconds
        self.since: float | None = None
        self.caller = 0
        self.report: Callable[[str], object] = child_log.end_for_hang
        if math.isfinite(seconds):
            self._tick = min(1.0, seconds / 4)
            arguments = (last_resort.__file__, str(os.getpid()), CALLS, str(child_log.hang_path() or ""))
            self._reader = subprocess.Popen(
                [sys.executable, "-I", "-S", *arguments], stdin=subprocess.PIPE, start_new_session=True
            )  # out of reach of Ctrl-C
            self._put_off()
            self.start()

    def _put_off(self) -> None:
        """Lets `faulthandler` wait anew: half the time, since the reader waits for a second stack, see `last_resort`."""
        seconds, pipe = (self._seconds + self._tick + GRACE_SECONDS) / 2, self._reader.stdin
        assert pipe is not None
        with _forking:
            faulthandler.dump_traceback_later(seconds, repeat=True, file=pipe)
        with suppress(OSError):  # the reader has been killed
            os.write(pipe.fileno(), last_resort.ALIVE.encode())

    def run(self) -> None:
        """Looks at the clock, and reports where a call is that has taken too long.

        A call into C code that keeps Python's global lock stops this thread, too. `faulthandler` has one that needs no
        lock: it writes the stacks again and again, unless it is put off. `last_resort` reads them.
        """
        reported, resumed = None, 0.0
        while True:
            asleep = time.monotonic()
            time.sleep(self._tick)
            self._put_off()
            now, since = time.monotonic(), self.since
            if now - asleep > self._tick + GRACE_SECONDS:
                resumed = now
            if since is not None and since != reported and now - max(since, resumed) > self._seconds:
                stack = users_stack(extract_stack(sys._current_frames()[self.caller]))
                self.report(
                    f"the environment hangs: a reset or step has not returned for {self._seconds:g} s. "
                    f"It is here:\n{stack}"
                )
                reported = since


@cache
def watchdog_of(process: int) -> Watchdog:
    """Returns the watchdog of a process; the argument keeps a forked one from taking its parent's."""
    return Watchdog(float(os.environ.get(SECONDS, "inf")))
