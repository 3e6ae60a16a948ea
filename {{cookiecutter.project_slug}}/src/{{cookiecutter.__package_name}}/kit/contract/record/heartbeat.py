"""A small shared file in which the recorder says what it is calling, so that the parent can tell a hang from work."""

import mmap
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .model import CallError

_LAYOUT = struct.Struct("=QQ16s48s400s")  # a Beat; longer texts are cut
SIZE = _LAYOUT.size


class Beat(NamedTuple):
    """What the recorder was doing."""

    number: int = 0  # of calls so far
    step: int = 0  # within the episode
    call: str = "start"  # then "import", "__init__", "reset", "step", "render", "close" or "probe"
    probe: str = ""
    context: str = ""  # the episode or the probe, in words


@dataclass
class Call:
    """How a call went."""

    seconds: float = 0.0
    error: CallError | None = None


class Heartbeat:
    """Writes the shared file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), SIZE)
        self._count, self._probe, self._context = 0, b"", b""

    def call(self, name: str, step: int = 0) -> None:
        """Notes that the environment is about to be called."""
        self._count += 1
        _LAYOUT.pack_into(self._map, 0, self._count, step, name.encode(), self._probe, self._context)

    @contextmanager
    def calling(self, name: str, step: int = 0) -> Iterator[Call]:
        """Notes that the environment is called inside the `with`; times it, and keeps what it raises."""
        call = Call()
        self.call(name, step)
        start = time.perf_counter()
        try:
            yield call
        except BaseException as error:
            call.error = CallError.of(name, error, step)
        call.seconds = time.perf_counter() - start

    def probe(self, name: str) -> None:
        """Notes which probe runs from now on."""
        self._probe = name.encode()
        self.context(name)

    def context(self, text: str) -> None:
        """Notes which episode is played from now on."""
        self._context = text.encode()
        self.call("probe")


def read(path: Path) -> Beat:
    """Returns the last thing that the recorder noted."""
    number, step, *texts = _LAYOUT.unpack(path.read_bytes())
    call, probe, context = (text.rstrip(b"\0").decode(errors="replace") for text in texts)
    return Beat(number, step, call or "start", probe, context)
