"""Turns what the policy chooses into an action of any Gymnasium space, never outside of it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .encodings import UnsupportedSpace, require_size
from .membership import short
from .observations import leaves, name_of

_MOST_CHOICES = 32  # an integer with more values than this is drawn as a real number and rounded
_UNBOUNDED = 1e9  # a bound beyond says nothing about which values are useful
LARGEST_INTEGER = 2.0**53  # beyond, float64 skips integers


class Part(NamedTuple):
    """What the policy chooses for one leaf of the action space: MultiDiscrete or Box, both of rank 1."""

    space: spaces.MultiDiscrete | spaces.Box
    decode: Callable[[np.ndarray], Any]  # from an array of the policy's choices to the leaf's action


def action_adapter(space: gym.Space[Any]) -> tuple[gym.Space[Any], Callable[[Any], Any]]:
    """Returns what the policy chooses from, and the function that makes the environment's action of it.

    The policy chooses from a Discrete that starts at 0, a MultiDiscrete of shape (n,) that starts at 0, a float32 Box
    of shape (n,), or a Tuple of the last two.

    Raises:
        UnsupportedSpace: the space has no fixed size, is too large or unknown.
    """
    parts = [_part(leaf, name_of("action_space", path)) for path, leaf in leaves(space)]
    require_size(len(parts), "action_space")
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), parts[0].decode
    chosen = [part.space.nvec for part in parts if isinstance(part.space, spaces.MultiDiscrete)]
    drawn = [part.space for part in parts if isinstance(part.space, spaces.Box)]
    policy_spaces: list[gym.Space[Any]] = []
    if chosen:
        require_size(int(sum(nvec.sum() for nvec in chosen)), "action_space")
        policy_spaces.append(spaces.MultiDiscrete(np.concatenate(chosen)))
    if drawn:
        low, high = np.concatenate([box.low for box in drawn]), np.concatenate([box.high for box in drawn])
        policy_spaces.append(spaces.Box(low, high, dtype=np.float32))
    decode = _nested(space, parts) if isinstance(space, (spaces.Dict, spaces.Tuple)) else parts[0].decode
    return (spaces.Tuple(policy_spaces) if len(policy_spaces) == 2 else policy_spaces[0]), decode


def values_of(space: gym.Space[Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns how many values each choice of a leaf has, shape (n,), and the first of each, in the leaf's own shape.

    Returns:
        None where real numbers are drawn.
    """
    if isinstance(space, spaces.Discrete):
        return np.array([int(space.n)]), np.array(space.start, space.dtype)
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.reshape(-1), space.start.astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return np.full(int(np.prod(space.shape)), 2), np.zeros(space.shape, space.dtype)
    if isinstance(space, spaces.Box) and not np.issubdtype(space.dtype, np.floating):
        bounds = zip(space.low.reshape(-1).tolist(), space.high.reshape(-1).tolist(), strict=True)
        counts = [high - low + 1 for low, high in bounds]  # Python's integers don't overflow
        return (np.array(counts), space.low) if max(counts, default=0) <= _MOST_CHOICES else None
    return None


def scaling_of(space: spaces.Box) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns by what real numbers are multiplied, what is added, and their bounds then, finite for floats.

    The policy's -1 and 1 are the bounds. With one bound, -1 (or 1) is it and the scale stays; without, x is x.

    Returns:
        Four arrays, float64 of shape (n,).
    """
    low, high, bounded_below, bounded_above = _bounds(space)
    scale = np.where(bounded_below & bounded_above, (high - low) / 2, 1.0)
    centre = np.where(bounded_below, low + scale, np.where(bounded_above, high - scale, 0.0))
    if np.issubdtype(space.dtype, np.floating):
        low, high = np.maximum(low, np.finfo(space.dtype).min), np.minimum(high, np.finfo(space.dtype).max)  # never inf
    return scale, centre, low, high


def _part(space: gym.Space[Any], name: str) -> Part:
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        require_size(int(np.prod(space.shape)), name)
    if (values := values_of(space)) is not None:
        nvec, start = values
        require_size(int(nvec.sum()), name)
        return Part(
            spaces.MultiDiscrete(nvec), _choice(start) if isinstance(space, spaces.Discrete) else _choices(start)
        )
    if not isinstance(space, spaces.Box):
        raise UnsupportedSpace(
            f"{name}: {short(space)} is nothing that PPO can choose from. "
            "Use Discrete, MultiDiscrete, MultiBinary or Box, or a Dict or Tuple of these."
        )
    if np.issubdtype(space.dtype, np.floating):
        return _range(space, lambda x: x.astype(space.dtype).reshape(space.shape))
    return _range(space, _integers(space.low, space.high))


def _choice(start: np.ndarray) -> Callable[[Any], Any]:
    first, scalar = int(start), start.dtype.type
    return lambda x: scalar(first + int(x if np.ndim(x) == 0 else x[0]))


def _choices(start: np.ndarray) -> Callable[[Any], Any]:
    return lambda x: np.asarray(np.asarray(x).reshape(start.shape).astype(start.dtype) + start)


def _range(space: spaces.Box, finish: Callable[[np.ndarray], np.ndarray]) -> Part:
    scale, centre, low, high = scaling_of(space)
    *_, bounded_below, bounded_above = _bounds(space)
    policy_low, policy_high = np.where(bounded_below, -1.0, -np.inf), np.where(bounded_above, 1.0, np.inf)
    return Part(
        spaces.Box(policy_low.astype(np.float32), policy_high.astype(np.float32), dtype=np.float32),
        lambda x: finish(np.minimum(np.maximum(x * scale + centre, low), high)),
    )


def _bounds(space: spaces.Box) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the bounds, and which of them say something about the values that are useful."""
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    return low, high, np.abs(low) < _UNBOUNDED, np.abs(high) < _UNBOUNDED


def _integers(low: np.ndarray, high: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def decode(x: np.ndarray) -> np.ndarray:
        rounded = np.minimum(np.maximum(np.rint(x), -LARGEST_INTEGER), LARGEST_INTEGER).astype(np.int64)
        return np.asarray(np.minimum(np.maximum(rounded.reshape(low.shape), low), high)).astype(low.dtype)

    return decode


def _nested(space: gym.Space[Any], parts: list[Part]) -> Callable[[Any], Any]:
    """Returns a function that cuts the policy's arrays into the leaves' actions and puts these in their places."""

    def decode(x: Any) -> Any:
        chosen, drawn = x if isinstance(x, tuple) else (x, x)
        actions, choice, number = [], 0, 0
        for part in parts:
            size = part.space.shape[0]
            if isinstance(part.space, spaces.MultiDiscrete):
                actions.append(part.decode(chosen[choice : choice + size]))
                choice += size
            else:
                actions.append(part.decode(drawn[number : number + size]))
                number += size
        return fill(space, iter(actions))

    return decode


def fill(space: gym.Space[Any], actions: Iterator[Any]) -> Any:
    """Returns an action of a nested space, made of those of its leaves."""
    if isinstance(space, spaces.Dict):
        return {key: fill(child, actions) for key, child in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(fill(child, actions) for child in space.spaces)
    return next(actions)
