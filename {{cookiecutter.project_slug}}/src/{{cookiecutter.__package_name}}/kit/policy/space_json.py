"""Gymnasium's spaces as JSON values, so that a policy can be used where its environment isn't installed."""

import re
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class UnknownSpace(gym.Space[Any]):
    """Stands for a space of a kind that Gymnasium doesn't have, which no policy sees; anything belongs to it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def contains(self, x: Any) -> bool:
        """Returns True."""
        return True

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownSpace) and other.text == self.text


def to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Returns a space as JSON values: {its kind: what makes one}."""
    value: Any
    if isinstance(space, spaces.Dict):
        value = [[name, to_json(part)] for name, part in space.items()]  # in their order, which makes the vector
    elif isinstance(space, spaces.Tuple | spaces.OneOf):
        value = [to_json(part) for part in space.spaces]
    elif isinstance(space, spaces.Box):
        value = {"low": _bounds(space.low), "high": _bounds(space.high), "shape": space.shape, "dtype": space.dtype}
    elif isinstance(space, spaces.Discrete):
        value = {"n": space.n, "start": space.start, "dtype": space.dtype}
    elif isinstance(space, spaces.MultiDiscrete):
        value = {"nvec": space.nvec, "start": space.start, "dtype": space.dtype}
    elif isinstance(space, spaces.MultiBinary):
        value = {"n": space.n}
    elif isinstance(space, spaces.Text):
        characters = "".join(sorted(space.character_set))
        value = {"min_length": space.min_length, "max_length": space.max_length, "charset": characters}
    elif isinstance(space, spaces.Sequence):
        value = {"space": to_json(space.feature_space), "stack": space.stack}
    elif isinstance(space, spaces.Graph):
        edge = space.edge_space and to_json(space.edge_space)
        value = {"node_space": to_json(space.node_space), "edge_space": edge}
    else:
        return {UnknownSpace.__name__: re.sub(r" at 0x[0-9a-f]+", "", str(space))}
    kind = next(kind for kind in _KINDS if isinstance(space, kind))
    if isinstance(value, dict):
        value = {name: _plain(one) for name, one in value.items()}
    return {kind.__name__: value}


def from_json(content: dict[str, Any]) -> gym.Space[Any]:
    """Returns the space that `to_json` was given; raises all kinds of exceptions for other content."""
    ((name, value),) = content.items()
    if name == UnknownSpace.__name__:
        return UnknownSpace(value)
    kind: Any = {kind.__name__: kind for kind in _KINDS}[name]
    if kind is spaces.Dict:
        return kind([(key, from_json(part)) for key, part in value])
    if kind in (spaces.Tuple, spaces.OneOf):
        return kind([from_json(part) for part in value])
    if "dtype" in value:
        value = value | {"dtype": np.dtype(value["dtype"]).type}
    if kind is spaces.Box:
        shape, dtype = tuple(value["shape"]), value["dtype"]
        low, high = (
            np.broadcast_to(np.array(value[side], dtype).reshape(-1), np.prod(shape, dtype=int))
            for side in ("low", "high")
        )
        return kind(low.reshape(shape), high.reshape(shape), dtype=dtype)
    if kind is spaces.MultiDiscrete:
        value = value | {key: np.array(value[key], value["dtype"]) for key in ("nvec", "start")}
    return kind(**{key: from_json(part) if key.endswith("space") and part else part for key, part in value.items()})


_KINDS = (
    spaces.Dict, spaces.Tuple, spaces.OneOf, spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary,
    spaces.Text, spaces.Sequence, spaces.Graph,
)  # fmt: skip


def _bounds(values: np.ndarray) -> list[Any]:
    """Lists the bounds, or the one that all numbers share; infinity is text, which JSON has none for."""
    flat = values.reshape(-1)
    flat = flat[:1] if (flat == flat[:1]).all() else flat
    return [x if np.isfinite(x) else str(x) for x in flat.tolist()]


def _plain(value: Any) -> Any:
    """Returns NumPy's numbers, arrays and dtypes, and tuples, as JSON has them."""
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
