"""Encodes one observation of a space with a fixed size as an array; `observations.py` puts them together.

Gymnasium's own `flatten` orders the characters of a Text by the hash seed of the process, and leaves bytes unscaled.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..errors import RunError
from .membership import short

_MAX_FEATURES = 100_000  # a first layer of 64 units holds 6.4 million weights then; more doesn't train on one machine
_MAX_IMAGE_NUMBERS = 1_000_000  # a batch of 2,048 such images fills 2 GB as bytes, 8 GB as floats
_WIDEST_LINEAR_RANGE = 65_535  # integers of up to 16 bits are divided by their range, wider ones get a logarithm
_SMALLEST_SIDE = 5  # pixels: below, one 3x3 filter sees nearly all of an image at once
_MOST_CHANNELS = 16  # four stacked colour images have 12


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


def is_image(space: gym.Space[Any]) -> bool:
    """Returns whether a space is taken for an image, which a convolutional network looks at.

    A Box of rank 3 is one if its first or its last side counts channels: at most 16, and fewer than the other two have
    pixels, at least 5. So is a Box of rank 4 that stacks them, and a uint8 Box of rank 2. Integers span at most 65,535.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3, 4):
        return False
    if len(space.shape) == 2:
        return space.dtype == np.uint8 and min(space.shape) >= _SMALLEST_SIDE
    height, width, *_, channels = (space.shape[axis] for axis in _image_axes(space.shape))
    is_narrow = float(space.high.max()) - float(space.low.min()) <= _WIDEST_LINEAR_RANGE
    return (
        min(height, width) >= _SMALLEST_SIDE
        and channels <= _MOST_CHANNELS
        and channels < min(height, width)
        and (is_narrow or bool(np.issubdtype(space.dtype, np.floating)))
    )


def image_encoder(space: spaces.Box, name: str) -> Encoder:
    """Encodes a space for which `is_image` holds as an array of shape (height, width, channels).

    Bytes stay bytes, a quarter of the memory; the network scales them. Other bounds become 0 and 1, but for floats that
    lie within [-1, 1] already or have none. Stacked images become channels.

    Raises:
        UnsupportedSpace: the image is too large to keep thousands of them.
    """
    axes = _image_axes(space.shape)
    height, width, *channels = (space.shape[axis] for axis in axes)
    shape = (height, width, int(np.prod(channels)))
    if np.prod(shape) > _MAX_IMAGE_NUMBERS:
        raise UnsupportedSpace(
            f"{name}: {short(space)} is too large an image. Make it smaller, about 84 x 84 pixels, "
            "for example by gymnasium.wrappers.ResizeObservation."
        )

    def pixels(x: Any) -> np.ndarray:
        return np.array(np.asarray(x).transpose(axes).reshape(shape), order="C")  # a copy, in the order of the axes

    low, high = float(space.low.min()), float(space.high.max())
    if space.dtype == np.uint8 and high - low == 255:
        return Encoder(pixels, pixels(space.low), pixels(space.high))
    if np.issubdtype(space.dtype, np.floating) and ((low >= -1 and high <= 1) or not np.isfinite(high - low)):
        low, high = 0.0, 1.0
    zero, span = np.float32(low), np.float32(max(high - low, 1.0))

    def scaled(x: Any) -> np.ndarray:
        return ((pixels(x) - zero) / span).astype(np.float32)

    return Encoder(scaled, scaled(space.low), scaled(space.high))


def require_size(size: int, name: str) -> None:
    """Raises UnsupportedSpace unless a network can take, or give, `size` numbers."""
    if size == 0:
        raise UnsupportedSpace(f"{name} is empty. Use a space with at least one number, such as Box(-1, 1, (1,)).")
    if size > _MAX_FEATURES:
        raise UnsupportedSpace(
            f"{name} takes {size:,} numbers in the network, at most {_MAX_FEATURES:,} can be learnt here. "
            "Use a Box of a few features, or (to observe) an image of shape (height, width, channels)."
        )


def _image_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns where height, width, time (of rank 4) and channels (but of rank 2) are found."""
    if len(shape) == 4:
        return (2, 3, 0, 1) if shape[1] < shape[3] else (1, 2, 0, 3)
    if len(shape) == 3:
        return (1, 2, 0) if shape[0] < shape[2] else (0, 1, 2)
    return (0, 1)


def _from_0_to_1(encode: Encode, size: int, name: str) -> Encoder:
    require_size(size, name)
    return Encoder(encode, np.zeros(size, np.float32), np.ones(size, np.float32))


def _box_encoder(space: spaces.Box, name: str) -> Encoder:
    require_size(int(np.prod(space.shape)), name)
    encode, low = _floats, space.low.reshape(-1).astype(np.float64)
    span = space.high.reshape(-1).astype(np.float64) - low
    if not np.issubdtype(space.dtype, np.floating):
        scale = np.maximum(span, 1.0)
        is_wide = np.any(span > _WIDEST_LINEAR_RANGE)
        encode = _logarithms if is_wide else lambda x: ((np.asarray(x).reshape(-1) - low) / scale).astype(np.float32)
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, which bounds may be
        return Encoder(encode, encode(space.low), encode(space.high))


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
