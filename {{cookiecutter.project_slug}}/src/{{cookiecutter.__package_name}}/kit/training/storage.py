"""A copy of a run's folder elsewhere: in another folder, or in a bucket such as s3://bucket/path."""

import secrets
import shutil
import time
from pathlib import Path

from pyarrow import fs

from ..cli import RunError, UsageError
from ..policy.find import LAST
from .run_folder import LOCK, RunFolder

EVERY_SECONDS = 60.0  # between two copies; cheap environments make a checkpoint several times a second
MOST_TIME = 0.05  # of a run that its copies may take, where the storage is slow
LATEST = "latest"  # a file with the name of the copy that is whole


class Storage:
    """Keeps copies of a run in `<uri>/<name>/`, and takes the last whole one from there.

    Each copy gets a folder of its own. Its name goes into the file `latest` when it is whole, then older ones go. So it
    does not matter when the machine goes, and there is no need to rename anything, which buckets can't.

    Args:
        uri: a folder, or what pyarrow knows, e.g. "s3://bucket/path" or "gs://bucket/path".
        name: of the run.

    Attributes:
        where: the place, for people.
        whole: the name of the copy that an earlier start has left here, or None.

    Raises:
        UsageError: there is no such place, or nothing may be written there.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.where = f"{uri.rstrip('/')}/{name}"
        self._due = 0.0  # by `time.monotonic`
        try:
            files, base = fs.FileSystem.from_uri(uri if "://" in uri else Path(uri).resolve())
            files.create_dir(f"{base}/{name}")
            self._files = fs.SubTreeFileSystem(f"{base}/{name}", files)
            self.whole = self._read_latest()
        except (OSError, ValueError) as error:
            raise UsageError(f"--storage {uri} can't be used: {_line(error)}") from None

    def fetch(self, folder: RunFolder) -> None:
        """Copies the run from here to where it is not yet.

        Raises:
            UsageError: the one here has come further than the one in the folder.
            OSError: it can't be read.
        """
        if self.whole is None:
            return
        iteration = int(self.whole.split("-")[0])
        if folder.has_checkpoint():
            here = folder.facts(LAST).get("iteration", 0)
            if iteration > here:
                raise UsageError(
                    f"{self.where} is at iteration {iteration}, {folder.path} only at {here}; "
                    f"move {folder.path} away to go on with the former, or leave --storage out"
                )
            return
        new = folder.path.with_name(f"{folder.path.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        fs.copy_files(self.whole, str(new.resolve()), source_filesystem=self._files)
        shutil.rmtree(folder.path, ignore_errors=True)
        new.rename(folder.path)
        print(f"{folder.path} is from {self.where}; a checkpoint holds pickled code: only from people you trust")

    def is_due(self) -> bool:
        """Tells whether it is time for another copy."""
        return time.monotonic() >= self._due

    def copy(self, folder: RunFolder, iteration: int) -> RunError | None:
        """Copies the run's folder; returns why it can't be done, if so."""
        start, name = time.monotonic(), f"{iteration}-{secrets.token_hex(4)}"
        try:
            self._files.create_dir(name)
            for part in folder.path.resolve().iterdir():
                if part.name != LOCK:  # whose lock this process would lose by closing it
                    fs.copy_files(str(part), f"{name}/{part.name}", destination_filesystem=self._files)
            with self._files.open_output_stream(f"{LATEST}.new") as stream:
                stream.write(name.encode())
            self._files.move(f"{LATEST}.new", LATEST)
            for entry in self._files.get_file_info(fs.FileSelector("")):
                if entry.type == fs.FileType.Directory and entry.base_name != name:
                    self._files.delete_dir(entry.path)
        except Exception as error:  # of whatever is behind pyarrow; the run goes on
            return RunError(f"{folder.path} is whole, but {self.where} could not be written: {_line(error)}")
        finally:
            now = time.monotonic()
            self._due = now + max(EVERY_SECONDS, (now - start) / MOST_TIME)
        return None

    def _read_latest(self) -> str | None:
        if self._files.get_file_info(LATEST).type != fs.FileType.File:
            return None
        with self._files.open_input_stream(LATEST) as stream:
            return bytes(stream.read()).decode()


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
