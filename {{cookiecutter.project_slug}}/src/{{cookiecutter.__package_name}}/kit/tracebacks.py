"""Where in the user's files an exception was raised, or a call hangs: stacks without the machinery's frames."""

import os
import re
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

Stack = Sequence[traceback.FrameSummary]  # from the outermost frame to the deepest

KIT = f"{Path(__file__).parent}{os.sep}"
CALLS = f"{KIT}guard{os.sep}calls.py"  # from here the environment is called; what lies deeper may be the user's
_STANDARD_LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_LIBRARIES = tuple(f"packages{os.sep}{name}{os.sep}" for name in ("gymnasium", "numpy", "ray"))


def users_traceback(error: BaseException) -> str:
    """Formats an exception without the frames of the kit, Gymnasium and Ray that lie above the user's own code."""
    lines = traceback.TracebackException.from_exception(error)
    lines.stack = traceback.StackSummary.from_list(users_frames(lines.stack))
    return "".join(lines.format(chain=False)).rstrip()


def users_stack(stack: Stack) -> str:
    """Formats a stack, likewise."""
    return "".join(traceback.format_list(list(users_frames(stack)))).rstrip()


def users_frames(stack: Stack) -> Stack:
    """Returns the frames from the user's first one on."""
    first = max((i + 1 for i, frame in enumerate(stack) if frame.filename == CALLS), default=0)
    while first < len(stack) - 1 and _rank(stack[first].filename) > 1:
        first += 1
    return stack[first:]


def users_line(frames: Iterable[traceback.FrameSummary]) -> str | None:
    """Returns the "file:line" of the deepest frame of the user's; of an installed package's, where there is none.

    None where all frames are the kit's or Python's own.
    """
    ranked = [(_rank(frame.filename), frame) for frame in frames if not frame.filename.startswith(KIT)]
    best = min((rank for rank, _ in ranked), default=3)
    return next((f"{f.filename}:{f.lineno}" for rank, f in reversed(ranked) if rank == best < 3), None)


def is_users(filename: str) -> bool:
    """Returns whether a file is the user's or an installed package's: not the kit's, Gymnasium's or Python's."""
    return _rank(filename) < 2


def dumped_stacks(text: str) -> list[list[traceback.FrameSummary]]:
    """Returns the stack of each thread, out of what `faulthandler` has written."""
    threads = [re.findall(r'File "(.+)", line (\d+) in (.+)', thread) for thread in text.split("hread 0x")]
    return [[traceback.FrameSummary(f, int(line), name) for f, line, name in reversed(thread)] for thread in threads]


def _rank(filename: str) -> int:
    """Returns 0 for the user's files, 1 for installed packages, 2 for the machinery, 3 for Python itself."""
    if filename.startswith(KIT) or any(library in filename for library in _LIBRARIES):
        return 2
    if "site-packages" in filename or "dist-packages" in filename:
        return 1
    return 3 if filename.startswith(("<", *_STANDARD_LIBRARY)) else 0
