"""A child process, watched from outside: it may hang, crash or eat memory, and still ends in a report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .outside import Stop
from .pulse import Beat, Pulse

POLL_SECONDS = 0.01
DUMP_SECONDS = 0.5
MEMORY_BYTES = 4_000_000_000
REPLICA_MEMORY_BYTES = 2_000_000_000  # Replicas run beside the first child and play one short episode only.
QUIET = {  # No windows, no sound, no greetings, and one thread a process as in an env runner.
    "SDL_VIDEODRIVER": "offscreen,dummy",
    "SDL_AUDIODRIVER": "dummy",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
}


class Child:
    """One run of `worker` in a folder of its own.

    Args:
        folder: Where request, results, pulse and output lie.
        request: What the worker shall do; see `worker.main`.
        cwd: Working directory of the child.
        hash_seed: PYTHONHASHSEED of the child.
        hang_seconds: How long one call may take before it counts as a hang.
    """

    def __init__(self, folder: Path, request: dict[str, Any], cwd: Path, hash_seed: int, hang_seconds: float) -> None:
        self.folder = folder
        self.memory_bytes = REPLICA_MEMORY_BYTES if request["replica"] else MEMORY_BYTES
        self.hang_seconds = hang_seconds
        folder.mkdir(parents=True)
        (folder / "request.json").write_text(json.dumps(request))
        (folder / "pulse").write_bytes(bytes(512))
        paths = [os.path.abspath(path or ".") for path in sys.path]
        environment = {**os.environ, **QUIET, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", f"{__package__}.worker", str(folder)]
        self._log = (folder / "start.txt").open("w")
        self.process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            start_new_session=os.name == "posix",
        )  # fmt: skip
        self.started = time.monotonic()
        self._last = (-1, self.started)
        self.stop: Stop | None = None

    def poll(self) -> bool:
        """Looks at the child; True when it is done or has been stopped."""
        code = self.process.poll()
        if code is not None:
            if not self._has_finished():
                self._note("exit", code)
            self.end()
            return True
        beat, now = Pulse.read(self.folder / "pulse"), time.monotonic()
        if beat.number != self._last[0]:
            self._last = (beat.number, now)
        patience = self.hang_seconds * (3 if beat.call in ("__init__", "import", "start") else 1)
        size = self._memory()
        if size > self.memory_bytes:
            self._note("memory", size)
        elif now - self._last[1] > patience:
            self._dump_stack()
            if Pulse.read(self.folder / "pulse").number != beat.number:
                return False  # It was only slow.
            self._note("hang", 0, now - self._last[1])
        else:
            return False
        self.end()
        return True

    def end(self) -> None:
        """Ends the child and whatever it started."""
        try:
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        except (OSError, ProcessLookupError):
            pass
        self.process.wait()
        self._log.close()

    def lines(self) -> list[dict[str, Any]]:
        """What the child has written so far."""
        path = self.folder / "results.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def beat(self) -> Beat:
        """What the child was doing last."""
        return Pulse.read(self.folder / "pulse")

    def start_errors(self) -> str:
        """The last line that Python wrote when the child could not even start."""
        lines = (self.folder / "start.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _has_finished(self) -> bool:
        return any("done" in line or "usage" in line for line in self.lines()[-1:])

    def _note(self, why: str, code: int, seconds: float = 0.0) -> None:
        path = self.folder / "stack.txt"
        stack = path.read_text(errors="replace") if path.exists() else ""
        self.stop = Stop(why, code, self.beat(), stack, seconds)

    def _dump_stack(self) -> None:
        if hasattr(signal, "SIGUSR1"):
            os.kill(self.process.pid, signal.SIGUSR1)
            time.sleep(DUMP_SECONDS)

    def _memory(self) -> int:
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")
