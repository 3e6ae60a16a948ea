"""Copies, comparisons and checksums of observations, actions and whatever else an environment returns."""

import copy
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

RELATIVE, ABSOLUTE = 1e-6, 1e-9  # smaller differences are rounding errors


def attribute(thing: Any, name: str) -> Any:
    """Returns an attribute, or None where there is none or reading it raises."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None


def copy_value(value: Any) -> Any:
    """Returns a deep copy; the value itself where it cannot be copied."""
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def same(left: Any, right: Any) -> bool:
    """Tells whether two values are equal, rounding errors aside (NaN equals NaN, the order of keys doesn't matter)."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return _same_array(np.asarray(left), np.asarray(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, int | float | np.number) and isinstance(right, int | float | np.number):
        return bool(left == right) or bool(np.isclose(left, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
    return repr(left) == repr(right)


def _same_array(left: np.ndarray, right: np.ndarray) -> bool:
    if left.shape != right.shape or np.array_equal(left, right):
        return left.shape == right.shape
    numeric = left.dtype.kind in "fc" and right.dtype.kind in "fciub"
    return numeric and bool(np.allclose(left, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every array or scalar inside nested dicts, tuples and lists, with the path to it."""
    if isinstance(value, dict | tuple | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, f"{path}[{key!r}]")
    else:
        yield path, value


def flat(value: Any) -> np.ndarray:
    """Returns all numbers in a value, in one vector."""
    numbers = [leaf for _, leaf in leaves(value) if isinstance(leaf, int | float | np.ndarray | np.number)]
    arrays = [np.asarray(leaf).reshape(-1) for leaf in numbers]
    return np.concatenate([array for array in arrays if array.dtype.kind in "biuf"] or [np.empty(0)]).astype(float)


def size_in_bytes(value: Any) -> int:
    """Returns roughly what a value weighs: arrays by their data, everything else by eight bytes."""
    return sum(leaf.nbytes if isinstance(leaf, np.ndarray) else 8 for _, leaf in leaves(value))


def digest(value: Any) -> int:
    """Returns a checksum that is the same in every process (unlike `hash`)."""
    parts = [(path, leaf.tobytes() if isinstance(leaf, np.ndarray) else _text(leaf)) for path, leaf in leaves(value)]
    return zlib.crc32(repr(sorted(parts, key=lambda part: part[0])).encode())


def _text(leaf: Any) -> str:
    text = repr(leaf)
    return re.sub(r" at 0x\w+", "", text) if " at 0x" in text else text  # an object's address


def truth(flag: Any) -> bool:
    """Returns an end flag as bool, also where the environment returns it as something else."""
    if isinstance(flag, bool):
        return flag
    return isinstance(flag, bool | int | float | np.generic | np.ndarray) and bool(np.any(flag))
