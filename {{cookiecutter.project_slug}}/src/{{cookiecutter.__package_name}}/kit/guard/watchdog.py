"""Notices a reset or a step that doesn't return."""

import faulthandler
import math
import os
import sys
import threading
import time
import traceback
from functools import cache

from . import spool
from .failure import PACKAGE, users_frames

SECONDS = f"{PACKAGE.upper()}_HANG_SECONDS"  # an environment variable, so that it reaches every process
GRACE_SECONDS = 2.0  # for this thread, before Python's own watchdog speaks

_forking = threading.Lock()


def _before_fork() -> None:
    """Ends faulthandler's thread: a forked process would wait for ever for the one that it doesn't have."""
    _forking.acquire()
    faulthandler.cancel_dump_traceback_later()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_forking.release, after_in_child=_forking.release)


class Watchdog(threading.Thread):
    """A thread of each process that steps environments; to be entered around each call into one of them."""

    def __init__(self, seconds: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._seconds = seconds
        self._since: float | None = None  # when the call that is under way began
        self._caller = 0  # its thread
        if math.isfinite(seconds):
            self.start()

    def __enter__(self) -> None:
        self._caller = threading.get_ident()
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def run(self) -> None:
        """Looks at the clock, and leaves a report of where a call is that has taken too long.

        A call into C code that keeps Python's global lock stops this thread, too. `faulthandler` has one that needs no
        lock: it writes the stack and ends the process, unless it is put off again and again.
        """
        tick = min(1.0, self._seconds / 4)
        file = spool.stack_file()
        reported = None
        while True:
            with _forking:
                faulthandler.dump_traceback_later(self._seconds + tick + GRACE_SECONDS, exit=True, file=file)
            time.sleep(tick)
            since = self._since
            if since is not None and since != reported and time.monotonic() - since > self._seconds:
                spool.report_hang(self._report())
                reported = since

    def _report(self) -> str:
        stack = traceback.extract_stack(sys._current_frames()[self._caller])
        lines = "".join(traceback.format_list(list(users_frames(stack)))).rstrip()
        return f"the environment hangs: a reset or step has not returned for {self._seconds:g} s. It is here:\n{lines}"


@cache
def watchdog_of(process: int) -> Watchdog:
    """Returns the watchdog of a process; the argument keeps a forked one from taking its parent's."""
    return Watchdog(float(os.environ.get(SECONDS, "inf")))
