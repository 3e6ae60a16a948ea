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
from typing import NoReturn

from ..tracebacks import CALLS, dumped_stacks, users_stack

PREFIX = "RLLIB_ENV_KIT"  # of the kit's environment variables
RUN = f"{PREFIX}_RUN"  # an environment variable: what tells the folders of this run from others' on a machine
_FOLDER = f"{PREFIX}_CHILD_LOG"
_LOG, _COUNT, _HANG = "log", "out_of_bounds", "hang"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class ChildLog:
    """The reading end, in an env runner."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_prefix()))
        os.environ[_FOLDER] = str(self._folder)
        self._log = (self._folder / _LOG).open("x+", encoding="utf-8", errors="replace")
        self._count = (self._folder / _COUNT).open("x+b")
        self._begun = ""  # a line that is still being written

    def new_lines(self) -> list[str]:
        """Returns the whole lines that were logged since the last call."""
        *lines, self._begun = (self._begun + self._log.read()).split("\n")
        return lines

    def new_out_of_bounds(self) -> int:
        """Returns how many observations were counted since the last call."""
        return len(self._count.read())

    def close(self) -> None:
        """Removes the folder."""
        os.environ.pop(_FOLDER, None)
        self._log.close()
        self._count.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _prefix() -> str:
    return f"rllib-env-kit-{os.environ.get(RUN, 'run')}-"


def _folders() -> Iterator[Path]:
    return Path(tempfile.gettempdir()).glob(f"{_prefix()}*")


def folder_of_run(name: str) -> Path | None:
    """Returns the path of a folder that all processes of this run on this machine share; None outside of training."""
    return Path(tempfile.gettempdir(), _prefix() + name) if RUN in os.environ else None


def clean() -> None:
    """Removes what this run's processes have left on this machine; an env runner that is killed can't do it."""
    for folder in _folders():
        shutil.rmtree(folder, ignore_errors=True)


def hang_path() -> Path | None:
    """Returns where the report goes if this process has to be ended; None is the terminal, for the driver's."""
    folder, ray = os.environ.get(_FOLDER), sys.modules.get("ray")
    is_actor = ray is not None and ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None
    is_helper = is_actor or multiprocessing.parent_process() is not None
    return Path(folder, f"{_HANG}-{os.getpid()}") if folder and is_helper else None


def end_for_hang(report: str) -> NoReturn:
    """Ends this process, and leaves the report for the env runner that meets its loss."""
    if path := hang_path():
        path.write_text(report, encoding="utf-8")
    else:
        print(f"ERROR: {report}", file=sys.stderr, flush=True)
    os._exit(1)


def pop_hang_report() -> str | None:
    """Returns, once, where a process of this run hung on this machine that was ended for it with all it could tell."""
    report = None
    for path in [path for folder in _folders() for path in folder.glob(f"{_HANG}-*")]:
        with suppress(FileNotFoundError):  # another env runner has told it
            report = report or _readable(path.read_text(encoding="utf-8", errors="replace"))
            path.unlink()  # the run may go on in spite of it
    return report


def _readable(report: str) -> str:
    """Returns a report with the user's frames only, of the thread that hangs, where `last_resort` left all threads'."""
    for stack in dumped_stacks(report):
        if any(frame.filename == CALLS for frame in stack):
            return f"{report.splitlines()[0]}. It is here:\n{users_stack(stack)}"
    return report


def count_out_of_bounds(number: int) -> None:
    """Adds observations that were out of bounds to the count of all processes: each is a byte."""
    if folder := os.environ.get(_FOLDER):
        os.write(_count_file(folder), b"." * number)


@cache
def _count_file(folder: str) -> int:
    return os.open(Path(folder, _COUNT), os.O_WRONLY | os.O_APPEND)


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
