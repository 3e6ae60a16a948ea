"""A policy's most likely action as one torch module, from the environment's own observations to its own actions."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from ..errors import UsageError
from ..spaces import ACTION_MASK, VECTOR
from ..spaces.actions import LARGEST_INTEGER, scaling_of, values_of
from ..spaces.adapters import seen_parts
from ..spaces.encodings import integer_scale
from ..spaces.images import image_layout, image_scale
from ..spaces.membership import short
from ..spaces.observations import leaves, name_of, seen_leaves
from .policy import Policy

Convert = Callable[[torch.Tensor], torch.Tensor]


class Greedy(nn.Module):
    """Does with a batch, and in torch, what the adapters do with one observation in NumPy; it can be exported.

    Raises:
        UsageError: the policy sees a space that has no arrays of a fixed size.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.actor = policy.actor
        places = {path: place for place, (path, _) in enumerate(seen_leaves(policy.observation_space))}
        self._encoders = {
            key: [(places[path], _encoder(leaf, key, name_of("observation_space", path))) for path, leaf in part]
            for key, part in seen_parts(policy.observation_space).items()
        }
        self._actions = [leaf for _, leaf in leaves(policy.action_space)]
        self._decoders = [_decoder(leaf) for leaf in self._actions]

    def forward(self, *observations: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the leaves of the action space for those of the observation space, each with a first axis more."""
        seen = {
            key: torch.cat([encode(observations[place]) for place, encode in part], dim=-1)
            for key, part in self._encoders.items()
        }
        chosen = self.actor.most_likely(self.actor(seen if len(seen) > 1 else next(iter(seen.values()))))
        choices, reals = chosen if isinstance(chosen, tuple) else (chosen, chosen)
        choices, actions, choice, real = choices.unsqueeze(-1) if choices.ndim == 1 else choices, [], 0, 0
        for leaf, decode in zip(self._actions, self._decoders, strict=True):
            size = int(np.prod(leaf.shape or ()))
            if values_of(leaf) is not None:
                actions.append(decode(choices[:, choice : choice + size]))
                choice += size
            else:
                actions.append(decode(reals[:, real : real + size]))
                real += size
        return tuple(actions)


def torch_dtype(dtype: Any) -> torch.dtype:
    """Returns torch's name of a dtype; raises TypeError where it has none."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _encoder(space: gym.Space[Any], key: str, name: str) -> Convert:
    if key == ACTION_MASK:
        return lambda x: x.to(torch.int32)
    if key != VECTOR:
        return _image_encoder(space)
    size = int(np.prod(space.shape or ()))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _one_hots(space)
    if not isinstance(space, spaces.Box | spaces.MultiBinary):
        raise UsageError(f"{name}: {short(space)} can't be exported; load_policy takes the run itself")
    if isinstance(space, spaces.MultiBinary) or np.issubdtype(space.dtype, np.floating):
        return lambda x: x.reshape(-1, size).float()
    if (scale := integer_scale(space)) is None:
        return lambda x: (torch.sign(x.double()) * torch.log1p(x.double().abs())).float().reshape(-1, size)
    low, span = (torch.from_numpy(each) for each in scale)
    return lambda x: ((x.double().reshape(-1, size) - low) / span).float()


def _image_encoder(space: Any) -> Convert:
    axes, shape = image_layout(space)
    order = (0, *(axis + 1 for axis in axes))
    if (scale := image_scale(space)) is None:
        return lambda x: x.permute(order).reshape(-1, *shape)
    zero, span = (float(each) for each in scale)
    dtype = torch_dtype(np.result_type(space.dtype, np.float32))  # in which NumPy computes it
    return lambda x: ((x.permute(order).reshape(-1, *shape).to(dtype) - zero) / span).float()


def _one_hots(space: Any) -> Convert:
    values = values_of(space)
    assert values is not None
    counts, first = values[0], values[1].reshape(-1).astype(np.int64)
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    value = torch.from_numpy(np.concatenate([np.arange(n) + start for n, start in zip(counts, first, strict=True)]))
    return lambda x: (x.reshape(-1, len(counts)).long()[:, owner] == value).float()


def _decoder(space: Any) -> Convert:
    dtype = torch_dtype(space.dtype)
    if (values := values_of(space)) is not None:
        start = torch.from_numpy(values[1].astype(np.int64))
        return lambda x: (x.reshape(-1, *start.shape) + start).to(dtype)
    scale, centre, low, high = (torch.from_numpy(each) for each in scaling_of(space))
    if dtype.is_floating_point:
        return lambda x: torch.clamp(x.double() * scale + centre, low, high).reshape(-1, *space.shape).to(dtype)
    least, most = (torch.from_numpy(each.reshape(-1).astype(np.int64)) for each in (space.low, space.high))

    def integers(x: torch.Tensor) -> torch.Tensor:
        rounded = torch.clamp(x.double() * scale + centre, low, high).round().clamp(-LARGEST_INTEGER, LARGEST_INTEGER)
        return torch.clamp(rounded.long(), least, most).reshape(-1, *space.shape).to(dtype)

    return integers
