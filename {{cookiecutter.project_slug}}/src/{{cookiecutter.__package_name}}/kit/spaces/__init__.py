"""Any Gymnasium space in, something that PPO can learn out; or one line that says why not.

What the policy sees, and how its choice becomes an action, is in the tables of docs/spaces.md. `gym.make` gives the
environment in its own spaces; `env_creator` puts these adapters around it, for training and for everything after it.
"""

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TransformAction, TransformObservation
from gymnasium.wrappers.vector import VectorizeTransformAction, VectorizeTransformObservation

from .adapters import ACTION_MASK, VECTOR, Adapters, adapters_for, is_masked, random_choice, require_allowed
from .encodings import UnsupportedSpace
from .observations import Limits, unseen

__all__ = [
    "ACTION_MASK",
    "VECTOR",
    "Adapters",
    "Limits",
    "UnsupportedSpace",
    "adapt",
    "adapt_vector",
    "adapters_for",
    "limits_of",
    "random_actions",
    "random_choice",
    "require_allowed",
    "unseen",
]


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
    seen, encode, chosen, decode = adapters_for(env.observation_space, env.action_space, limits_of(env))
    if seen != env.observation_space:
        env = TransformObservation(env, encode, seen)
    env = TransformAction(env, decode, chosen)
    return _AllowedActions(env) if is_masked(seen) else env


def adapt_vector(env: gym.vector.VectorEnv[Any, Any, Any]) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Does the same for an environment that steps all its copies at once.

    Raises:
        UnsupportedSpace: PPO can't learn with one of the spaces of a single copy.
    """
    seen, encode, chosen, decode = adapters_for(env.single_observation_space, env.single_action_space, limits_of(env))
    if seen != env.single_observation_space:
        env = VectorizeTransformObservation(env, TransformObservation, func=encode, observation_space=seen)
    adapted = VectorizeTransformAction(env, TransformAction, func=decode, action_space=chosen)
    adapted.same_out = False  # it would write into the policy's actions, which PPO learns from
    return adapted


def random_actions(env: gym.vector.VectorEnv[Any, Any, Any], observations: Any) -> Any:
    """Draws an action for each copy of an adapted VectorEnv, and only from what the observations' masks allow."""
    if not is_masked(env.single_observation_space):
        return env.action_space.sample()
    masks = observations[ACTION_MASK]
    return np.stack([random_choice(env.single_action_space, {ACTION_MASK: mask}) for mask in masks])


def limits_of(env: Any) -> Limits:
    """Returns how large the spaces without a fixed size get, by what the environment or its config declares."""
    owners = (env.unwrapped, getattr(env.unwrapped, "config", None))

    def declared(attribute: str) -> Any:
        return next((value for owner in owners if (value := getattr(owner, attribute, None)) is not None), None)

    return Limits(declared("max_sequence_length"), declared("max_graph_nodes"))


class _AllowedActions(gym.Wrapper[Any, Any, Any, Any]):
    """Refuses an action that the last observation's mask forbids; the networks never choose one."""

    _mask: np.ndarray

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
        require_allowed(self.action_space, self._mask, action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._mask = observation[ACTION_MASK]
        return observation, reward, terminated, truncated, info
