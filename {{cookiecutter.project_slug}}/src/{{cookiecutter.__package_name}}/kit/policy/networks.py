"""The networks, built to fit the adapted spaces: plain torch modules that can be exported."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from ..spaces import ACTION_MASK, VECTOR
from .normalization import RunningStatistics

_FARTHEST = 10.0  # standard deviations from the mean; what lies beyond would drown everything else
_FORBIDDEN = -1e9  # a logit whose probability is 0 in float32, and whose gradient is 0 rather than NaN


def network_summary(observation_space: gym.Space[Any], model_config: Mapping[str, Any]) -> str:
    """Says in one line which networks are built for an adapted space, and why."""
    parts = _parts(observation_space)
    sizes = {name: " x ".join(str(side) for side in shape) for name, shape in parts.items()}
    reasons = [f"convolutions for the {size} pixels of {name}" for name, size in sizes.items() if name != VECTOR]
    if VECTOR in parts:
        units = " x ".join(str(units) for units in model_config["hidden_units"])
        reasons.append(f"{units} tanh units for {'them and ' if reasons else ''}{sizes[VECTOR]} numbers")
    return "policy and value network: " + ", ".join(reasons)


class Actor(nn.Module):
    """All that it takes to act: the statistics of the observations, the policy network and the spread of real actions.

    A discrete choice gets a logit a value; a real number gets a mean, and a learnt spread that is the same everywhere.
    Images are scaled already and stay as they are; the vector in an observation is normalised.

    Args:
        observation_space: as the adapters make it.
        action_space: likewise.
        model_config: `hidden_units`, the size of each hidden layer, and `image_features`, how many numbers the
            convolutions make of an image.
    """

    def __init__(
        self, observation_space: gym.Space[Any], action_space: gym.Space[Any], model_config: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.action_space = action_space
        self.model_config = {name: model_config[name] for name in ("hidden_units", "image_features")}
        self.logits, self.reals = choices(action_space)
        outputs = sum(self.logits) + self.reals
        # Near-even first actions explore; a value head of ordinary size learns at once (Andrychowicz et al. 2021).
        self.policy = Network(observation_space, outputs, **self.model_config, head_gain=0.01)
        self.log_std = nn.Parameter(torch.zeros(self.reals))
        size = self.policy.vector_size
        self.observation_statistics = RunningStatistics((size,)) if size else None

    def forward(self, observation: Any) -> torch.Tensor:
        """Returns the logits, then the means, then the logarithms of the spreads, shape (batch, n).

        Args:
            observation: a tensor of shape (batch, n) or (batch, height, width, channels), float32 or uint8, or a dict
                of these and the mask of the actions.
        """
        outputs = self.policy(self.normalized(observation))
        if isinstance(observation, dict) and ACTION_MASK in observation:
            outputs = torch.where(observation[ACTION_MASK] > 0, outputs, _FORBIDDEN)
        if self.reals:
            outputs = torch.cat([outputs, self.log_std.expand(outputs.shape[0], -1)], dim=-1)
        return outputs

    def most_likely(self, outputs: torch.Tensor) -> Any:
        """Returns the most likely actions for what `forward` has returned.

        Returns:
            Of a Discrete int64 of shape (batch,), of a MultiDiscrete int64 of shape (batch, choices), of a Box the
            means, float32 of shape (batch, n), which the adapters keep in their bounds; of a Tuple the last two.
        """
        count = sum(self.logits)
        means = outputs[:, count : count + self.reals]
        if not self.logits:
            return means
        chosen = torch.stack([part.argmax(-1) for part in outputs[:, :count].split(self.logits, dim=-1)], dim=-1)
        if isinstance(self.action_space, spaces.Discrete):
            return chosen[:, 0]
        return (chosen, means) if self.reals else chosen

    def observe(self, observation: Any) -> None:
        """Takes a batch of observations into the statistics."""
        if self.observation_statistics is not None:
            self.observation_statistics.update(observation[VECTOR] if isinstance(observation, dict) else observation)

    def normalized(self, observation: Any) -> Any:
        """Returns the observations as the networks take them."""
        statistics = self.observation_statistics
        if statistics is None:
            return observation
        vector = observation[VECTOR] if isinstance(observation, dict) else observation
        vector = ((vector - statistics.mean) / statistics.deviation).clamp(-_FARTHEST, _FARTHEST)
        return {**observation, VECTOR: vector} if isinstance(observation, dict) else vector


class Network(nn.Module):
    """Images through convolutions, then beside the vector through hidden layers, then a linear head."""

    def __init__(
        self,
        observation_space: gym.Space[Any],
        outputs: int,
        hidden_units: Sequence[int],
        image_features: int,
        head_gain: float,
    ) -> None:
        super().__init__()
        parts = _parts(observation_space)
        self.vector_size = parts.pop(VECTOR)[0] if VECTOR in parts else 0
        self.images = nn.ModuleDict({name: _convolutions(shape, image_features) for name, shape in parts.items()})
        width = self.vector_size + len(parts) * image_features
        layers: list[nn.Module] = []
        # The features of one image need no further layers; numbers, and parts to be combined, do.
        for units in hidden_units if self.vector_size or len(parts) > 1 else ():
            layers += [_orthogonal(nn.Linear(width, units), 2**0.5), nn.Tanh()]
            width = units
        self.layers = nn.Sequential(*layers, _orthogonal(nn.Linear(width, outputs), head_gain))

    def forward(self, observation: Any) -> torch.Tensor:
        """Returns shape (batch, outputs) for normalised observations."""
        if not isinstance(observation, dict):
            return self.layers(next(iter(self.images.values()))(observation) if self.images else observation)
        features = [network(observation[name]) for name, network in self.images.items()]
        return self.layers(torch.cat([*features, observation[VECTOR]] if self.vector_size else features, dim=-1))


def require_finite(outputs: torch.Tensor, observation: Any) -> torch.Tensor:
    """Returns a network's outputs, or raises ValueError that says which number isn't finite.

    It is not a part of `forward`, which is exported. RLlib itself would train on NaN for as long as it is let.
    """
    if torch.isfinite(outputs).all():
        return outputs
    for name, values in observation.items() if isinstance(observation, dict) else [("observation", observation)]:
        for place in (~torch.isfinite(values)).nonzero()[:1].tolist():
            value = values[tuple(place)].item()
            raise ValueError(f"the {name} of copy {place[0]} is {value} at index {place[1:]}: see where it is computed")
    raise ValueError("the network's own weights are no longer finite: lower the learning rate")


def choices(action_space: gym.Space[Any]) -> tuple[list[int], int]:
    """Returns how many values each discrete choice has, and how many real numbers are drawn."""
    if isinstance(action_space, spaces.Discrete):
        return [int(action_space.n)], 0
    if isinstance(action_space, spaces.MultiDiscrete):
        return action_space.nvec.tolist(), 0
    if isinstance(action_space, spaces.Box):
        return [], int(np.prod(action_space.shape))
    assert isinstance(action_space, spaces.Tuple)
    return choices(action_space[0])[0], choices(action_space[1])[1]


def _parts(observation_space: gym.Space[Any]) -> dict[str, tuple[int, ...]]:
    """Names what a network sees, with its shape."""
    if isinstance(observation_space, spaces.Dict):
        return {name: space.shape or () for name, space in observation_space.items() if name != ACTION_MASK}
    shape = observation_space.shape or ()
    return {VECTOR if len(shape) == 1 else "image": shape}


def _convolutions(shape: tuple[int, ...], features: int) -> nn.Module:
    """Halves an image until its longer side is at most 8 pixels, whatever its size; large ones are quartered first."""
    height, width, channels = shape
    layers: list[nn.Module] = [_ChannelsFirst()]
    filters, side = 32, max(height, width)
    if side > 48:
        layers += [_orthogonal(nn.Conv2d(channels, filters, 8, stride=4, padding=4), 2**0.5), nn.ReLU()]
        channels, filters, side = filters, 64, side // 4 + 1
    while side > 8 or len(layers) == 1:
        stride = 2 if side > 8 else 1
        layers += [_orthogonal(nn.Conv2d(channels, filters, 3, stride=stride, padding=1), 2**0.5), nn.ReLU()]
        channels, filters, side = filters, 64, (side + 1) // stride
    layers.append(nn.Flatten())
    with torch.no_grad():
        size = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*layers, _orthogonal(nn.Linear(size, features), 2**0.5), nn.ReLU())


class _ChannelsFirst(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return (image.float() / 255 if image.dtype == torch.uint8 else image).permute(0, 3, 1, 2)


def _orthogonal(layer: nn.Module, gain: float) -> nn.Module:
    assert isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
