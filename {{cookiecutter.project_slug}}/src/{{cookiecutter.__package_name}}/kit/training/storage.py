"""A copy of a run's folder elsewhere: in another folder, or in a bucket such as s3://bucket/path."""

import secrets
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from pyarrow import fs

from ..cli import RunError, UsageError
from ..files import read_json
from ..policy.find import LAST
from .run_folder import CHECKPOINT_FILE, RunFolder

EVERY_SECONDS = 60.0  # between two copies; cheap environments make a checkpoint several times a second
LATEST = "latest"  # a file with the name of the copy that is whole


class Storage:
    """Keeps copies of a run in `<uri>/<name>/`, and takes the last whole one from there.

    Each copy gets a folder of its own. Its name goes into the file `latest` when it is whole, then older ones go. So it
    does not matter when the machine goes, and there is no need to rename anything, which buckets can't.

    Args:
        uri: a folder, or what pyarrow knows, e.g. "s3://bucket/path" or "gs://bucket/path".
        name: of the run.

    Raises:
        UsageError: there is no such place, or nothing may be written there.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.where = f"{uri.rstrip('/')}/{name}"
        self._thread: threading.Thread | None = None
        self._last_time = -EVERY_SECONDS
        self._error: Exception | None = None
        try:
            if "://" in uri:
                self._files, base = fs.FileSystem.from_uri(uri)
            else:
                self._files, base = fs.LocalFileSystem(), str(Path(uri).resolve())
            self._base = f"{base}/{name}"
            self._files.create_dir(self._base)
            self._whole = self._read_latest()  # the copy to go on from
        except (OSError, ValueError) as error:
            raise UsageError(f"--storage {uri} can't be used: {_line(error)}") from None

    def has_copy(self) -> bool:
        """Tells whether an earlier run of this name has left a copy here."""
        return self._whole is not None

    def fetch(self, folder: RunFolder) -> None:
        """Copies the run from here to where it is not yet.

        Raises:
            UsageError: the one here has come further than the one in the folder.
            OSError: it can't be read.
        """
        if self._whole is None:
            return
        iteration = int(self._whole.split("-")[0])
        if folder.has_checkpoint():
            here = read_json(folder.checkpoint(LAST) / CHECKPOINT_FILE)["iteration"]
            if iteration > here:
                raise UsageError(
                    f"{self.where} is at iteration {iteration}, {folder.path} only at {here}; "
                    f"move {folder.path} away to go on with the former, or leave --storage out"
                )
            return
        new = folder.path.with_name(f"{folder.path.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        fs.copy_files(
            f"{self._base}/{self._whole}", str(new), source_filesystem=self._files, destination_filesystem=_HERE
        )
        shutil.rmtree(folder.path, ignore_errors=True)
        new.rename(folder.path)
        print(f"{folder.path} is from {self.where}; a checkpoint holds pickled code: only from people you trust")

    def copy(self, folder: RunFolder, iteration: int) -> None:
        """Copies the run's folder in the background, unless it was done a moment ago; warns if that has failed."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._error is not None:
            print(f"WARNING: {self.where} could not be written: {_line(self._error)}", file=sys.stderr)
            self._error = None
        if time.monotonic() - self._last_time >= EVERY_SECONDS:
            self._start(folder, iteration)

    def finish(self, folder: RunFolder, iteration: int) -> RunError | None:
        """Makes the last copy, waits for it, and returns why it can't be made, if so."""
        if self._thread is not None:
            self._thread.join()
        self._error = None
        self._start(folder, iteration).join()
        if self._error is None:
            return None
        return RunError(f"{folder.path} is whole, but {self.where} could not be written: {_line(self._error)}")

    def _start(self, folder: RunFolder, iteration: int) -> threading.Thread:
        self._last_time = time.monotonic()
        still = Path(tempfile.mkdtemp())  # the folder itself changes while it is sent
        ignored = shutil.ignore_patterns(".*", "*.new", "*.old")
        shutil.copytree(folder.path, still, ignore=ignored, dirs_exist_ok=True)
        self._thread = threading.Thread(target=self._send, args=[still, iteration], daemon=True)
        self._thread.start()
        return self._thread

    def _send(self, still: Path, iteration: int) -> None:
        name = f"{iteration}-{secrets.token_hex(4)}"
        try:
            fs.copy_files(
                str(still), f"{self._base}/{name}", source_filesystem=_HERE, destination_filesystem=self._files
            )
            with self._files.open_output_stream(f"{self._base}/{LATEST}.new") as stream:
                stream.write(name.encode())
            self._files.move(f"{self._base}/{LATEST}.new", f"{self._base}/{LATEST}")
            for entry in self._files.get_file_info(fs.FileSelector(self._base)):
                if entry.type == fs.FileType.Directory and entry.base_name != name:
                    self._files.delete_dir(entry.path)
        except Exception as error:  # the run goes on; the next call tells
            self._error = error
        finally:
            shutil.rmtree(still, ignore_errors=True)

    def _read_latest(self) -> str | None:
        path = f"{self._base}/{LATEST}"
        if self._files.get_file_info(path).type != fs.FileType.File:
            return None
        with self._files.open_input_stream(path) as stream:
            return bytes(stream.read()).decode()


_HERE = fs.LocalFileSystem()


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
