"""What stands between the spaces of an environment and those of the policy: two functions, and what they lead to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .actions import action_adapter
from .encodings import Encode, UnsupportedSpace, image_encoder, is_image
from .observations import Leaf, Limits, at, name_of, parts_encoder, seen_leaves

ACTION_MASK = "action_mask"  # the key of a Dict observation that says which actions are allowed
VECTOR = "vector"  # the key of what is neither the mask nor an image, where the policy sees several parts


class Adapters(NamedTuple):
    """The adapters of an environment.

    Attributes:
        seen: the space that the policy observes. One vector or one image comes as a Box of shape (n,) or (height, width,
            channels). Otherwise there is a Dict of `action_mask` (MultiBinary), `image_0`, `image_1`, ... and `vector`,
            which holds all the rest.
        encode: from the environment's observation to that.
        chosen: the space that the policy chooses from, see `action_adapter`.
        decode: from a choice to the environment's action.
    """

    seen: gym.Space[Any]
    encode: Callable[[Any], Any]
    chosen: gym.Space[Any]
    decode: Callable[[Any], Any]


def adapters_for(observation_space: gym.Space[Any], action_space: gym.Space[Any], limits: Limits) -> Adapters:
    """Returns the adapters for the spaces of an environment.

    Raises:
        UnsupportedSpace: PPO can't learn with one of the spaces: it has no fixed size, is too large or unknown.
    """
    seen, encode = _observation_adapter(observation_space, limits)
    chosen, decode = action_adapter(action_space)
    if isinstance(seen, spaces.Dict) and is_masked(seen):
        shape, values = seen[ACTION_MASK].shape, int(_counts(chosen).sum())
        if shape != (values,):
            raise UnsupportedSpace(
                f"observation_space['{ACTION_MASK}'] has shape {shape}, the actions have {values} values. "
                f"Use MultiBinary({values}), or another key for what isn't a mask."
            )
    return Adapters(seen, encode, chosen, decode)


def is_masked(seen: gym.Space[Any]) -> bool:
    """Returns whether an adapted observation says which actions are allowed."""
    return isinstance(seen, spaces.Dict) and ACTION_MASK in seen.spaces


def random_choice(chosen: gym.Space[Any], observation: Any) -> Any:
    """Draws what a policy might choose, and only from what the mask in an adapted observation allows."""
    if not (isinstance(observation, dict) and ACTION_MASK in observation):
        return chosen.sample()
    mask, starts = observation[ACTION_MASK], np.cumsum(_counts(chosen))[:-1]
    return chosen.sample(mask if isinstance(chosen, spaces.Discrete) else tuple(np.split(mask, starts)))


def require_allowed(chosen: gym.Space[Any], mask: np.ndarray, choice: Any) -> None:
    """Raises ValueError where the mask forbids the choice, or all of them."""
    counts = _counts(chosen)
    if not np.all(mask[np.cumsum(counts) - counts + choice]):
        allowed = "forbids this action" if mask.any() else "allows no action, but the episode goes on"
        raise ValueError(f"observation['{ACTION_MASK}'] {allowed}: action {choice}, mask {mask.tolist()}")


def _counts(chosen: gym.Space[Any]) -> np.ndarray:
    """Returns how many values each choice has, in the order of the mask."""
    if isinstance(chosen, spaces.Discrete):
        return np.array([chosen.n])
    if isinstance(chosen, spaces.MultiDiscrete):
        return chosen.nvec
    raise UnsupportedSpace(
        f"observation_space['{ACTION_MASK}'] needs an action_space of Discrete, MultiDiscrete or MultiBinary. "
        "Use one of these, or another key for what isn't a mask."
    )


def _observation_adapter(space: gym.Space[Any], limits: Limits) -> tuple[gym.Space[Any], Callable[[Any], Any]]:
    parts: dict[str, gym.Space[Any]] = {}
    encoders: dict[str, Encode] = {}
    rest: list[Leaf] = []
    for path, leaf in seen_leaves(space):
        if path == (ACTION_MASK,):
            parts[ACTION_MASK] = spaces.MultiBinary(leaf.shape or ())
            encoders[ACTION_MASK] = at(path, lambda mask: np.array(mask, np.int8))
        elif is_image(leaf):
            assert isinstance(leaf, spaces.Box)
            key = f"image_{len(parts.keys() - {ACTION_MASK})}"
            encoder = image_encoder(leaf, name_of("observation_space", path))
            parts[key] = spaces.Box(encoder.low, encoder.high, dtype=encoder.low.dtype.type)
            encoders[key] = at(path, encoder.encode)
        else:
            rest.append((path, leaf))
    if rest or not parts.keys() - {ACTION_MASK}:  # the mask itself is seen where it is all there is
        encoder = parts_encoder(rest or seen_leaves(space), limits, "observation_space")
        parts[VECTOR] = spaces.Box(encoder.low, encoder.high, dtype=np.float32)
        encoders[VECTOR] = encoder.encode
    if len(parts) == 1:
        return next(iter(parts.values())), next(iter(encoders.values()))
    return spaces.Dict(parts), lambda x: {key: encode(x) for key, encode in encoders.items()}
