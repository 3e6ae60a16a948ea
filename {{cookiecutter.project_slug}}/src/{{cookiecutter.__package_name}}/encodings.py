"""Encodes one observation of a space with a fixed size as a flat float32 array; `observations.py` puts them together.

Gymnasium's own `flatten` takes an index below the range for one counted from the end, orders the characters of a Text
by the hash seed of the process, and leaves bytes unscaled; so the encoding is spelled out here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MAX_FEATURES = 100_000  # a first layer of 64 units holds 6.4 million weights then; more doesn't train on one machine
_WIDEST_LINEAR_RANGE = 65_535  # integers of up to 16 bits are divided by their range, wider ones get a logarithm


class UnsupportedSpace(ValueError):
    """A space that PPO can't learn with; the message is one line and says what to use instead."""


class Encoder(NamedTuple):
    """One observation in, one float32 array of shape (n,) out, from `low` to `high`, which have the same shape."""

    encode: Callable[[Any], np.ndarray]
    low: np.ndarray
    high: np.ndarray


def one_line(space: gym.Space[Any]) -> str:
    """Prints a space for an error message: on one line, shortened."""
    text = " ".join(repr(space).split())
    return text if len(text) <= 80 else text[:77] + "..."


def fixed_size_encoder(space: gym.Space[Any], name: str) -> Encoder:
    """Encodes Box, Discrete, MultiDiscrete, MultiBinary and Text.

    Args:
        space: what the environment declares.
        name: where in the observation the space stands, for the error message.

    Raises:
        UnsupportedSpace: another kind of space, or too large for a network.
    """
    if isinstance(space, spaces.Box):
        _require_size(int(np.prod(space.shape)), name)
        return _box(space)
    if isinstance(space, spaces.Discrete):
        return _unit(partial(_one_hot, int(space.n), int(space.start)), int(space.n), name)
    if isinstance(space, spaces.MultiDiscrete):
        nvec = space.nvec.reshape(-1).astype(np.int64)
        offsets = np.cumsum(nvec) - nvec
        encode = partial(_one_hots, nvec, space.start.reshape(-1).astype(np.int64), offsets)
        return _unit(encode, int(nvec.sum()), name)
    if isinstance(space, spaces.MultiBinary):
        return _unit(_as_floats, int(np.prod(space.shape)), name)
    if isinstance(space, spaces.Text):
        # Sorted: the order of a set of characters differs from process to process.
        columns = {character: index for index, character in enumerate(sorted(space.character_set))}
        return _unit(partial(_characters, columns, space.max_length), space.max_length * len(columns), name)
    raise UnsupportedSpace(f"{name}: {one_line(space)} is unknown here. Use Gymnasium's own spaces, such as Box or Dict.")


def as_float32(values: Any) -> np.ndarray:
    """Converts to float32; what float32 can't hold becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64).astype(np.float32)


def _box(space: spaces.Box) -> Encoder:
    """Floats as they are; integers by their range into [0, 1], or by sign(x) log(1 + |x|) where the range is wide."""
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    if np.issubdtype(space.dtype, np.floating):
        return Encoder(_as_floats, as_float32(low), as_float32(high))
    if np.all(space.bounded_below & space.bounded_above) and np.all(high - low <= _WIDEST_LINEAR_RANGE):
        span = np.maximum(high - low, 1.0)
        return Encoder(partial(_scaled, low, span), np.zeros(low.size, np.float32), as_float32((high - low) / span))
    return Encoder(_symmetric_log, _symmetric_log(low), _symmetric_log(high))


def _unit(encode: Callable[[Any], np.ndarray], size: int, name: str) -> Encoder:
    _require_size(size, name)
    return Encoder(encode, np.zeros(size, np.float32), np.ones(size, np.float32))


def _require_size(size: int, name: str) -> None:
    if not 0 < size <= MAX_FEATURES:
        raise UnsupportedSpace(
            f"{name}: it makes {size:,} numbers, PPO needs 1 to {MAX_FEATURES:,}. "
            "Leave out what the agent can do without, or send an image of shape (height, width, channels)."
        )


def _as_floats(x: Any) -> np.ndarray:
    return np.array(x, np.float32).reshape(-1)  # a copy: the environment may fill the same array again


def _scaled(low: np.ndarray, span: np.ndarray, x: Any) -> np.ndarray:
    return ((np.asarray(x).reshape(-1) - low) / span).astype(np.float32)


def _symmetric_log(x: Any) -> np.ndarray:
    values = np.asarray(x).reshape(-1).astype(np.float64)
    return (np.sign(values) * np.log1p(np.abs(values))).astype(np.float32)


def _one_hot(n: int, start: int, x: Any) -> np.ndarray:
    index = int(x) - start
    if not 0 <= index < n:
        raise ValueError(f"observation {x} is outside Discrete({n}, start={start})")
    vector = np.zeros(n, np.float32)
    vector[index] = 1
    return vector


def _one_hots(nvec: np.ndarray, start: np.ndarray, offsets: np.ndarray, x: Any) -> np.ndarray:
    indices = np.asarray(x).reshape(-1) - start
    if np.any(indices < 0) or np.any(indices >= nvec):
        raise ValueError(f"observation {x} is outside MultiDiscrete({nvec.tolist()}, start={start.tolist()})")
    vector = np.zeros(offsets[-1] + nvec[-1], np.float32)
    vector[offsets + indices] = 1
    return vector


def _characters(columns: dict[str, int], max_length: int, x: str) -> np.ndarray:
    """One row a character, one-hot; the rows after the end are zero."""
    if len(x) > max_length or not columns.keys() >= set(x):
        raise ValueError(f"observation {x!r} is outside Text(max_length={max_length}) or its character set")
    table = np.zeros((max_length, len(columns)), np.float32)
    table[np.arange(len(x)), [columns[character] for character in x]] = 1
    return table.reshape(-1)
