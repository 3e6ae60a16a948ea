"""Encodes one observation of a space with a fixed size as an array; `observations.py` puts them together.

Gymnasium's own `flatten` orders the characters of a Text by the hash seed of the process, and leaves bytes unscaled.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..errors import RunError
from .membership import short

_MAX_FEATURES = 100_000  # a first layer of 64 units holds 6.4 million weights then; more doesn't train on one machine
WIDEST_LINEAR_RANGE = 65_535  # integers of up to 16 bits are divided by their range, wider ones get a logarithm


class UnsupportedSpace(RunError):
    """A space that PPO can't learn with; the message is one line and says what to use instead."""


Encode = Callable[[Any], np.ndarray]


class Encoder(NamedTuple):
    """One observation in, one array out, float32 or the bytes of an image, from `low` to `high`, which have its shape."""

    encode: Encode
    low: np.ndarray
    high: np.ndarray


def vector_encoder(space: gym.Space[Any], name: str) -> Encoder:
    """Encodes Box, Discrete, MultiDiscrete, MultiBinary and Text as an array of shape (n,).

    Floats stay as they are. Integers are scaled to [0, 1] by their range, or to sign(x) log(1 + |x|) if it is wide.
    What is chosen from a set is one-hot: an index, each index, each character (zeros after a Text's end). The `name`
    says where in the observation the space stands.

    Raises:
        UnsupportedSpace: another kind of space, or too large for a network.
    """
    if isinstance(space, spaces.Box):
        return _box_encoder(space, name)
    if isinstance(space, spaces.Discrete):
        return _from_0_to_1(_one_hot(int(space.n), int(space.start)), int(space.n), name)
    if isinstance(space, spaces.MultiDiscrete):
        return _from_0_to_1(_one_hots(space), int(space.nvec.sum()), name)
    if isinstance(space, spaces.MultiBinary):
        return _from_0_to_1(_floats, int(np.prod(space.shape)), name)
    if isinstance(space, spaces.Text):
        return _from_0_to_1(_characters(space), space.max_length * len(space.character_set), name)
    raise UnsupportedSpace(f"{name}: {short(space)} is unknown here. Use Gymnasium's own spaces, such as Box or Dict.")


def integer_scale(space: spaces.Box) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the lowest value and the range of each integer, float64 of shape (n,); None where logarithms are taken."""
    low, high = (bound.reshape(-1).astype(np.float64) for bound in (space.low, space.high))
    return None if np.any(high - low > WIDEST_LINEAR_RANGE) else (low, np.maximum(high - low, 1.0))


def require_size(size: int, name: str) -> None:
    """Raises UnsupportedSpace unless a network can take, or give, `size` numbers."""
    if size == 0:
        raise UnsupportedSpace(f"{name} is empty. Use a space with at least one number, such as Box(-1, 1, (1,)).")
    if size > _MAX_FEATURES:
        raise UnsupportedSpace(
            f"{name} takes {size:,} numbers in the network, at most {_MAX_FEATURES:,} can be learnt here. "
            "Use a Box of a few features, or (to observe) an image of shape (height, width, channels)."
        )


def _from_0_to_1(encode: Encode, size: int, name: str) -> Encoder:
    require_size(size, name)
    return Encoder(encode, np.zeros(size, np.float32), np.ones(size, np.float32))


def _box_encoder(space: spaces.Box, name: str) -> Encoder:
    require_size(int(np.prod(space.shape)), name)
    encode = _floats
    if not np.issubdtype(space.dtype, np.floating):
        scale = integer_scale(space)
        encode = _logarithms if scale is None else partial(_scaled, *scale)
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, which bounds may be
        return Encoder(encode, encode(space.low), encode(space.high))


def _scaled(low: np.ndarray, span: np.ndarray, x: Any) -> np.ndarray:
    return ((np.asarray(x).reshape(-1) - low) / span).astype(np.float32)


def _floats(x: Any) -> np.ndarray:
    return np.array(x, np.float32).reshape(-1)  # a copy: the environment may fill the same array again


def _logarithms(x: Any) -> np.ndarray:
    values = np.asarray(x).reshape(-1).astype(np.float64)
    return (np.sign(values) * np.log1p(np.abs(values))).astype(np.float32)


def _one_hot(n: int, start: int) -> Encode:
    def encode(x: Any) -> np.ndarray:
        index = int(x) - start
        if not 0 <= index < n:
            raise ValueError(f"observation {x} is outside Discrete({n}, start={start})")
        vector = np.zeros(n, np.float32)
        vector[index] = 1
        return vector

    return encode


def _one_hots(space: spaces.MultiDiscrete) -> Encode:
    nvec, start = space.nvec.reshape(-1).astype(np.int64), space.start.reshape(-1).astype(np.int64)
    size, offsets = int(nvec.sum()), np.cumsum(nvec) - nvec

    def encode(x: Any) -> np.ndarray:
        indices = np.asarray(x).reshape(-1) - start
        if indices.min() < 0 or (indices >= nvec).any():
            raise ValueError(f"observation {x} is outside {short(space)}")
        vector = np.zeros(size, np.float32)
        vector[offsets + indices] = 1
        return vector

    return encode


def _characters(space: spaces.Text) -> Encode:
    # Sorted: the order of a set of characters differs from process to process.
    columns = {character: index for index, character in enumerate(sorted(space.character_set))}

    def encode(x: str) -> np.ndarray:
        if len(x) > space.max_length or not columns.keys() >= set(x):
            raise ValueError(f"observation {x!r} is outside Text(max_length={space.max_length}) or its character set")
        table = np.zeros((space.max_length, len(columns)), np.float32)
        table[np.arange(len(x)), [columns[character] for character in x]] = 1
        return table.reshape(-1)

    return encode
