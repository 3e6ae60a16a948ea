"""A failure of the environment: what it was, and how to see it again."""

import json
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

FILE = "failure.json"
PACKAGE = __name__.partition(".")[0]
_GUARDS = tuple(str(Path(__file__).with_name(name)) for name in ("__init__.py", "vector.py"))
_RLLIB = Path(__file__).parents[1] / "rllib"
_MACHINERY = (*_GUARDS, *(str(_RLLIB / name) for name in ("env_runner.py", "sampling.py")))


class EnvironmentFailure(Exception):
    """The environment is at fault.

    Attributes:
        facts: JSON values: "message", and where they are known "seed", "episode", "step", "actions" and "config".
    """

    def __init__(self, failure: "Mapping[str, Any] | EnvironmentFailure") -> None:
        # Gymnasium's async mode makes the exception of a child process anew, from that exception itself.
        self.facts: dict[str, Any] = dict(failure.facts if isinstance(failure, EnvironmentFailure) else failure)
        super().__init__(self.facts)

    def __str__(self) -> str:
        return str(self.facts["message"])


def users_traceback(error: BaseException) -> str:
    """Formats an exception without the frames of Gymnasium and RLlib that lie above the user's own code."""
    lines = traceback.TracebackException.from_exception(error)
    lines.stack = traceback.StackSummary.from_list(users_frames(lines.stack))
    return "".join(lines.format(chain=False)).rstrip()


def users_frames(stack: Sequence[traceback.FrameSummary]) -> Sequence[traceback.FrameSummary]:
    """Returns the frames from the user's first line on: those below the Guard's, and below Gymnasium's wrappers."""
    first = max((i + 1 for i, frame in enumerate(stack) if frame.filename in _GUARDS), default=0)
    while first < len(stack) - 1 and _is_machinery(stack[first].filename):
        first += 1
    return stack[first:]


def dumped_stack(text: str) -> str | None:
    """Formats the stack of the thread that called the environment, if one has, out of what `faulthandler` has written."""
    threads = [re.findall(r'File "(.+)", line (\d+) in (.+)', thread) for thread in text.split("hread 0x")]
    for thread in threads:
        if any(file in _GUARDS for file, _, _ in thread):
            stack = [traceback.FrameSummary(file, int(line), name) for file, line, name in reversed(thread)]
            return "".join(traceback.format_list(list(users_frames(stack)))).rstrip()
    return None


def _is_machinery(file: str) -> bool:
    return file in _MACHINERY or file.startswith(os.path.dirname(gym.__file__)) or f"{os.sep}ray{os.sep}" in file


def write_failure(folder: Path, facts: Mapping[str, Any], package: str) -> str:
    """Writes failure.json into a run's folder; returns the message for the user, with the command to see it again."""
    message = str(facts["message"])
    if "seed" not in facts:
        return message
    path = folder / FILE
    path.write_text(json.dumps(facts, default=str) + "\n", encoding="utf-8")
    return f"{message}\nsee it again: python -m {package} replay {path}"
