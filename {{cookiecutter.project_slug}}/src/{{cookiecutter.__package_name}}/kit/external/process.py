"""A simulator's process: started, watched, and never left behind."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

from ..errors import RunError

CLOSE_SECONDS = 0.5  # to end by itself, once its connection is closed
LOG_LINES, LOG_BYTES = 20, 2**20  # of its end: shown, and kept


class SimulatorError(RunError):
    """The simulator is at fault, or can't be reached: a line, and the end of its log."""


class Process:
    """A simulator that this process has started, in a process group of its own: Ctrl-C does not reach it.

    It ends by `close` and when Python ends, with all that it has started; on Linux also when this process is killed, and
    then what it has started has to notice itself.

    Its output goes to a file, since a pipe that nobody empties would halt it. The file has no name until `keep_log`, so
    that none is left where a process is killed.

    Args:
        command: its words; "{port}" in them is replaced.
        port: on 127.0.0.1, where it is to connect to.

    Raises:
        SimulatorError: it can't be started.
    """

    def __init__(self, command: Sequence[str], port: int) -> None:
        words = [word.replace("{port}", str(port)) for word in command]
        if shutil.which(words[0]) is None:
            raise SimulatorError(f"the simulator can't be started: there is no program {words[0]!r}")
        self._log = tempfile.TemporaryFile()  # closed with this object
        try:
            self._process = subprocess.Popen(
                [*_tie(), *words],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise SimulatorError(f"the simulator can't be started: {error}") from None
        self.kill = weakref.finalize(self, _kill, self._process, os.getpid())

    def ended(self, seconds: float = 0.0) -> str:
        """Returns how the process has ended, waiting for it so long; "" where it runs on."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
        return ""

    def close(self) -> None:
        """Ends it, by force where it doesn't end by itself; to be called when its connection is closed."""
        self.ended(CLOSE_SECONDS)
        self.kill()
        self._log.close()

    def keep_log(self) -> str:
        """Ends it; returns what its output ends with, and where it lies now."""
        self.kill()
        self._log.seek(max(0, os.fstat(self._log.fileno()).st_size - LOG_BYTES))
        output = self._log.read()
        self._log.close()
        if not output.strip():
            return "its log is empty"
        with tempfile.NamedTemporaryFile(prefix="simulator-", suffix=".log", delete=False) as kept:
            kept.write(output)
        lines = output.decode(errors="replace").splitlines()[-LOG_LINES:]
        return "\n  ".join([f"the end of its log, {kept.name}:", *lines])


def _kill(process: "subprocess.Popen[bytes]", owner: int) -> None:
    """Ends a process and its group; only in the process that has started it, not in one that was forked from that."""
    if os.getpid() == owner:
        with suppress(ProcessLookupError, PermissionError):  # it has ended; on macOS, it is waited for
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
        process.wait()


def _tie() -> list[str]:
    """Returns what to put before a command, to have it killed with this process.

    Linux ties it to a thread: to the main one only, which lives as long as the process. Elsewhere, the simulator notices
    that its connection is closed.
    """
    return _setpriv() if threading.current_thread() is threading.main_thread() else []


@cache
def _setpriv() -> list[str]:
    words = ["setpriv", "--pdeathsig", "KILL", "--"]
    works = shutil.which(words[0]) and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if works else []
