"""Whether a value belongs to a space and, if not, why: the reason that `space.contains` does not give."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces


class SomeOf(spaces.Dict):
    """A Dict space of which an observation may lack keys: agents come and go."""


FAR_RANGES = 10  # So many times its range beyond its bounds, a value has another unit than the space says.


class Problem(NamedTuple):
    """Why a value is not in its space; `kind` is one of type, dtype, shape, finite, bounds, keys."""

    kind: str
    path: str
    message: str
    fix: str
    mild: bool = False  # A float a little outside its bounds: networks take it, but the declaration is wrong.


def problems(space: Any, value: Any, path: str = "observation") -> Iterator[Problem]:
    """All reasons why `value` is not in `space`, at most one for each leaf of a nested space."""
    if isinstance(space, spaces.Dict):
        yield from _dict(space, value, path)
    elif isinstance(space, spaces.Tuple):
        yield from _tuple(space, value, path)
    elif isinstance(space, spaces.Box):
        yield from _box(space, value, path)
    elif isinstance(space, spaces.Discrete):
        yield from _discrete(space, value, path)
    elif isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        yield from _multi(space, value, path)
    elif isinstance(space, spaces.Space):
        yield from _other(space, value, path)


def _dict(space: spaces.Dict, value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(
            "type", path, f"{path}: expected a dict, got {kind(value)}", "return a dict with the space's keys"
        )
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
    wanted = f"expected an array of shape {space.shape} and dtype {space.dtype}"
    recipe = f"return np.array([...], dtype=np.{space.dtype}) of shape {space.shape}"
    if not isinstance(value, np.ndarray) and not (isinstance(value, np.generic) and space.shape == ()):
        text = f"{path}: {wanted}, got {kind(value)} (wrong type, no numpy array)"
        yield Problem("type", path, text, recipe)
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
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0]) if value.shape else ()
        text = f"{path}{list(index)} is {value[index]}: NaN or infinite, not finite"
        yield Problem("finite", path, text, "find the division by zero, the log or the overflow, and guard it")
        return
    if value.dtype == space.dtype and value.dtype == np.uint8 and space.low.min() == 0 and space.high.min() == 255:
        return
    outside = (value < space.low) | (value > space.high)
    if not outside.any():
        return
    index = tuple(int(i) for i in np.argwhere(outside)[0]) if value.shape else ()
    got, low, high = value[index], space.low[index], space.high[index]
    excess = float(max(float(low) - float(got), float(got) - float(high)))
    if excess <= 1e-4 * (1.0 + abs(float(got))) and value.dtype.kind == "f":
        return  # A rounding error: harmless in training.
    text = f"{path}{list(index)} is {got!s}, outside its bounds [{low!s}, {high!s}]: not in the space"
    mild = value.dtype.kind == "f" and excess <= FAR_RANGES * (float(high) - float(low))
    fix = "clip the value with np.clip, scale it, or declare the bounds that it really has"
    yield Problem("bounds", path, text, fix, mild)


def _discrete(space: Any, value: Any, path: str) -> Iterator[Problem]:
    is_int = isinstance(value, int | np.integer) or (
        isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iu"
    )
    first, last = int(space.start), int(space.start + space.n - 1)
    if not is_int:
        text = f"{path}: expected an int for {space}, got {kind(value)} (wrong type)"
        yield Problem("type", path, text, f"return int(...), one of {first}..{last}")
    elif not first <= int(value) <= last:
        text = f"{path} is {int(value)}, outside the range {first}..{last} of {space}: not in the space (off by one?)"
        yield Problem(
            "bounds", path, text, f"declare Discrete({int(value) + 1 - first}) or return {first}..{last} only"
        )


def _multi(space: Any, value: Any, path: str) -> Iterator[Problem]:
    array = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else None
    if array is None or array.dtype.kind not in "iufb":
        text = (
            f"{path}: expected an array of shape {space.shape} and dtype {space.dtype}, got {kind(value)} (wrong type)"
        )
        yield Problem("type", path, text, f"return np.array([...], dtype=np.{space.dtype})")
    elif array.shape != space.shape:
        text = f"{path}: expected shape {space.shape}, got shape {array.shape}"
        yield Problem("shape", path, text, f"return an array of shape {space.shape}")
    elif array.dtype.kind == "f":
        text = f"{path}: expected dtype {space.dtype} (int), got dtype {array.dtype} (float)"
        yield Problem("dtype", path, text, f"write .astype(np.{space.dtype})")
    elif not space.contains(array.astype(space.dtype)):
        text = f"{path} is {short(value)}, outside the range of {space}: not in the space"
        yield Problem("bounds", path, text, "return values that the space allows, or declare a larger space")


def _other(space: Any, value: Any, path: str) -> Iterator[Problem]:
    try:
        inside = bool(space.contains(value))
    except Exception:
        inside = False
    if not inside:
        text = f"{path}: {kind(value)} is not in the space {short(space)} (wrong type or outside)"
        yield Problem("type", path, text, "return what observation_space.sample() would return")


def short(value: Any, limit: int = 70) -> str:
    """A one-line text of a value."""
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
    """What a value is, in words: "array of shape (2,) and dtype float64", "list of length 2", "int 3"."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} and dtype {value.dtype}"
    if value is None:
        return "None"
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of length {len(value)}"
    return f"{type(value).__name__} {short(value, 40)}"
