"""Observations and actions as JSON values: read, written, and described as JSON schema.

A Box is nested lists of numbers, and so are MultiDiscrete and MultiBinary; a Discrete is an integer, a Text a string, a
Dict an object, a Tuple or Sequence a list, a OneOf [which it is, its value], a Graph an object of lists.
"""

import re
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array

from ..spaces.membership import problems, short

_NUMBERS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_LINK = spaces.Box(0, 2**31 - 1, (2,), np.int32)  # the two nodes of an edge


def read_value(space: gym.Space[Any], value: Any, path: str = "observation") -> Any:
    """Returns the observation of a space that a JSON value stands for; `path` names it in messages.

    Raises:
        ValueError: it is not in the space; the message says where, what was expected, and what came.
    """
    read = _read(space, value, path)
    found = list(problems(space, read, path))
    for problem in [one for one in found if one.kind != "dtype"] or found:  # JSON has no dtypes: the value says more
        raise ValueError(problem.message)
    return read


def write_value(value: Any) -> Any:
    """Returns an observation or action as JSON has it."""
    if isinstance(value, spaces.GraphInstance):
        value = {name: part for name, part in value._asdict().items() if part is not None}
    if isinstance(value, dict):
        return {str(key): write_value(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [write_value(part) for part in value]
    return np.add(value, 0).tolist() if isinstance(value, np.ndarray | np.generic) else value  # + 0: False is 0


def schema_of(space: gym.Space[Any]) -> dict[str, Any]:
    """Returns the JSON schema (2020-12) of a space's values."""
    if isinstance(space, _NUMBERS):
        return _schema_of_numbers(*_bounds(space), "number" if np.dtype(space.dtype).kind == "f" else "integer")
    if isinstance(space, spaces.Dict):
        parts = {str(key): schema_of(part) for key, part in space.items()}
        return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
    if isinstance(space, spaces.Tuple):
        return _schema_of_list([schema_of(part) for part in space.spaces])
    if isinstance(space, spaces.OneOf):
        return {"anyOf": [_schema_of_list([{"const": i}, schema_of(part)]) for i, part in enumerate(space.spaces)]}
    if isinstance(space, spaces.Sequence):
        return {"type": "array", "items": schema_of(space.feature_space)}
    if isinstance(space, spaces.Graph):
        together = {"edges": ["edge_links"], "edge_links": ["edges"]}
        return schema_of(_parts(space)) | {"required": ["nodes"], "dependentRequired": together}
    if isinstance(space, spaces.Text):
        allowed = re.sub(r"([\\\[\]^-])", r"\\\1", "".join(sorted(space.character_set)))
        lengths = {"minLength": space.min_length, "maxLength": space.max_length}
        return {"type": "string", **lengths, "not": {"pattern": f"[^{allowed}]"}}
    return {}  # of another kind, which no policy sees


def _schema_of_numbers(low: np.ndarray, high: np.ndarray, kind: str) -> dict[str, Any]:
    if low.ndim == 0:
        bounds = {"minimum": low.item(), "maximum": high.item()}
        return {"type": kind} | {name: bound for name, bound in bounds.items() if np.isfinite(bound)}
    if (low == low[:1]).all() and (high == high[:1]).all():
        items = _schema_of_numbers(low[0], high[0], kind)
        return {"type": "array", "items": items, "minItems": len(low), "maxItems": len(low)}
    return _schema_of_list([_schema_of_numbers(*row, kind) for row in zip(low, high, strict=True)])


def _schema_of_list(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def _bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and the highest numbers of a space, both included."""
    if isinstance(space, spaces.Box):
        return space.low + 0, space.high + 0  # + 0: False is 0
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, int), np.ones(space.shape, int)
    count = space.n if isinstance(space, spaces.Discrete) else space.nvec
    return np.asarray(space.start), np.asarray(space.start + count - 1)


def _parts(space: spaces.Graph) -> spaces.Dict:
    """Returns what a Graph is made of."""
    kinds = {"nodes": space.node_space, "edges": space.edge_space, "edge_links": space.edge_space and _LINK}
    return spaces.Dict([(name, spaces.Sequence(one, stack=True)) for name, one in kinds.items() if one])


def _read(space: Any, value: Any, path: str) -> Any:
    """Returns a value as the space has it, as far as that goes: `problems` says what is wrong with the rest."""
    if isinstance(space, _NUMBERS):
        return _read_numbers(space, value, path)
    if isinstance(space, spaces.Graph):
        read, fields = _read(_parts(space), value, path), spaces.GraphInstance._fields
        is_graph = isinstance(read, dict) and read.keys() <= set(fields)
        return spaces.GraphInstance(*map(read.get, fields)) if is_graph else value
    if isinstance(space, spaces.Dict) and isinstance(value, dict):
        parts = {str(key): (key, part) for key, part in space.items()}  # JSON's keys are text
        known = [(*parts[name], one) for name, one in value.items() if name in parts]
        read = {key: _read(part, one, f"{path}[{key!r}]") for key, part, one in known}
        return read | {name: one for name, one in value.items() if name not in parts}
    if isinstance(space, spaces.Sequence):
        if not isinstance(value, list):
            raise ValueError(f"{path}: expected a list, got {short(value)}")
        items = tuple(read_value(space.feature_space, item, f"{path}[{i}]") for i, item in enumerate(value))
        empty = create_empty_array(space.feature_space, len(items))
        return (concatenate(space.feature_space, items, empty) if items else empty) if space.stack else items
    if not isinstance(value, list):
        return value
    if isinstance(space, spaces.OneOf) and len(value) == 2 and value[0] in range(len(space.spaces)):
        return np.int64(value[0]), _read(space.spaces[int(value[0])], value[1], f"{path}[1]")
    if isinstance(space, spaces.Tuple) and len(value) == len(space.spaces):
        return tuple(_read(space[i], part, f"{path}[{i}]") for i, part in enumerate(value))
    return value


def _read_numbers(space: Any, value: Any, path: str) -> Any:
    """Returns an array of the space's dtype; of another where that would change a number, or what is one already."""
    if isinstance(value, np.ndarray):
        return value
    array = np.array(value, dtype=object)  # as they came: neither text nor true becomes a number
    kinds = set(map(type, array.flat))
    if not kinds <= {int, float}:
        expected = f"numbers in lists of shape {space.shape}" if space.shape else "a number"
        raise ValueError(f"{path}: expected {expected}, got {short(value)}")
    try:
        wide = array.astype(np.float64 if float in kinds else np.promote_types(space.dtype, np.int64))
    except OverflowError:
        raise ValueError(f"{path}: a number is too large, got {short(value)}") from None
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is told afterwards
        cast = wide.astype(space.dtype)
    read = cast if cast.dtype.kind == "f" or (cast == wide).all() else wide
    return read[()] if isinstance(space, spaces.Discrete) else read
