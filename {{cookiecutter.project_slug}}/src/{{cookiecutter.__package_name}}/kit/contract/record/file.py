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


def opaque(name: str, text: str) -> Any:
    """Returns a stand-in whose class has the name of the object's own."""
    return type(name, (Opaque,), {})(text)


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
