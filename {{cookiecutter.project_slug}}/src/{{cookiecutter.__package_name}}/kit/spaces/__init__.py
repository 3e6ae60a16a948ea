"""Any Gymnasium space in, something that PPO can learn out; or one line that says why not.

What the policy sees, and how its choice becomes an action, is in the tables of the README. `gym.make` gives the
environment in its own spaces; `env_creator` puts these adapters around it, for training and for everything after it.
"""

from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformAction, TransformObservation
from gymnasium.wrappers.vector import VectorizeTransformAction, VectorizeTransformObservation

from .actions import action_adapter
from .encodings import Encode, UnsupportedSpace, image_encoder, is_image
from .observations import Leaf, Limits, at, name_of, parts_encoder, seen_leaves, unseen

__all__ = [
    "ACTION_MASK",
    "VECTOR",
    "UnsupportedSpace",
    "adapt",
    "adapt_vector",
    "random_action",
    "random_actions",
    "unseen",
]

ACTION_MASK = "action_mask"  # the key of a Dict observation that says which actions are allowed
VECTOR = "vector"  # the key of what is neither the mask nor an image, where the policy sees several parts


def adapt(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Wraps an environment so that a network sees arrays, and every action lies in the environment's own space.

    The arrays are float32, but for images of bytes.

    Of a Dict or Tuple observation, spaces of a kind that Gymnasium doesn't have are left out; `unseen` names them.

    A Dict observation with the key `action_mask` next to a Discrete, MultiDiscrete or MultiBinary action space declares
    which actions are allowed: one entry for each value of each choice, 1 where it is allowed.

    Args:
        env: the environment in its own spaces. Sequence and Graph observations need its attribute, or its config's,
            `max_sequence_length` or `max_graph_nodes`.

    Raises:
        UnsupportedSpace: PPO can't learn with one of the spaces.
    """
    seen, encode, chosen, decode = _adapters(env.observation_space, env.action_space, _limits(env))
    if seen != env.observation_space:
        env = TransformObservation(env, encode, seen)
    env = TransformAction(env, decode, chosen)
    return _AllowedActions(env) if _is_masked(seen) else env


def adapt_vector(env: gym.vector.VectorEnv[Any, Any, Any]) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Does the same for an environment that steps all its copies at once.

    Raises:
        UnsupportedSpace: PPO can't learn with one of the spaces of a single copy.
    """
    seen, encode, chosen, decode = _adapters(env.single_observation_space, env.single_action_space, _limits(env))
    if seen != env.single_observation_space:
        env = VectorizeTransformObservation(env, TransformObservation, func=encode, observation_space=seen)
    adapted = VectorizeTransformAction(env, TransformAction, func=decode, action_space=chosen)
    adapted.same_out = False  # it would write into the policy's actions, which PPO learns from
    return adapted


def random_action(env: gym.Env[Any, Any], observation: Any) -> Any:
    """Draws an action for an adapted environment, and only from what the observation's mask allows."""
    if not isinstance(env, _AllowedActions):
        return env.action_space.sample()
    return _sample_allowed(env.action_space, observation[ACTION_MASK])


def random_actions(env: gym.vector.VectorEnv[Any, Any, Any], observations: Any) -> Any:
    """Draws an action for each copy of an adapted VectorEnv, likewise."""
    if not _is_masked(env.single_observation_space):
        return env.action_space.sample()
    return np.stack([_sample_allowed(env.single_action_space, mask) for mask in observations[ACTION_MASK]])


def _sample_allowed(space: gym.Space[Any], mask: np.ndarray) -> Any:
    starts = np.cumsum(_counts(space))[:-1]
    return space.sample(mask if isinstance(space, spaces.Discrete) else tuple(np.split(mask, starts)))


def _is_masked(seen: gym.Space[Any]) -> bool:
    """Returns whether an adapted observation says which actions are allowed."""
    return isinstance(seen, spaces.Dict) and ACTION_MASK in seen.spaces


def _adapters(
    observation_space: gym.Space[Any], action_space: gym.Space[Any], limits: Limits
) -> tuple[gym.Space[Any], Callable[[Any], Any], gym.Space[Any], Callable[[Any], Any]]:
    seen, encode = _observation_adapter(observation_space, limits)
    chosen, decode = action_adapter(action_space)
    if isinstance(seen, spaces.Dict) and _is_masked(seen):
        shape, values = seen[ACTION_MASK].shape, int(_counts(chosen).sum())
        if shape != (values,):
            raise UnsupportedSpace(
                f"observation_space['{ACTION_MASK}'] has shape {shape}, the actions have {values} values. "
                f"Use MultiBinary({values}), or another key for what isn't a mask."
            )
    return seen, encode, chosen, decode


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
    """Returns what the policy sees of a space, and the function that makes it from an observation.

    One vector or one image comes as a Box of shape (n,) or (height, width, channels). Otherwise there is a Dict
    of `action_mask` (MultiBinary), `image_0`, `image_1`, ... and `vector`, which holds all the rest.

    Raises:
        UnsupportedSpace: a space has no fixed size, is too large or unknown.
    """
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


class _AllowedActions(gym.Wrapper[Any, Any, Any, Any]):
    """Refuses an action that the last observation's mask forbids; the networks never choose one."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        counts = _counts(env.action_space)
        self.starts = np.cumsum(counts) - counts  # where each choice's values begin in the mask
        self._mask = np.ones(int(counts.sum()), np.int8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode and keeps its first mask."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._mask = observation[ACTION_MASK]
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Takes the action and keeps the next mask.

        Raises:
            ValueError: the mask forbids the action, or all of them.
        """
        if not np.all(self._mask[self.starts + action]):
            allowed = "forbids this action" if self._mask.any() else "allows no action, but the episode goes on"
            raise ValueError(f"observation['{ACTION_MASK}'] {allowed}: action {action}, mask {self._mask.tolist()}")
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._mask = observation[ACTION_MASK]
        return observation, reward, terminated, truncated, info


def _limits(env: Any) -> Limits:
    owners = (env.unwrapped, getattr(env.unwrapped, "config", None))

    def declared(attribute: str) -> Any:
        return next((value for owner in owners if (value := getattr(owner, attribute, None)) is not None), None)

    return Limits(declared("max_sequence_length"), declared("max_graph_nodes"))
