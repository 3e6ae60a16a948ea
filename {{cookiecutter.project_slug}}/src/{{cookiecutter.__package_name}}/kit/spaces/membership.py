"""Why a value is not in a space: the reason that `space.contains` does not give."""

from collections.abc import Iterator
from contextlib import suppress
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from .predicate import LARGEST, contains, tolerant_bounds

FAR_RANGES = 10  # so many times its range beyond its bounds, a value has another unit than the space says


class Problem(NamedTuple):
    """Why a value is not in its space; `kind` is one of type, dtype, shape, finite, bounds, keys."""

    kind: str
    path: str
    message: str
    fix: str
    mild: bool = False  # a list for a tuple, a float a little outside its bounds: networks take it


@singledispatch
def problems(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    """Yields why `value` is not in `space`, at most one reason for each leaf of a nested space."""
    if isinstance(space, spaces.Space) and not contains(space)(value):
        text = f"{path}: {kind(value)} is not in the space {short(space)} (wrong type or outside)"
        yield Problem("type", path, text, "return what observation_space.sample() would return")


@problems.register(spaces.Dict)
def _dict(space: spaces.Dict, value: Any, path: str = "observation") -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem("type", path, f"{path}: expected a dict, got {kind(value)}", "return a dict of the space's keys")
        return
    missing = [key for key in space.spaces if key not in value]
    extra = [key for key in value if key not in space.spaces]
    if missing:
        text = f"{path}: key {', '.join(map(repr, missing))} is missing"
        yield Problem("keys", path, text, "return every key of the space at every step")
    if extra:
        text = f"{path}: key {', '.join(map(repr, extra))} is not in the space (unexpected key)"
        yield Problem("keys", path, text, "declare the key in observation_space, or put it into info")
    for key, part in space.spaces.items():
        if key in value:
            yield from problems(part, value[key], f"{path}[{key!r}]")


@problems.register(spaces.Tuple)
def _tuple(space: spaces.Tuple, value: Any, path: str = "observation") -> Iterator[Problem]:
    if not isinstance(value, tuple | list):
        yield Problem("type", path, f"{path}: expected a tuple, got {kind(value)}", "return a tuple, one entry a part")
    elif len(value) != len(space.spaces):
        text = f"{path}: expected a tuple of length {len(space.spaces)}, got length {len(value)} (wrong shape)"
        yield Problem("shape", path, text, "return one entry for each part of the Tuple space")
    else:
        if isinstance(value, list):
            text = f"{path}: expected a tuple, got a list of length {len(value)} (wrong type)"
            yield Problem("type", path, text, "return tuple(...)", mild=True)
        for index, part in enumerate(space.spaces):
            yield from problems(part, value[index], f"{path}[{index}]")


@problems.register(spaces.Box)
def _box(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    recipe = f"return np.array([...], dtype=np.{space.dtype}) of shape {space.shape}"
    if not isinstance(value, np.ndarray) and not (isinstance(value, np.generic) and space.shape == ()):
        text = f"{path}: expected an array of shape {space.shape} and dtype {space.dtype}, got {kind(value)}"
        yield Problem("type", path, f"{text} (wrong type, no numpy array)", recipe)
        return
    if value.shape != space.shape:
        text = f"{path}: expected shape {space.shape}, got shape {value.shape}"
        yield Problem("shape", path, text, f"{recipe}, in reset() and in every step()")
        return
    if value.dtype != space.dtype and not np.can_cast(value.dtype, space.dtype):
        text = f"{path}: expected dtype {space.dtype}, got dtype {value.dtype} (not in the observation space)"
        yield Problem("dtype", path, text, f"write .astype(np.{space.dtype}), or declare dtype=np.{value.dtype}")
    if value.dtype.kind in "iufb":
        yield from _box_values(space, np.asarray(value), path)


def _box_values(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    if not (finite := np.abs(value.astype(np.float64)) <= LARGEST).all():
        index, where = _first(~finite, path)
        text = f"{where} is {value[index]}: NaN or infinite in float32"
        yield Problem("finite", path, text, "find the division by zero, the log or the overflow, and guard it")
        return
    low, high = tolerant_bounds(space)
    if (outside := (value < low) | (value > high)).any():
        index, where = _first(outside, path)
        got, low, high = value[index], space.low[index], space.high[index]
        mild = value.dtype.kind == "f" and max(low - got, got - high) <= FAR_RANGES * (float(high) - float(low))
        fix = "clip the value with np.clip, scale it, or declare the bounds that it really has"
        yield Problem("bounds", path, f"{where} is {got!s}, outside its bounds [{low!s}, {high!s}]", fix, mild)


def _first(wrong: Any, path: str) -> tuple[tuple[int, ...], str]:
    """Returns the index of the first wrong number, and its name."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return index, f"{path}{list(index)}" if index else path


@problems.register(spaces.Discrete)
def _discrete(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    first, last = int(space.start), int(space.start + space.n - 1)
    is_scalar = isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iu"
    if not isinstance(value, int | np.integer) and not is_scalar:
        text = f"{path}: expected an int for {space}, got {kind(value)} (wrong type)"
        yield Problem("type", path, text, f"return int(...), one of {first}..{last}")
    elif not first <= int(value) <= last:
        text = f"{path} is {int(value)}, outside the range {first}..{last} of {space} (off by one?)"
        yield Problem("bounds", path, text, f"declare Discrete({int(value) + 1 - first}) or return {first}..{last}")


@problems.register(spaces.MultiDiscrete)
@problems.register(spaces.MultiBinary)
def _multi(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    array = np.zeros(0, object)
    with suppress(ValueError):  # a ragged list
        array = np.asarray(value if isinstance(value, np.ndarray | list | tuple) else None)
    if array.dtype.kind not in "iufb":
        text = f"{path}: expected an array of shape {space.shape} and dtype {space.dtype}, got {kind(value)}"
        yield Problem("type", path, f"{text} (wrong type)", f"return np.array([...], dtype=np.{space.dtype})")
    elif array.shape != space.shape:
        text = f"{path}: expected shape {space.shape}, got shape {array.shape}"
        yield Problem("shape", path, text, f"return an array of shape {space.shape}")
    elif array.dtype.kind == "f" and (array == np.rint(array)).all() and space.contains(array.astype(space.dtype)):
        text = f"{path}: expected dtype {space.dtype}, got dtype {array.dtype}"
        yield Problem("dtype", path, text, f"write .astype(np.{space.dtype})")
    elif array.dtype.kind == "f" or not space.contains(array.astype(space.dtype)):
        text = f"{path} is {short(value)}, outside the range of {space}"
        yield Problem("bounds", path, text, "return values that the space allows, or declare a larger space")


@problems.register(spaces.Text)
def _text(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("type", path, f"{path}: expected a str, got {kind(value)} (wrong type)", "return a str")
    elif not space.min_length <= len(value) <= space.max_length:
        limits = f"{space.min_length} to {space.max_length}"
        text = f"{path} is a text of {len(value)} characters, outside its space's {limits}"
        yield Problem("bounds", path, text, "declare a larger max_length, or cut the text")
    elif odd := sorted(set(value) - space.character_set):
        text = f"{path} holds {odd[0]!r}, which is not among its space's characters: {short(value)}"
        yield Problem("bounds", path, text, "declare it: Text(..., charset=string.printable)")


def short(value: Any, limit: int = 70) -> str:
    """Returns a one-line text of a value."""
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=6, edgeitems=2, precision=4, separator=", ")
    else:
        try:
            text = repr(value)
        except Exception as problem:
            text = f"a {type(value).__name__} whose repr raises {type(problem).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind(value: Any) -> str:
    """Returns what a value is, in words: "array of shape (2,) and dtype float64", "list of length 2", "int 3"."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} and dtype {value.dtype}"
    if value is None:
        return "None"
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of length {len(value)}"
    return f"{type(value).__name__} {short(value, 40)}"
