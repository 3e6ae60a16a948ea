"""Errors that are the user's to mend, and one line for what Python says of a broken module of theirs."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_told: set[str] = set()  # what pytest has been told


class UsageError(Exception):
    """The command was used wrongly; the message is one line that says what is wrong and what to write instead."""


class RunError(Exception):
    """The environment or the run is at fault; the message says what happened and where."""


class BrokenEpisode(RunError):
    """An episode can't go on, but the next one can: `step` may raise it, and training drops the episode.

    For what is no fault of the environment's own code, such as a simulator that has died. In an environment of several
    agents, or one that steps all its copies itself, it ends the run.
    """


@contextmanager
def importing(package: str) -> Iterator[None]:
    """Says in one line what is wrong with a module of the project, where a command or pytest imports it.

    `python -m package` imports the package before any command runs, so that the command itself could not say it.
    Elsewhere, in a notebook or another program, the exception stays what it is.
    """
    try:
        yield
    except Exception as error:
        line = one_line(error)
        if "pytest" in sys.modules:
            _tell_pytest(line)
        command = Path(sys.argv[0]).stem if sys.argv else ""
        if command not in ("-m", package.replace("_", "-")):  # "-m": Python still looks for the command's module
            raise
        print(f"ERROR: {line}", file=sys.stderr)
        sys.exit(1)


def _tell_pytest(line: str) -> NoReturn:
    """Fails the first file of tests that imports the project, and skips the others: one mistake is said once."""
    import pytest

    if line in _told:
        pytest.skip(line, allow_module_level=True)
    _told.add(line)
    raise pytest.Collector.CollectError(line) from None


def one_line(error: BaseException) -> str:
    """Returns "file:line: what", the place being the deepest one in the project's own files."""
    from .tracebacks import users_line  # late: only where something is wrong

    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    if isinstance(error, SyntaxError) and error.filename:
        where: str | None = f"{error.filename}:{error.lineno}"
    else:
        where = users_line(traceback.extract_tb(error.__traceback__))
    relative = where and os.path.relpath(where)
    parts = (relative if relative and not relative.startswith("..") else where, type(error).__name__, text)
    return ": ".join(part for part in parts if part)
