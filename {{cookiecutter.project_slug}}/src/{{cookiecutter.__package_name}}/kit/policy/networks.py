"""The networks, built to fit an adapted space: plain torch modules that can be exported."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import torch
from gymnasium import spaces
from torch import nn

from ..spaces import ACTION_MASK, VECTOR

SMALL_SIDE = 16  # pixels, of an image whose pixels mean something each; larger ones are of things


def seen_and_chosen(env: Any) -> list[tuple[gym.Space[Any], gym.Space[Any]]]:
    """Returns what each policy observes and does, of an adapted environment of one agent or several."""
    if hasattr(env, "observation_spaces"):
        return [(seen, env.action_spaces[agent]) for agent, seen in env.observation_spaces.items()]
    return [(env.observation_space, env.action_space)]


def space_facts(policies: Sequence[tuple[gym.Space[Any], gym.Space[Any]]]) -> dict[str, Any]:
    """Returns what ppo.py chooses its numbers by.

    `image_side` is the longest side of the images that are observed, in pixels, 0 where there are none;
    `continuous_actions` tells whether an action has real numbers.

    Args:
        policies: what each observes and does, adapted.
    """
    shapes = [shape for seen, _ in policies for shape in parts_of(seen).values()]
    return {
        "image_side": max((max(shape[:2]) for shape in shapes if len(shape) > 1), default=0),
        "continuous_actions": any(isinstance(chosen, spaces.Box | spaces.Tuple) for _, chosen in policies),
    }


def network_summary(observation_space: gym.Space[Any], numbers: Mapping[str, Any]) -> str:
    """Says in one line which networks are built for an adapted space, and how much they learn from a batch.

    Args:
        observation_space: of one policy.
        numbers: PPO's, by name.
    """
    parts = parts_of(observation_space)
    sizes = {name: " x ".join(str(side) for side in shape) for name, shape in parts.items()}
    features = numbers["image_features"]
    reasons = [
        f"convolutions and {features} features for the {size} pixels of {name}"
        for name, size in sizes.items()
        if name != VECTOR
    ]
    if VECTOR in parts:
        units = " x ".join(str(units) for units in numbers["hidden_units"])
        reasons.append(f"{units} tanh units for {'them and ' if reasons else ''}a vector of {sizes[VECTOR]}")
    batch, passes, lr = (numbers[name] for name in ("train_batch_size_per_learner", "num_epochs", "lr"))
    return f"policy and value network: {', '.join(reasons)}; {passes} passes over {batch:,} steps, step size from {lr}"


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
        parts = parts_of(observation_space)
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


def parts_of(observation_space: gym.Space[Any]) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each part of an adapted observation that networks see, by name."""
    if isinstance(observation_space, spaces.Dict):
        return {name: space.shape or () for name, space in observation_space.items() if name != ACTION_MASK}
    shape = observation_space.shape or ()
    return {VECTOR if len(shape) == 1 else "image": shape}


def _convolutions(shape: tuple[int, ...], features: int) -> nn.Module:
    """Halves an image until its longer side is at most 8 pixels, whatever its size; large ones are quartered first.

    Of a small image each pixel means something: one layer looks at all of them (Young and Tian 2019, "MinAtar").
    """
    height, width, channels = shape
    layers: list[nn.Module] = [_ChannelsFirst()]
    filters, side = 32, max(height, width)
    if side <= SMALL_SIDE:
        layers += [_orthogonal(nn.Conv2d(channels, 16, 3), 2**0.5), nn.ReLU()]
        side = 0  # it stays as large as it is
    if side > 48:
        layers += [_orthogonal(nn.Conv2d(channels, filters, 8, stride=4, padding=4), 2**0.5), nn.ReLU()]
        channels, filters, side = filters, 64, side // 4 + 1
    while side > 8:
        layers += [_orthogonal(nn.Conv2d(channels, filters, 3, stride=2, padding=1), 2**0.5), nn.ReLU()]
        channels, filters, side = filters, 64, (side + 1) // 2
    layers.append(nn.Flatten())
    with torch.no_grad():
        size = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*layers, _orthogonal(nn.Linear(size, features), 2**0.5), nn.ReLU())


class _ChannelsFirst(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.permute(0, 3, 1, 2)


def _orthogonal(layer: nn.Module, gain: float) -> nn.Module:
    assert isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
