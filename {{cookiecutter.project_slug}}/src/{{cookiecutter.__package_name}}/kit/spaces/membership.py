"""Whether a value belongs to a space, told fast; and if not, why: the reason that `space.contains` does not give."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .words import kind, short

FAR_RANGES = 10  # so many times its range beyond its bounds, a value has another unit than the space says
_ROUNDING = 1e-4  # of 1 + |bound|: so far a float may miss it
_LARGEST = float(np.finfo(np.float32).max)  # a network sees float32: larger numbers are infinite there


class SomeOf(spaces.Dict):
    """A Dict space of which an observation may lack keys: agents come and go."""


class Problem(NamedTuple):
    """Why a value is not in its space; `kind` is one of type, dtype, shape, finite, bounds, keys."""

    kind: str
    path: str
    message: str
    fix: str
    mild: bool = False  # a float a little outside its bounds: networks take it, but the declaration is wrong


def predicate(space: gym.Space[Any]) -> Callable[[Any], bool]:
    """Returns a function that tells whether a value is in a space, in a fraction of the time of `space.contains`.

    Floats may have another dtype, and miss a bound by rounding; infinity is in no space.
    """
    if isinstance(space, spaces.Box):
        return _box_predicate(space)
    if isinstance(space, spaces.Dict):
        parts = {key: predicate(part) for key, part in space.spaces.items()}
        return lambda value: (
            isinstance(value, dict) and value.keys() == parts.keys() and all(parts[key](value[key]) for key in parts)
        )
    if isinstance(space, spaces.Tuple):
        each = [predicate(part) for part in space.spaces]
        return lambda value: (
            isinstance(value, tuple | list)
            and len(value) == len(each)
            and all(is_inside(part) for is_inside, part in zip(each, value, strict=True))
        )
    return space.contains


def _box_predicate(space: spaces.Box) -> Callable[[Any], bool]:
    shape, dtype, size = space.shape, np.dtype(space.dtype), space.low.size
    low, high = _tolerant_bounds(space)
    if dtype.kind in "iu" and (low == np.iinfo(dtype).min).all() and (high == np.iinfo(dtype).max).all():
        return lambda value: type(value) is np.ndarray and value.dtype == dtype and value.shape == shape

    def is_inside(value: Any) -> bool:
        return (
            type(value) is np.ndarray
            and value.shape == shape
            and np.count_nonzero((low <= value) & (value <= high)) == size
        )

    return is_inside


def _tolerant_bounds(space: spaces.Box) -> tuple[Any, Any]:
    if space.dtype.kind != "f":
        return space.low, space.high
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    low, high = low - _ROUNDING * (1 + np.abs(low)), high + _ROUNDING * (1 + np.abs(high))
    bounds = np.maximum(low, -_LARGEST), np.minimum(high, _LARGEST)
    # float32 compares in half the time of float64; float16 could not hold the largest
    return tuple(bound.astype(np.float32) for bound in bounds) if space.dtype.itemsize <= 4 else bounds


def without_float_bounds(space: Any) -> Any:
    """Returns a space in which floats may be anything finite; all else is as it was."""
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        largest = min(_LARGEST, float(np.finfo(space.dtype).max))
        return spaces.Box(-largest, largest, space.shape, space.dtype.type)
    if isinstance(space, spaces.Dict):
        return spaces.Dict([(key, without_float_bounds(part)) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple | spaces.OneOf):
        return type(space)([without_float_bounds(part) for part in space.spaces])
    if isinstance(space, spaces.Sequence):
        return spaces.Sequence(without_float_bounds(space.feature_space), stack=space.stack)
    if isinstance(space, spaces.Graph):
        return spaces.Graph(without_float_bounds(space.node_space), without_float_bounds(space.edge_space))
    return space


def problems(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    """Returns why `value` is not in `space`, at most one reason for each leaf of a nested space."""
    for known, explain in _EXPLAIN.items():
        if isinstance(space, known):
            return explain(space, value, path)
    return _other(space, value, path)


def _dict(space: spaces.Dict, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        text = f"{path}: expected a dict, got {kind(value)}"
        yield Problem("type", path, text, "return a dict with the space's keys")
        return
    missing = [key for key in space.spaces if key not in value]
    extra = [key for key in value if key not in space.spaces]
    if missing and not isinstance(space, SomeOf):
        text = f"{path}: key {', '.join(map(repr, missing))} is missing"
        yield Problem("keys", path, text, "return every key of the space at every step")
    if extra:
        text = f"{path}: key {', '.join(map(repr, extra))} is not in the space (unexpected key)"
        yield Problem("keys", path, text, "declare the key in observation_space, or put it into info")
    for key, part in space.spaces.items():
        if key in value:
            yield from problems(part, value[key], f"{path}[{key!r}]")


def _tuple(space: spaces.Tuple, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, tuple | list):
        yield Problem("type", path, f"{path}: expected a tuple, got {kind(value)}", "return a tuple, one entry a part")
    elif len(value) != len(space.spaces):
        text = f"{path}: expected a tuple of length {len(space.spaces)}, got length {len(value)} (wrong shape)"
        yield Problem("shape", path, text, "return one entry for each part of the Tuple space")
    else:
        for index, part in enumerate(space.spaces):
            yield from problems(part, value[index], f"{path}[{index}]")


def _box(space: Any, value: Any, path: str) -> Iterator[Problem]:
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
        if value.dtype.kind not in "iufb":
            return
    yield from _box_values(space, np.asarray(value), path)


def _box_values(space: Any, value: Any, path: str) -> Iterator[Problem]:
    is_float = value.dtype.kind == "f"
    if is_float and not (finite := np.abs(value.astype(np.float64)) <= _LARGEST).all():
        index, where = _first(~finite, path)
        fix = "find the division by zero, the log or the overflow, and guard it"
        yield Problem("finite", path, f"{where} is {value[index]}: NaN or infinite in float32", fix)
        return
    low, high = _tolerant_bounds(space)
    if (outside := (value < low) | (value > high)).any():
        index, where = _first(outside, path)
        got, low, high = value[index], space.low[index], space.high[index]
        mild = is_float and max(low - got, got - high) <= FAR_RANGES * (float(high) - float(low))
        fix = "clip the value with np.clip, scale it, or declare the bounds that it really has"
        yield Problem("bounds", path, f"{where} is {got!s}, outside its bounds [{low!s}, {high!s}]", fix, mild)


def _first(wrong: Any, path: str) -> tuple[tuple[int, ...], str]:
    """Returns the index of the first wrong number, and its name."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return index, f"{path}{list(index)}" if index else path


def _discrete(space: Any, value: Any, path: str) -> Iterator[Problem]:
    first, last = int(space.start), int(space.start + space.n - 1)
    is_scalar = isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iu"
    if not isinstance(value, int | np.integer) and not is_scalar:
        text = f"{path}: expected an int for {space}, got {kind(value)} (wrong type)"
        yield Problem("type", path, text, f"return int(...), one of {first}..{last}")
    elif not first <= int(value) <= last:
        text = f"{path} is {int(value)}, outside the range {first}..{last} of {space} (off by one?)"
        fix = f"declare Discrete({int(value) + 1 - first}) or return {first}..{last} only"
        yield Problem("bounds", path, text, fix)


def _multi(space: Any, value: Any, path: str) -> Iterator[Problem]:
    array = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else None
    if array is None or array.dtype.kind not in "iufb":
        text = f"{path}: expected an array of shape {space.shape} and dtype {space.dtype}, got {kind(value)}"
        yield Problem("type", path, f"{text} (wrong type)", f"return np.array([...], dtype=np.{space.dtype})")
    elif array.shape != space.shape:
        text = f"{path}: expected shape {space.shape}, got shape {array.shape}"
        yield Problem("shape", path, text, f"return an array of shape {space.shape}")
    elif array.dtype.kind == "f":
        text = f"{path}: expected dtype {space.dtype} (int), got dtype {array.dtype} (float)"
        yield Problem("dtype", path, text, f"write .astype(np.{space.dtype})")
    elif not space.contains(array.astype(space.dtype)):
        text = f"{path} is {short(value)}, outside the range of {space}"
        yield Problem("bounds", path, text, "return values that the space allows, or declare a larger space")


def _other(space: Any, value: Any, path: str) -> Iterator[Problem]:
    try:
        inside = bool(space.contains(value))
    except Exception:
        inside = False
    if not inside:
        text = f"{path}: {kind(value)} is not in the space {short(space)} (wrong type or outside)"
        yield Problem("type", path, text, "return what observation_space.sample() would return")


_EXPLAIN: dict[type[Any], Callable[[Any, Any, str], Iterator[Problem]]] = {
    spaces.Dict: _dict,
    spaces.Tuple: _tuple,
    spaces.Box: _box,
    spaces.Discrete: _discrete,
    spaces.MultiDiscrete: _multi,
    spaces.MultiBinary: _multi,
}
