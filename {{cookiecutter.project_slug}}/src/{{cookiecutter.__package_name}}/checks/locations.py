"""Where in the user's files something is defined or raised."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def unwrapped(env: Any) -> Any:
    """The environment under its wrappers, also for what is no gymnasium.Env."""
    try:
        return env.unwrapped
    except Exception:
        return env


def defined(thing: Any) -> str | None:
    """"file:line" of a function, method or class; None where Python does not know."""
    try:
        thing = inspect.unwrap(thing)
        code = getattr(thing, "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except Exception:
        return None


def _is_own(filename: str) -> bool:
    return os.path.realpath(filename).startswith(HERE + os.sep)


def _is_library(filename: str) -> bool:
    return filename.startswith("<") or "site-packages" in filename or filename.startswith(LIBRARIES)


def raised(problem: BaseException) -> str | None:
    """"file:line" of the deepest line of the user that led to an exception."""
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if not _is_own(frame.filename)]
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"{problem.filename}:{problem.lineno}"
    users = [frame for frame in frames if not _is_library(frame.filename)] or frames
    return f"{users[-1].filename}:{users[-1].lineno}" if users else None


def described(problem: BaseException) -> str:
    """An exception on one line: its type and its text."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}"[:300] if text else type(problem).__name__


def shorten(where: str | None) -> str | None:
    """A location relative to the current directory, where it lies below it."""
    if where is None:
        return None
    filename, _, line = where.rpartition(":")
    try:
        relative = os.path.relpath(os.path.abspath(filename), os.getcwd())
    except (OSError, ValueError):
        return where
    return where if relative.startswith("..") else f"{relative.replace(os.sep, '/')}:{line}"


def in_stack_dump(text: str) -> str | None:
    """The deepest line of the user in a stack that `faulthandler` wrote."""
    frames = []
    for line in text.splitlines():
        if line.strip().startswith('File "') and ", line " in line:
            filename, _, rest = line.strip()[6:].partition('"')
            frames.append((filename, rest.removeprefix(", line ").split(" ")[0]))
    frames = [frame for frame in frames if not _is_own(frame[0])]
    users = [frame for frame in frames if not _is_library(frame[0])] or frames
    return f"{users[0][0]}:{users[0][1]}" if users else None
