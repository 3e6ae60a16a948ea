"""The process around the environment: directory, random numbers, output, files, threads, child processes."""

import os
import random
import signal
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

UNUSUAL_SEED = 1_000_003  # an environment that seeds with 0 or 42 shall leave another state than ours


class Snapshot(NamedTuple):
    """What an environment must leave as it is; random generators by a checksum of their state."""

    cwd: str = ""
    python_rng: int = 0
    numpy_rng: int = 0
    output: int = 0  # bytes printed so far
    signals: str = ""  # the handlers of SIGINT and SIGTERM
    float_errors: str = ""  # what NumPy does about them


def snapshot() -> Snapshot:
    """Returns the surroundings now; takes about 30 microseconds."""
    try:
        cwd = os.getcwd()
    except OSError:
        cwd = "(deleted)"
    state = np.random.get_state(legacy=False)["state"]
    numpy_rng = zlib.crc32(state["key"].tobytes(), state["pos"])
    quietly(sys.stdout.flush)
    quietly(sys.stderr.flush)
    handlers = str([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])
    return Snapshot(cwd, hash(random.getstate()), numpy_rng, os.fstat(1).st_size, handlers, str(np.geterr()))


def seed_global(seed: int) -> None:
    """Puts Python's and NumPy's global random numbers into a known state."""
    random.seed(UNUSUAL_SEED + seed)
    np.random.seed(UNUSUAL_SEED + seed)


def predictable_entropy(start: int) -> None:
    """Lets NumPy's generators without a seed differ from each other, but not from run to run, so that reports don't."""
    if hasattr(np.random.bit_generator, "randbits"):
        np.random.bit_generator.randbits = random.Random(start).getrandbits


def _descriptors() -> int:
    """Returns how many files, sockets and pipes are open; 0 where the system does not tell."""
    folder = next((folder for folder in ("/proc/self/fd", "/dev/fd") if os.path.isdir(folder)), None)
    return len(os.listdir(folder)) if folder else 0


def _children() -> int:
    """Returns how many child processes are alive or not waited for; 0 where the system does not tell."""
    return sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))


COUNTERS: dict[str, Callable[[], int]] = {
    "files or sockets (file descriptors)": _descriptors,
    "threads": threading.active_count,
    "child processes": _children,
}


class Events:
    """Files opened for writing and Python's warnings, noted from the moment of `install` on."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.warnings: dict[tuple[str, str], str] = {}

    def install(self) -> None:
        """Starts to note; there is no way back, so only recorders do this."""
        sys.addaudithook(self._audit)
        warnings.simplefilter("default")
        vars(warnings)["showwarning"] = self._warn

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, mode, flags = os.fsdecode(arguments[0]), arguments[1], arguments[2] or 0
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not path.startswith(("/dev/", "/proc/")) and not os.path.isdir(path):  # a file without a name
                self.written.append(os.path.abspath(path))

    def _warn(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        text = " ".join(str(message).split())[:160]
        self.warnings.setdefault((category.__name__, text), f"{filename}:{lineno}")


def quietly(function: Callable[[], Any]) -> None:
    """Calls a function whose failure does not matter, such as the close of an extra copy."""
    try:
        function()
    except BaseException:
        return
