"""The policy and the value network: two networks that share nothing, built to fit the adapted spaces."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import (
    TorchCategorical,
    TorchDiagGaussian,
    TorchMultiCategorical,
    TorchMultiDistribution,
)
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from ..spaces import ACTION_MASK, VECTOR

_FORBIDDEN = -1e9  # a logit whose probability is 0 in float32, and whose gradient is 0 rather than NaN


def network_summary(observation_space: gym.Space[Any], model_config: dict[str, Any]) -> str:
    """Says in one line which networks `ActorCritic` builds, and why: the same choice that it makes itself."""
    parts = _parts(observation_space)
    sizes = {name: " x ".join(str(side) for side in shape) for name, shape in parts.items()}
    reasons = [f"convolutions for the {size} pixels of {name}" for name, size in sizes.items() if name != VECTOR]
    if VECTOR in parts:
        units = " x ".join(str(units) for units in model_config["hidden_units"])
        reasons.append(f"{units} tanh units for {'them and ' if reasons else ''}{sizes[VECTOR]} numbers")
    return "policy and value network: " + ", ".join(reasons)


def greedy_action(module: RLModule, observation: Any) -> Any:
    """Returns the most likely action for one observation, both as the adapted environment has them."""
    parts = observation if isinstance(observation, dict) else {"": observation}
    tensors = {name: torch.from_numpy(part[None]) for name, part in parts.items()}
    outputs = module.forward_inference({Columns.OBS: tensors if isinstance(observation, dict) else tensors[""]})
    distribution = module.get_inference_action_dist_cls().from_logits(outputs[Columns.ACTION_DIST_INPUTS])
    action = distribution.to_deterministic().sample()
    return tuple(part[0].numpy() for part in action) if isinstance(action, tuple) else action[0].numpy()


class ActorCritic(TorchRLModule, ValueFunctionAPI, InferenceOnlyAPI):
    """What PPO learns: a distribution over actions and the value of an observation.

    A discrete choice gets a logit a value; a real number gets a mean, and a learnt spread that is the same everywhere.
    The `model_config` holds `hidden_units`, a list with an integer for each hidden layer, and `image_features`, how
    many numbers the convolutions make of an image.
    """

    def setup(self) -> None:
        """Builds both networks; RLlib calls it."""
        layers = self.model_config["hidden_units"], self.model_config["image_features"]
        logits, reals = _choices(self.action_space)
        # Near-even first actions explore; a value head of ordinary size learns at once (Andrychowicz et al. 2021).
        self.policy = Network(self.observation_space, sum(logits) + reals, *layers, head_gain=0.01)
        self.value = Network(self.observation_space, 1, *layers, head_gain=1.0)
        self.log_std = nn.Parameter(torch.zeros(reals))
        self.action_dist_cls = _distribution(self.action_space, logits, reals)

    def get_non_inference_attributes(self) -> list[str]:
        """Leaves the value network out where actions are only computed."""
        return ["value"]

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Returns the value of each observation, shape (batch,)."""
        values = self.value(batch[Columns.OBS]).squeeze(-1)
        return _finite(values, batch[Columns.OBS])

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        observation = batch[Columns.OBS]
        outputs = self.policy(observation)
        if isinstance(observation, dict) and ACTION_MASK in observation:
            outputs = torch.where(observation[ACTION_MASK] > 0, outputs, _FORBIDDEN)
        if len(self.log_std):
            outputs = torch.cat([outputs, self.log_std.expand(len(outputs), -1)], dim=-1)
        return {Columns.ACTION_DIST_INPUTS: _finite(outputs, observation)}


class Network(nn.Module):
    """Images through convolutions, then beside the vector through hidden layers, then a linear head.

    Takes a tensor of shape (batch, n) or (batch, height, width, channels), float32 or uint8, or a dict of these.
    """

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
        """Returns shape (batch, outputs)."""
        if not isinstance(observation, dict):
            return self.layers(next(iter(self.images.values()))(observation) if self.images else observation)
        features = [network(observation[name]) for name, network in self.images.items()]
        return self.layers(torch.cat([*features, observation[VECTOR]] if self.vector_size else features, dim=-1))


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


def _choices(action_space: gym.Space[Any]) -> tuple[list[int], int]:
    """How many values each discrete choice has, and how many real numbers are drawn."""
    if isinstance(action_space, spaces.Discrete):
        return [int(action_space.n)], 0
    if isinstance(action_space, spaces.MultiDiscrete):
        return action_space.nvec.tolist(), 0
    if isinstance(action_space, spaces.Box):
        return [], int(np.prod(action_space.shape))
    assert isinstance(action_space, spaces.Tuple)
    return _choices(action_space[0])[0], _choices(action_space[1])[1]


def _distribution(action_space: gym.Space[Any], logits: list[int], reals: int) -> Any:
    if isinstance(action_space, spaces.Discrete):
        return TorchCategorical
    if not logits:
        return TorchDiagGaussian
    discrete = TorchMultiCategorical.get_partial_dist_cls(space=action_space, input_lens=logits)
    if not reals:
        return discrete
    return TorchMultiDistribution.get_partial_dist_cls(
        space=action_space,
        child_distribution_cls_struct=(discrete, TorchDiagGaussian),
        input_lens=(sum(logits), 2 * reals),
    )


def _finite(outputs: torch.Tensor, observation: Any) -> torch.Tensor:
    """Returns `outputs`, or raises ValueError: RLlib itself would train on NaN for as long as it is let."""
    if torch.isfinite(outputs).all():
        return outputs
    for name, values in observation.items() if isinstance(observation, dict) else [("observation", observation)]:
        for place in (~torch.isfinite(values)).nonzero()[:1].tolist():
            value = values[tuple(place)].item()
            raise ValueError(
                f"the {name} of copy {place[0]} is {value} at index {place[1:]}: look where it is computed"
            )
    raise ValueError("the network's own weights are no longer finite: lower the learning rate in ppo.py")
