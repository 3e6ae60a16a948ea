"""How a recorder speaks to its parent: a record that can be read however it ended, and a heartbeat of its calls."""

import mmap
import os
import pickle
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from ...spaces.membership import short
from .env_record import EnvRecord
from .model import CallError

KNOWN_MODULES = (__name__.rpartition(".contract.")[0], "gymnasium", "numpy", "collections", "copyreg", "_codecs")
_LAYOUT = struct.Struct("=QQ16s48s400s")  # a Beat; longer texts are cut
HEARTBEAT_BYTES = _LAYOUT.size


def opaque(name: str, text: str) -> Any:
    """Returns what stands for an object of a class that only the recorder's process knows: its class's name, its text."""
    return type(name, (), {"__repr__": lambda self: text})()


class _Pickler(pickle.Pickler):
    """Pickles data, and writes the text of anything else: the judges' process must not import the user's modules."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        module = (obj if hasattr(obj, "__qualname__") else kind).__module__ or ""  # of functions and classes their own
        plain = module == "builtins" and (isinstance(obj, type) or obj is getattr or kind in (complex, range, slice))
        if plain or any(module == name or module.startswith(f"{name}.") for name in KNOWN_MODULES):
            return NotImplemented
        bases: tuple[Any, ...] = (int, float, str, bytes, dict, list, tuple, set, frozenset)
        for base in bases:
            if isinstance(obj, base):
                return base, (base(obj),)
        return opaque, (kind.__name__, short(obj))


class RecordWriter:
    """Appends to a record; a later section takes the place of an earlier one of its name."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, what: str, name: str, value: Any) -> None:
        """Writes a "section", an "item" of a section that is a list, or why a section is "missing"."""
        buffer = BytesIO()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump((what, name, value))
        except Exception as error:
            buffer = BytesIO(pickle.dumps(("missing", name, f"it cannot be written down: {error}")))
        self._file.write(buffer.getvalue())
        self._file.flush()


def read_record(path: Path) -> EnvRecord:
    """Returns what stands in the file; an entry that was cut off, and all after it, are left out."""
    record = EnvRecord()
    try:
        with path.open("rb") as file:
            while True:
                what, name, value = pickle.load(file)
                if what == "missing":
                    record.missing[name] = value
                elif what == "item":
                    vars(record).setdefault(name, []).append(value)
                else:
                    setattr(record, name, value)
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ValueError, IndexError, MemoryError):
        return record


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

    seconds: float = 0.0  # without what it waited for a processor: a busy machine makes no environment slow
    error: CallError | None = None


class Heartbeat:
    """Writes the shared file."""

    schedule = Path("/proc/thread-self/schedstat")  # of Linux: nanoseconds on a processor, and waiting for one

    def __init__(self, path: Path) -> None:
        self._schedule = os.open(self.schedule, os.O_RDONLY) if self.schedule.exists() else None
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), HEARTBEAT_BYTES)
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
        start = time.perf_counter() - self._waited()
        try:
            yield call
        except BaseException as error:
            call.error = CallError.of(name, error, step)
        call.seconds = time.perf_counter() - self._waited() - start

    def _waited(self) -> float:
        """Returns the seconds that this thread has waited for a processor."""
        return 0.0 if self._schedule is None else int(os.pread(self._schedule, 99, 0).split()[1]) / 1e9

    def context(self, text: str, probe: str | None = None) -> None:
        """Notes which episode is played from now on, and by which probe, if that is another."""
        self._context, self._probe = text.encode(), self._probe if probe is None else probe.encode()
        self.call("probe")


def read_heartbeat(path: Path) -> Beat:
    """Returns the last thing that the recorder noted."""
    number, step, *texts = _LAYOUT.unpack(path.read_bytes())
    call, probe, context = (text.rstrip(b"\0").decode(errors="replace") for text in texts)
    return Beat(number, step, call or "start", probe, context)
