"""Turns an observation of any Gymnasium space into float32 arrays of a fixed size."""

from collections.abc import Callable, Hashable, Iterable
from functools import partial, reduce
from operator import getitem
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import iterate

from .encodings import MAX_FEATURES, Encoder, UnsupportedSpace, as_float32, fixed_size_encoder, one_line

ACTION_MASK = "action_mask"  # the key of a Dict observation that says which actions are allowed
VECTOR = "vector"  # the key of what is neither an image nor the mask, where there are several parts
_SMALLEST_SIDE = 5  # pixels: below, a 3x3 convolution sees almost all of an image at once
_MOST_CHANNELS = 16  # four stacked colour images have 12

Path = tuple[Hashable, ...]


class Limits(NamedTuple):
    """How large the parts without a fixed size get; None where the environment doesn't say."""

    max_sequence_length: int | None = None
    max_graph_nodes: int | None = None


class Part(NamedTuple):
    """A piece of the observation: the keys that lead to it, the space that the policy sees, how to get there."""

    path: Path
    space: gym.Space[Any]
    encode: Callable[[Any], np.ndarray]


def leaves(space: gym.Space[Any], path: Path = ()) -> list[tuple[Path, gym.Space[Any]]]:
    """Lists the parts of nested Dict and Tuple spaces, each with the keys that lead to it."""
    children: Iterable[tuple[Hashable, gym.Space[Any]]]
    if isinstance(space, spaces.Dict):
        children = space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        children = enumerate(space.spaces)
    else:
        return [(path, space)]
    return [leaf for key, child in children for leaf in leaves(child, (*path, key))]


def observation_parts(space: gym.Space[Any], limits: Limits) -> dict[str, Part]:
    """Splits an observation into what the networks take: `action_mask`, `image_0`, `image_1`, ..., and `vector`.

    Raises:
        UnsupportedSpace: a space has no fixed size, is too large or unknown.
    """
    parts: dict[str, Part] = {}
    rest: list[tuple[Path, gym.Space[Any]]] = []
    for path, leaf in leaves(space):
        if path == (ACTION_MASK,):
            parts[ACTION_MASK] = Part(path, spaces.MultiBinary(leaf.shape or ()), _as_mask)
        elif is_image(leaf):
            parts[f"image_{sum(name.startswith('image') for name in parts)}"] = _image(path, leaf)
        else:
            rest.append((path, leaf))
    if parts.keys() == {ACTION_MASK} and not rest:
        rest = leaves(space)  # the mask is all there is to see
    if rest or not parts:
        encoder = _side_by_side(rest, limits, "observation_space")
        parts[VECTOR] = Part((), spaces.Box(encoder.low, encoder.high, dtype=np.float32), encoder.encode)
    return parts


def is_image(space: gym.Space[Any]) -> bool:
    """Says whether a space is taken for an image, and so for a convolutional network.

    A Box of rank 3 is one if its first or its last side counts channels: at most 16, and fewer than both other sides,
    which are at least 5 pixels. A Box of rank 4 is one if it stacks such images. A uint8 Box of rank 2 is a grey image.
    """
    if not isinstance(space, spaces.Box):
        return False
    shape = space.shape[1:] if len(space.shape) == 4 else space.shape
    if len(shape) == 2:
        return space.dtype == np.uint8 and len(space.shape) == 2 and min(shape) >= _SMALLEST_SIDE
    if len(shape) != 3:
        return False
    channels, sides = (shape[0], shape[1:]) if _channels_first(shape) else (shape[2], shape[:2])
    return channels <= _MOST_CHANNELS and channels < min(sides) and min(sides) >= _SMALLEST_SIDE


def _channels_first(shape: tuple[int, ...]) -> bool:
    return shape[0] < shape[-1]


def _image(path: Path, space: spaces.Box) -> Part:
    """An image of shape (height, width, channels), from 0 to 1 where the space has bounds."""
    axes = tuple(range(len(space.shape)))
    if len(axes) == 4:  # stacked images: (time, height, width, channels), channels of all times go last
        axes = (2, 3, 0, 1) if _channels_first(space.shape[1:]) else (1, 2, 0, 3)
    elif len(axes) == 3 and _channels_first(space.shape):
        axes = (1, 2, 0)
    shape = tuple(space.shape[axis] for axis in axes)
    shape = (*shape[:2], int(np.prod(shape[2:])))
    low, high = np.float32(space.low.min()), np.float32(space.high.max())
    if not np.isfinite(high - low) or high - low > 65_535 or (low >= -1 and high <= 1):
        low, high = ...
    return Part(path, ..., partial(_scale_image, axes, shape, low, span))
