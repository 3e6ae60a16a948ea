"""The file that a recorder appends to: what stands in it can be read, however the recorder ended."""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

from ...spaces.membership import short
from .env_record import EnvRecord

KNOWN_MODULES = (__name__.rpartition(".contract.")[0], "gymnasium", "numpy", "collections", "copyreg", "_codecs")


class Opaque:
    """Stands for an object of a class that only the recorder's process knows: its type's name and its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def opaque(name: str, text: str) -> Opaque:
    """Returns a stand-in whose class has the name of the object's own."""
    stand_in: Opaque = type(name, (Opaque,), {})(text)
    return stand_in


class _Pickler(pickle.Pickler):
    """Pickles data, and writes the text of anything else: the judges' process must not import the user's modules."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        module = (obj if hasattr(obj, "__qualname__") else kind).__module__ or ""  # of functions and classes their own
        plain = module == "builtins" and (isinstance(obj, type) or obj is getattr or kind in (complex, range, slice))
        if plain or any(module == name or module.startswith(f"{name}.") for name in KNOWN_MODULES):
            return NotImplemented
        for base in (int, float, str, bytes, dict, list, tuple, set, frozenset):
            if isinstance(obj, base):
                return base, (base(obj),)
        return opaque, (kind.__name__, short(obj))


class RecordWriter:
    """Appends to a record, one whole section at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def section(self, name: str, value: Any) -> None:
        """Writes a section; a later one of the same name takes its place."""
        self._append("section", name, value)

    def item(self, name: str, value: Any) -> None:
        """Adds to a section that is a list."""
        self._append("item", name, value)

    def missing(self, name: str, reason: str) -> None:
        """Says why a section is not there."""
        self._append("missing", name, reason)

    def _append(self, *entry: Any) -> None:
        buffer = BytesIO()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(entry)
        except Exception as error:
            buffer = BytesIO(pickle.dumps(("missing", entry[1], f"it cannot be written down: {error}")))
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
