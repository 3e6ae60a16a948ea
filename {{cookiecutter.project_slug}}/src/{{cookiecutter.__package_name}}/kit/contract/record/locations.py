"""Where in the user's files something is defined or raised."""

import inspect
import os
import traceback
from typing import Any

from ...spaces.views import Wrapped
from ...tracebacks import users_line


def unwrapped(env: Any) -> Any:
    """Returns the user's environment under Gymnasium's wrappers, also for what is no gymnasium.Env."""
    try:
        plain = env.unwrapped
    except Exception:
        return env
    return plain.env if isinstance(plain, Wrapped) else plain


def attributes(env: Any) -> dict[str, Any]:
    """Returns the attributes that the user's object holds itself."""
    return dict(getattr(unwrapped(env), "__dict__", {}))


def defined(thing: Any) -> str | None:
    """Returns "file:line" of a function, method or class; None where Python does not know."""
    try:
        thing = inspect.unwrap(thing)
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except Exception:
        return None


def raised(error: BaseException) -> str | None:
    """Returns the "file:line" of the deepest line of the user that led to an exception."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return users_line(traceback.extract_tb(error.__traceback__))


def described(error: BaseException) -> str:
    """Returns an exception on one line: its type and its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


def shorten(where: str | None) -> str | None:
    """Returns a location relative to the current directory, where it lies below it."""
    filename, _, line = (where or "").rpartition(":")
    try:
        relative = os.path.relpath(filename)
    except ValueError:
        return where
    return where if relative.startswith("..") else f"{relative.replace(os.sep, '/')}:{line}"
