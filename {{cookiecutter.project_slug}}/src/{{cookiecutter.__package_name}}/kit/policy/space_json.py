"""The spaces that networks are built for, as JSON."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


def to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Returns an adapted space as JSON values: its kind, with what makes one."""
    value: Any
    if isinstance(space, spaces.Dict):
        value = {name: to_json(part) for name, part in space.items()}
    elif isinstance(space, spaces.Tuple):
        value = [to_json(part) for part in space]
    elif isinstance(space, spaces.Box):
        bounds = {"low": _bounds(space.low), "high": _bounds(space.high)}
        value = {**bounds, "shape": list(space.shape), "dtype": str(space.dtype)}
    else:
        assert isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
        value = np.asarray(space.n if hasattr(space, "n") else space.nvec).tolist()
    return {type(space).__name__: value}


def from_json(content: dict[str, Any]) -> gym.Space[Any]:
    """Returns the space that `to_json` was given; raises all kinds of exceptions for other content."""
    ((kind, value),) = content.items()
    if kind == "Dict":
        return spaces.Dict({name: from_json(part) for name, part in value.items()})
    if kind == "Tuple":
        return spaces.Tuple([from_json(part) for part in value])
    if kind == "Box":
        dtype = np.dtype(value["dtype"]).type
        low, high = (np.resize([float(x) for x in value[side]], value["shape"]) for side in ("low", "high"))
        return spaces.Box(low.astype(dtype), high.astype(dtype), dtype=dtype)
    return {kind.__name__: kind for kind in (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)}[kind](value)


def _bounds(values: np.ndarray) -> list[Any]:
    """Lists the bounds, or the one that all numbers share; infinity is text, which JSON has none for."""
    flat = values.reshape(-1).tolist()
    return [x if math.isfinite(x) else str(x) for x in (flat[:1] if len(set(flat)) == 1 else flat)]
