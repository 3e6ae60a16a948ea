"""A recorder, watched from outside: it may hang, crash or eat memory, and what it has written still stands."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import RunError
from ...tracebacks import dumped_stacks, users_line
from ..record.channel import HEARTBEAT_BYTES, Beat, read_heartbeat, read_record
from ..record.env_record import EnvRecord
from ..record.model import Stop

POLL_SECONDS, DUMP_SECONDS = 0.01, 0.5
MEMORY_BYTES, REPLICA_MEMORY_BYTES = 4_000_000_000, 2_000_000_000  # replicas play a few short episodes only
QUIET = {  # no windows, no sound, no greetings, and one thread a process as in an env runner
    "SDL_VIDEODRIVER": "offscreen,dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1",
}  # fmt: skip


@dataclass
class Request:
    """What a recorder shall do."""

    target: str
    config: dict[str, Any]
    quick: bool
    thorough: bool = False
    only_one: bool = False
    replica: int = 0  # 0: run all probes; else play the first episode only, with this hash seed
    renders: bool = False  # afterwards, in the folder `home`
    home: str = ""
    cap: int | None = None  # steps that an episode may have
    without: tuple[str, ...] = ()  # probes to leave out


class Child:
    """One recorder; request, record, heartbeat and output lie in a folder of its own.

    A call that takes longer than `hang_seconds` counts as a hang.
    """

    def __init__(self, folder: Path, request: Request, cwd: str | Path, hang_seconds: float) -> None:
        self.folder, self.hang_seconds = folder, hang_seconds
        self.memory_bytes = REPLICA_MEMORY_BYTES if request.replica else MEMORY_BYTES
        self.stop: Stop | None = None
        folder.mkdir(parents=True)
        (folder / "request.json").write_text(json.dumps(vars(request)))
        (folder / "heartbeat").write_bytes(bytes(HEARTBEAT_BYTES))
        paths = os.pathsep.join(os.path.abspath(path or ".") for path in sys.path)
        environment = {**os.environ, **QUIET, "PYTHONHASHSEED": str(request.replica), "PYTHONPATH": paths}
        command = [sys.executable, "-m", __name__.replace(".process.child", ".record"), str(folder)]
        self._log = (folder / "start.txt").open("w")
        try:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                start_new_session=os.name == "posix",
            )  # fmt: skip
        except OSError as error:
            raise RunError(f"no process can be started to look at the environment: {error}") from error
        self._last = (-1, time.monotonic())

    def poll(self) -> bool:
        """Looks at the recorder; returns True when it is done or has been stopped, raises RunError if it never began."""
        code = self.process.poll()
        beat, now = self._beat(), time.monotonic() - self._waited()
        if code is not None:
            if beat.call == "start":
                lines = (self.folder / "start.txt").read_text(errors="replace").strip().splitlines() or ["no output"]
                text = f"Python could not start to look at the environment (exit code {code}): {lines[-1]}"
                raise RunError(f"{text}. Look at PYTHONPATH, PYTHONHOME and the virtual environment")
            if not self.record().has("done"):
                self._note("exit", code)
            self.end()
            return True
        if beat.number != self._last[0]:
            self._last = (beat.number, now)
        patience = self.hang_seconds * (3 if beat.call in ("__init__", "import", "start", "render") else 1)
        size = self._memory()
        if size > self.memory_bytes:
            self._note("memory", size)
        elif now - self._last[1] > patience and self._is_stuck(beat.number):
            self._note("hang", 0, now - self._last[1])
        else:
            return False
        self.end()
        return True

    def end(self) -> None:
        """Ends the recorder and whatever it started."""
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()
        self._log.close()

    def record(self) -> EnvRecord:
        """Returns what the recorder has written so far."""
        return read_record(self.folder / "record")

    def _note(self, why: str, code: int, seconds: float = 0.0) -> None:
        path = self.folder / "stack.txt"
        stacks = dumped_stacks(path.read_text(errors="replace")) if path.exists() else []
        where = users_line(next((stack for stack in stacks if stack), ()))
        beat = self._beat()
        self.stop = Stop(why, code, beat.call, beat.step, beat.context, beat.probe, where, seconds)

    def _is_stuck(self, number: int) -> bool:
        """Asks the recorder for its stack; tells whether it has made no call since, or was only slow."""
        if hasattr(signal, "SIGUSR1"):
            os.kill(self.process.pid, signal.SIGUSR1)
            time.sleep(DUMP_SECONDS)
        return self._beat().number == number

    def _beat(self) -> Beat:
        return read_heartbeat(self.folder / "heartbeat")

    def _waited(self) -> float:
        """Returns the seconds that the recorder has waited for a processor; 0 where that is not known."""
        with contextlib.suppress(OSError, IndexError):
            return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9
        return 0.0

    def _memory(self) -> int:
        with contextlib.suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
        return 0
