"""The file that a recorder appends to: what stands in it can be read, however the recorder ended."""

import io
import pickle
import types
from pathlib import Path
from typing import Any

from ...spaces.membership import short
from .env_record import EnvRecord

OUR_MODULES = (__name__.rpartition(".contract.")[0], "gymnasium", "numpy", "collections", "copyreg", "_codecs")
OUR_BUILTINS = (complex, range, slice, bytearray)
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


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


def _is_ours(module: str | None) -> bool:
    return module is not None and any(module == name or module.startswith(f"{name}.") for name in OUR_MODULES)


class _Pickler(pickle.Pickler):
    """Pickles data, and writes the text of anything else: the judge's process must not import the user's modules."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FUNCTIONS):
            known = _is_ours(obj.__module__) or (obj.__module__ == "builtins" and obj is getattr)
            return NotImplemented if known else (opaque, ("function", short(obj)))
        if isinstance(obj, type):
            known = _is_ours(obj.__module__) or obj.__module__ == "builtins"
            return NotImplemented if known else (opaque, ("type", short(obj)))
        kind = type(obj)
        if _is_ours(kind.__module__) or kind in OUR_BUILTINS:
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
        buffer = io.BytesIO()
        try:
            _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(entry)
        except Exception as error:
            buffer = io.BytesIO()
            pickle.dump(("missing", entry[1], f"it cannot be written down: {error}"), buffer)
        self._file.write(buffer.getvalue())
        self._file.flush()


def read_record(path: Path) -> EnvRecord:
    """Returns what stands in the file; an entry that was cut off, and all after it, are left out."""
    record = EnvRecord()
    if not path.exists():
        return record
    with path.open("rb") as file:
        while True:
            try:
                what, name, value = pickle.load(file)
            except Exception:
                return record
            if what == "missing":
                record.missing[name] = value
            elif what == "item":
                vars(record).setdefault(name, []).append(value)
            else:
                setattr(record, name, value)
