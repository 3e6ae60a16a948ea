"""A small shared file in which the child says what it is doing, so that the parent can tell a hang from work."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct("=QIB")  # Number of calls so far, step within the episode, index into CALLS.
_SIZE = 512
CALLS = ("start", "import", "__init__", "reset", "step", "render", "close", "check")


class Beat(NamedTuple):
    """What the child was doing: the call, the step in the episode, the check and episode in words."""

    number: int
    step: int
    call: str
    context: str


class Pulse:
    """Writes and reads the shared file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), _SIZE)
        self._count = 0
        self.context("start")

    def call(self, name: str, step: int = 0) -> None:
        """Notes that the environment is about to be called."""
        self._count += 1
        _HEAD.pack_into(self._map, 0, self._count, step, CALLS.index(name))

    def context(self, text: str) -> None:
        """Notes which check runs on which episode."""
        self._count += 1
        content = text.encode()[: _SIZE - 64]
        self._map[64 : 64 + len(content) + 1] = content + b"\0"
        _HEAD.pack_into(self._map, 0, self._count, 0, CALLS.index("check"))

    @staticmethod
    def read(path: Path) -> Beat:
        """The last thing that the child noted."""
        content = path.read_bytes().ljust(_SIZE, b"\0")
        count, step, call = _HEAD.unpack_from(content)
        return Beat(count, step, CALLS[call % len(CALLS)], content[64:].split(b"\0")[0].decode(errors="replace"))
