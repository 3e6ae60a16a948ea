"""Where in the user's files something is defined or raised."""

import inspect
import os
import sysconfig
import traceback
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parents[1])
STANDARD_LIBRARY = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))


def unwrapped(env: Any) -> Any:
    """Returns the environment under its wrappers, also for what is no gymnasium.Env."""
    try:
        return env.unwrapped
    except Exception:
        return env


def attributes(env: Any) -> dict[str, Any]:
    """Returns the attributes that the user's object holds itself."""
    return dict(getattr(unwrapped(env), "__dict__", {}))


def defined(thing: Any) -> str | None:
    """Returns "file:line" of a function, method or class; None where Python does not know."""
    try:
        thing = inspect.unwrap(thing)
        code = getattr(thing, "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except Exception:
        return None


def is_own(filename: str) -> bool:
    """Tells whether a file is the contract's."""
    return os.path.realpath(filename).startswith(HERE + os.sep)


def _rank(filename: str) -> int:
    """Returns 0 for the user's files, 1 for installed packages, 2 for Gymnasium and NumPy, 3 for Python itself."""
    if filename.startswith("<"):
        return 3
    if "site-packages" in filename or "dist-packages" in filename:
        return 2 if any(f"packages{os.sep}{name}{os.sep}" in filename for name in ("gymnasium", "numpy")) else 1
    return 3 if filename.startswith(STANDARD_LIBRARY) else 0


def of_user(filename: str) -> bool:
    """Tells whether a file is the user's or an installed package's, not Gymnasium's, NumPy's or Python's."""
    return not is_own(filename) and _rank(filename) < 2


def _most_relevant(frames: list[tuple[str, int]]) -> str | None:
    """Returns the deepest frame of the most relevant kind; the frames come from the outermost to the deepest."""
    frames = [frame for frame in frames if not is_own(frame[0]) and _rank(frame[0]) < 3]
    best = min((_rank(filename) for filename, _ in frames), default=3)
    return next((f"{name}:{line}" for name, line in reversed(frames) if _rank(name) == best), None)


def raised(error: BaseException) -> str | None:
    """Returns the "file:line" of the deepest line of the user that led to an exception."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return _most_relevant([(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)])


def described(error: BaseException) -> str:
    """Returns an exception on one line: its type and its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


def shorten(where: str | None) -> str | None:
    """Returns a location relative to the current directory, where it lies below it."""
    if where is None:
        return None
    filename, _, line = where.rpartition(":")
    try:
        relative = os.path.relpath(os.path.abspath(filename), os.getcwd())
    except (OSError, ValueError):
        return where
    return where if relative.startswith("..") else f"{relative.replace(os.sep, '/')}:{line}"


def in_stack_dump(text: str) -> str | None:
    """Returns the deepest line of the user in a stack that `faulthandler` wrote."""
    frames = []
    for line in text.splitlines():
        if line.strip().startswith('File "') and ", line " in line:
            filename, _, rest = line.strip()[6:].partition('"')
            frames.append((filename, int(rest.removeprefix(", line ").split(" ")[0])))
    return _most_relevant(frames[::-1])
