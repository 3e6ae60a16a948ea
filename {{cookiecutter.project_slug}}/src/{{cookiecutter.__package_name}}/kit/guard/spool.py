"""What the processes of an env runner's copies leave for the run: log lines, and where one hangs.

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
from pathlib import Path
from typing import TextIO

from .failure import PACKAGE, dumped_stack

RUN = f"{PACKAGE.upper()}_RUN"  # an environment variable: what tells the folders of this run from others' on a machine
_FOLDER = f"{PACKAGE.upper()}_SPOOL"
_LOG, _HANG, _STACK = "log", "hang", "stack"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Spool:
    """The reading end, in an env runner."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_prefix()))
        os.environ[_FOLDER] = str(self._folder)
        self._read = 0  # bytes of the log that have been taken

    def new_log_lines(self) -> list[str]:
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

    def hang(self) -> str | None:
        """Returns the report of a call that doesn't return, if there is one."""
        path = self._folder / _HANG
        return path.read_text(encoding="utf-8") if path.exists() else None

    def close(self) -> None:
        """Removes the folder."""
        os.environ.pop(_FOLDER, None)
        shutil.rmtree(self._folder, ignore_errors=True)


def _prefix() -> str:
    return f"{PACKAGE}-{os.environ.get(RUN, 'run')}-"


def _folders() -> Iterator[Path]:
    return Path(tempfile.gettempdir()).glob(f"{_prefix()}*")


def remains() -> str | None:
    """Returns, once, where a process of this run hung on this machine that was ended for it with all it could tell."""
    for path in [path for folder in _folders() for path in folder.glob(f"{_STACK}-*")]:
        with suppress(FileNotFoundError):  # another env runner has told it
            if stack := dumped_stack(path.read_text(encoding="utf-8", errors="replace")):
                path.unlink()  # the run may go on in spite of it
                return f"the environment hangs in a call that does not let Python run. It is here:\n{stack}"
    return None


def clean() -> None:
    """Removes what this run's processes have left on this machine; an env runner that is killed can't do it."""
    for folder in _folders():
        shutil.rmtree(folder, ignore_errors=True)


def stack_file() -> TextIO:
    """Opens the file for the stack of this process if it hangs; the driver's goes to the terminal."""
    folder = os.environ.get(_FOLDER)
    if folder is None or is_driver():
        return sys.stderr
    return Path(folder, f"{_STACK}-{os.getpid()}").open("w", encoding="utf-8")


def is_driver() -> bool:
    """Tells whether this is the process of the command, not one of its helpers."""
    if multiprocessing.parent_process() is not None:
        return False
    ray = sys.modules.get("ray")
    return not (ray and ray.is_initialized() and ray.get_runtime_context().get_actor_id())


def report_hang(text: str) -> None:
    """Leaves a report for the env runner, whole or not at all; ends the process where there is none."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        print(f"ERROR: {text}", file=sys.stderr, flush=True)
        os._exit(1)
    new = Path(folder, f"{_HANG}.new")
    new.write_text(text, encoding="utf-8")
    new.rename(Path(folder, _HANG))


def keep_log() -> None:
    """Makes Python's `logging` in this process write into the spool: the package's from INFO on, others' warnings."""
    folder = os.environ.get(_FOLDER)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)  # of an earlier env runner in this process
    if folder:
        root.addHandler(_Handler(Path(folder, _LOG), delay=True))
        logger = logging.getLogger(PACKAGE)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)


class _Handler(logging.FileHandler):
    """Appends to the spool; what Ray itself logs stays out of it."""

    def __init__(self, path: Path, delay: bool) -> None:
        super().__init__(path, delay=delay, encoding="utf-8")
        self.setFormatter(logging.Formatter(_FORMAT))
        self.addFilter(lambda record: not record.name.startswith("ray"))
