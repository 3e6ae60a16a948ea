"""A run's folder: what lies in it, and how it is written so that a crash never leaves half a file."""

import csv
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from ..cli import UsageError
from ..files import read_json, write_text
from ..policy.find import BEST, LAST, POLICY, RUNS, SWEEP, facts_file, newest_run

EVALUATION = "evaluation.json"  # what `evaluate --json` prints, of the best checkpoint in the run's own config
LOCK = ".lock"  # held by the process that trains; a folder without one is none of ours
PACKAGES = ("ray", "gymnasium", "torch", "numpy")
SETTINGS = ("options", "env_config", "ppo", "vectorization", "versions")  # the parts of config.json that are


class RunFolder:
    """`runs/<name>/`: config.json, progress.csv, TensorBoard files, checkpoints, learning_curve.png, summary.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress = path / "progress.csv"
        self._lock_file: TextIO | None = None

    @classmethod
    def new(cls, name: str | None) -> "RunFolder":
        """Names the folder of a new run, by the date and time if not by `name`; `make` makes it.

        Raises:
            UsageError: the name is taken, or is no name of a folder.
        """
        path = RUNS / (name or datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
        is_of_a_sweep = (path.parent / SWEEP).is_file()
        if not (path.parent == RUNS or is_of_a_sweep) or path.name in ("", ".."):
            raise UsageError(f"--name {name} is not the name of a folder below {RUNS}; write one without a slash")
        folder = cls(path)
        if folder.has_checkpoint() or (path.exists() and any(path.iterdir()) and not (path / LOCK).exists()):
            raise UsageError(f"{path} exists; go on with it by --resume, or choose another --name")
        return folder

    @classmethod
    def earlier(cls, name: str | None, env_id: str | None = None) -> "RunFolder":
        """Names the folder of an earlier run; without a name, the newest, of an environment or of any."""
        return cls(RUNS / name if name else newest_run(env_id))

    def make(self) -> None:
        """Makes the folder or, of an earlier run, takes it; what a run without a checkpoint has left is removed.

        Raises:
            UsageError: it can't be made, or another process trains in it.
        """
        if self._lock_file:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock_file = lock(self.path / LOCK)
            if self.has_checkpoint():
                return
            for left in set(self.path.iterdir()) - {self.path / LOCK}:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            self.checkpoint(LAST).parent.mkdir()
        except OSError as error:
            raise UsageError(f"{self.path} can't be made: {error.strerror}; work in a folder you may write") from None

    def checkpoint(self, which: str) -> Path:
        """Returns the folder of the best or the last checkpoint, also where a crash left it between its two names."""
        final = self.path / "checkpoints" / which
        old = final.with_suffix(".old")
        return old if old.is_dir() and not final.is_dir() else final

    def has_checkpoint(self) -> bool:
        """Tells whether the run has come so far that there is something to go on from."""
        return self.checkpoint(LAST).is_dir()

    def facts(self, which: str) -> dict[str, Any]:
        """Returns what a checkpoint is of, and how far the run was; nothing where there is none."""
        path = facts_file(self.checkpoint(which) / POLICY)
        return read_json(path) if path.exists() else {}

    def save_checkpoint(self, which: str, save: Callable[[Path], Any]) -> None:
        """Writes a whole checkpoint next to the old one, then puts it in its place.

        Args:
            which: BEST or LAST.
            save: writes the checkpoint's files into the absolute path that it is given.
        """
        final = self.path / "checkpoints" / which
        new, old = final.with_suffix(".new"), final.with_suffix(".old")
        shutil.rmtree(new, ignore_errors=True)  # of a crash
        try:
            save(new.resolve())
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)  # makes room on a full disk, too
            raise
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
            final.rename(old)
        new.rename(final)
        shutil.rmtree(old, ignore_errors=True)

    def copy_of_best(self, path: Path) -> None:
        """Saves the best checkpoint once more, in a folder that is made here."""
        try:
            shutil.copytree(self.checkpoint(BEST), path)
        except shutil.Error as error:  # a list, mostly of the same reason
            raise OSError(error.args[0][0][-1]) from None

    def recover(self) -> None:
        """Gives a checkpoint that a crash left between its two names the one that it should have."""
        for found in (self.checkpoint(BEST), self.checkpoint(LAST)):
            if found.is_dir():
                found.rename(found.with_suffix(""))

    def append_row(self, row: Mapping[str, Any]) -> None:
        """Adds one iteration to progress.csv."""
        is_new = not self.progress.exists()
        with self.progress.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)

    def append_log(self, line: str) -> None:
        """Adds a line to environment.log."""
        with (self.path / "environment.log").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def rows(self) -> Iterator[dict[str, float]]:
        """Yields the iterations of progress.csv; what was not known yet is NaN."""
        if self.progress.exists():
            with self.progress.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield {key: float(value or "nan") for key, value in row.items()}

    def drop_rows_after(self, iteration: int) -> None:
        """Forgets iterations that came after the checkpoint that the run goes on from."""
        if not self.progress.exists():
            return
        lines = self.progress.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines[1:] if line.endswith("\n") and int(line.split(",", 1)[0]) <= iteration]
        write_text(self.progress, "".join(lines[:1] + kept))


def lock(path: Path) -> TextIO:
    """Takes the folder of a file for this process, until its end or the file's, however it ends.

    Raises:
        UsageError: another process has it.
    """
    file = path.open("w")
    if sys.platform == "win32":
        return file
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another process trains in {path.parent}; wait for it, or choose another --name") from None
    except OSError:  # a file system without locks
        pass
    return file


def versions(package: str) -> dict[str, str]:
    """Returns the installed version of each distribution that decides what a run does, the project's own among them."""
    found = {}
    for name in (*PACKAGES, package):
        with suppress(metadata.PackageNotFoundError):  # a cluster's job may run this project from its source
            found[name] = metadata.version(name)
    return found


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what config.json holds of settings, each by a name such as "ppo.lr"."""
    return {f"{part}.{name}": value for part in SETTINGS for name, value in config.get(part, {}).items()}
