"""Which Boxes are images, and how a convolutional network gets them: height, width, channels."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .encodings import WIDEST_LINEAR_RANGE, Encoder, UnsupportedSpace
from .membership import short

_MAX_IMAGE_NUMBERS = 1_000_000  # a batch of 2,048 such images fills 2 GB as bytes, 8 GB as floats
_SMALLEST_SIDE = 5  # pixels: below, one 3x3 filter sees nearly all of an image at once
_MOST_CHANNELS = 16  # four stacked colour images have 12


def is_image(space: gym.Space[Any]) -> bool:
    """Returns whether a space is taken for an image, which a convolutional network looks at.

    A Box of rank 3 is one if its first or its last side counts channels: at most 16, and fewer than the other two have
    pixels, at least 5. So is a Box of rank 4 that stacks them, and a uint8 Box of rank 2. Integers span at most 65,535.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3, 4):
        return False
    if len(space.shape) == 2:
        return space.dtype == np.uint8 and min(space.shape) >= _SMALLEST_SIDE
    height, width, *_, channels = (space.shape[axis] for axis in _axes(space.shape))
    is_narrow = float(space.high.max()) - float(space.low.min()) <= WIDEST_LINEAR_RANGE
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
    axes, shape = image_layout(space)
    if np.prod(shape) > _MAX_IMAGE_NUMBERS:
        raise UnsupportedSpace(
            f"{name}: {short(space)} is too large an image. Make it smaller, about 84 x 84 pixels, "
            "for example by gymnasium.wrappers.ResizeObservation."
        )

    def pixels(x: Any) -> np.ndarray:
        return np.array(np.asarray(x).transpose(axes).reshape(shape), order="C")  # a copy, in the order of the axes

    scale = image_scale(space)
    if scale is None:
        return Encoder(pixels, pixels(space.low), pixels(space.high))
    zero, span = scale

    def scaled(x: Any) -> np.ndarray:
        return ((pixels(x) - zero) / span).astype(np.float32)

    return Encoder(scaled, scaled(space.low), scaled(space.high))


def image_layout(space: spaces.Box) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Returns how an image's axes are transposed, and the height, width and channels that it is reshaped to then."""
    axes = _axes(space.shape)
    height, width, *channels = (space.shape[axis] for axis in axes)
    return axes, (height, width, int(np.prod(channels)))


def image_scale(space: spaces.Box) -> tuple[np.float32, np.float32] | None:
    """Returns what is taken from an image's numbers, and what they are divided by then; None where bytes stay bytes."""
    low, high = float(space.low.min()), float(space.high.max())
    if space.dtype == np.uint8 and high - low == 255:
        return None
    if np.issubdtype(space.dtype, np.floating) and ((low >= -1 and high <= 1) or not np.isfinite(high - low)):
        low, high = 0.0, 1.0
    return np.float32(low), np.float32(max(high - low, 1.0))


def _axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns where height, width, time (of rank 4) and channels (but of rank 2) are found."""
    if len(shape) == 4:
        return (2, 3, 0, 1) if shape[1] < shape[3] else (1, 2, 0, 3)
    if len(shape) == 3:
        return (1, 2, 0) if shape[0] < shape[2] else (0, 1, 2)
    return (0, 1)
