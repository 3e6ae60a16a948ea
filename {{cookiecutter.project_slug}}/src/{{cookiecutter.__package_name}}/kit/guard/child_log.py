"""What the processes of an env runner's copies leave for the run: log lines, a count, and where one hangs.

It is a folder of the machine that the env runner is on. Its name is in an environment variable, so that it also reaches
the processes of `async` vectorization; the env runner takes out what lies in it, and sends it to the driver.
"""

import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from ..tracebacks import CALLS, dumped_stacks, users_stack

PREFIX = "RLLIB_ENV_KIT"  # of the kit's environment variables
RUN = f"{PREFIX}_RUN"  # an environment variable: what tells the folders of this run from others' on a machine
_FOLDER = f"{PREFIX}_CHILD_LOG"
_LOG, _COUNT, _HANG, _STACK = "log", "out_of_bounds", "hang", "stack"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class ChildLog:
    """The reading end, in an env runner."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_prefix()))
        os.environ[_FOLDER] = str(self._folder)
        self._read = 0  # bytes of the log that have been taken
        self._counted = 0  # observations out of bounds, likewise

    def new_lines(self) -> list[str]:
        """Returns the whole lines that were logged since the last call."""
        try:
            with (self._folder / _LOG).open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        text = text[: text.rfind(b"\n") + 1]
        self._read += len(text)
        return text.decode(errors="replace").splitlines()

    def new_out_of_bounds(self) -> int:
        """Returns how many observations were counted since the last call."""
        before = self._counted
        with suppress(FileNotFoundError):
            self._counted = (self._folder / _COUNT).stat().st_size
        return self._counted - before

    def hang(self) -> str | None:
        """Returns the report of a call that doesn't return, if there is one."""
        path = self._folder / _HANG
        return path.read_text(encoding="utf-8") if path.exists() else None

    def close(self) -> None:
        """Removes the folder."""
        os.environ.pop(_FOLDER, None)
        shutil.rmtree(self._folder, ignore_errors=True)


def _prefix() -> str:
    return f"rllib-env-kit-{os.environ.get(RUN, 'run')}-"


def _folders() -> Iterator[Path]:
    return Path(tempfile.gettempdir()).glob(f"{_prefix()}*")


def pop_hang_report() -> str | None:
    """Returns, once, where a process of this run hung on this machine that was ended for it with all it could tell."""
    for path in [path for folder in _folders() for path in folder.glob(f"{_STACK}-*[0-9]")]:
        with suppress(FileNotFoundError):  # another env runner has told it
            stacks = dumped_stacks(path.read_text(encoding="utf-8", errors="replace"))
            path.unlink()  # the run may go on in spite of it
            stack = next(stack for stack in stacks if any(frame.filename == CALLS for frame in stack))
            return f"the environment hangs in a call that does not let Python run. It is here:\n{users_stack(stack)}"
    return None


def clean() -> None:
    """Removes what this run's processes have left on this machine; an env runner that is killed can't do it."""
    for folder in _folders():
        shutil.rmtree(folder, ignore_errors=True)


def stack_path() -> str:
    """Returns where the stack of this process goes if it has to be ended; "" is the terminal, for the driver's."""
    folder, ray = os.environ.get(_FOLDER), sys.modules.get("ray")
    is_actor = ray is not None and ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None
    is_helper = is_actor or multiprocessing.parent_process() is not None
    return str(Path(folder, f"{_STACK}-{os.getpid()}")) if folder and is_helper else ""


def report_hang(text: str) -> None:
    """Leaves a report for the env runner, whole or not at all; ends the process where there is none."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        print(f"ERROR: {text}", file=sys.stderr, flush=True)
        os._exit(1)
    new = Path(folder, f"{_HANG}.new")
    new.write_text(text, encoding="utf-8")
    new.rename(Path(folder, _HANG))


def count_out_of_bounds(number: int) -> None:
    """Adds observations that were out of bounds to the count of all processes: each is a byte."""
    if folder := os.environ.get(_FOLDER):
        os.write(_count_file(folder), b"." * number)


@cache
def _count_file(folder: str) -> int:
    return os.open(Path(folder, _COUNT), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def keep_log(package: str) -> None:
    """Makes Python's `logging` in this process write here: the package's from INFO on, others' warnings, but Ray's."""
    folder, root = os.environ.get(_FOLDER), logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == _FOLDER]:
        root.removeHandler(handler)  # of an earlier env runner in this process
    if folder:
        file = logging.FileHandler(Path(folder, _LOG), delay=True, encoding="utf-8")
        file.name = _FOLDER
        file.setFormatter(logging.Formatter(_FORMAT))
        file.addFilter(lambda record: not record.name.startswith("ray"))
        root.addHandler(file)
        logger = logging.getLogger(package)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
