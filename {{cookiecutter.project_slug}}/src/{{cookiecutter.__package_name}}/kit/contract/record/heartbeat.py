"""A small shared file in which the recorder says what it is calling, so that the parent can tell a hang from work."""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct("=QIB")  # number of calls so far, step within the episode, index into CALLS
SIZE, _TEXT = 512, 64  # of the file, and where the probe and the context stand
CALLS = ("start", "import", "__init__", "reset", "step", "render", "close", "probe")


class Beat(NamedTuple):
    """What the recorder was doing: the call, the step in the episode, the probe, and the episode in words."""

    number: int
    step: int
    call: str
    probe: str
    context: str


class Heartbeat:
    """Writes the shared file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), SIZE)
        self._count, self._probe = 0, ""

    def call(self, name: str, step: int = 0) -> None:
        """Notes that the environment is about to be called."""
        self._count += 1
        _HEAD.pack_into(self._map, 0, self._count, step, CALLS.index(name))

    def probe(self, name: str) -> None:
        """Notes which probe runs from now on."""
        self._probe = name
        self.context(name)

    def context(self, text: str) -> None:
        """Notes which episode is played from now on."""
        content = f"{self._probe}\n{text}".encode()[: SIZE - _TEXT - 1]
        self._map[_TEXT : _TEXT + len(content) + 1] = content + b"\0"
        self.call("probe")


def read(path: Path) -> Beat:
    """Returns the last thing that the recorder noted."""
    content = path.read_bytes()
    count, step, call = _HEAD.unpack_from(content)
    probe, _, context = content[_TEXT:].split(b"\0")[0].decode(errors="replace").partition("\n")
    return Beat(count, step, CALLS[call % len(CALLS)], probe, context)
