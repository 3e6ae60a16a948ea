"""What acts: statistics, network and the choice of an action, in one plain torch module that can be exported."""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.nn.functional import cross_entropy

from ..spaces import ACTION_MASK
from .networks import Network, parts_of
from .normalization import RunningStatistics

_MOST_OBSERVED = 1_000_000  # numbers of a batch of images: enough for the mean and the deviation of a channel
_FORBIDDEN = -1e9  # a logit whose probability is 0 in float32, and whose gradient is 0 rather than NaN


class Actor(nn.Module):
    """All that it takes to act: the statistics of the observations, the policy network and the spread of real actions.

    A discrete choice gets a logit a value; a real number gets a mean, and a learnt spread that is the same everywhere.
    The vector in an observation is normalised number by number, an image channel by channel.

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
        # The more numbers act at once, the less noise each: the noise of one hides what the others do.
        self.log_std = nn.Parameter(torch.full((self.reals,), -math.log(max(self.reals, 1)) / 3))
        self.observation_statistics = nn.ModuleDict()
        for name, shape in parts_of(observation_space).items():
            expected = 255.0 if len(shape) > 1 else 1.0  # of the first batch; bytes would fill the range otherwise
            self.observation_statistics[name] = RunningStatistics(shape[-1:], expected)

    def forward(self, observation: Any) -> torch.Tensor:
        """Returns the logits, then the means, then the logarithms of the spreads, shape (batch, n).

        Args:
            observation: a tensor of shape (batch, n) or (batch, height, width, channels), float32 or uint8, or a dict
                of these and the mask of the actions.
        """
        return self.judge(self.normalized(observation))

    def judge(self, normalized: Any) -> torch.Tensor:
        """Returns the same for observations that are `normalized`."""
        outputs = self.policy(normalized)
        if isinstance(normalized, dict) and ACTION_MASK in normalized:
            outputs = torch.where(normalized[ACTION_MASK] > 0, outputs, _FORBIDDEN)
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

    def draw(self, outputs: torch.Tensor, generator: torch.Generator, noise: torch.Tensor | None = None) -> Any:
        """Returns actions drawn with their probabilities, of the same kinds as `most_likely` returns.

        Args:
            outputs: as of `forward`.
            generator: of the random numbers.
            noise: of the real numbers, in standard deviations, shape (batch, n); None draws it.
        """
        noisy, count = outputs.clone(), sum(self.logits)
        if count:  # the largest of logit + Gumbel noise is a draw; the logarithm of exponential noise is -Gumbel
            noisy[:, :count] -= torch.empty(len(outputs), count).exponential_(generator=generator).log()
        if self.reals:
            means, log_stds = outputs[:, count:].chunk(2, dim=-1)
            noise = torch.randn(means.shape, generator=generator) if noise is None else noise
            noisy[:, count : count + self.reals] += noise * log_stds.exp()
        return self.most_likely(noisy)

    def log_probability(self, outputs: torch.Tensor, actions: Any) -> torch.Tensor:
        """Returns the logarithms of the probabilities of actions, of real numbers of their densities, shape (batch,)."""
        *logits, means, log_stds = outputs.split([*self.logits, self.reals, self.reals], dim=-1)
        chosen, drawn = actions if isinstance(actions, tuple) else (actions, actions)
        columns = chosen.long().reshape(len(outputs), -1).unbind(-1) if logits else ()
        parts = [-cross_entropy(part, column, reduction="none") for part, column in zip(logits, columns, strict=True)]
        if self.reals:
            squares = ((drawn - means) / log_stds.exp()).square()
            parts.append((-0.5 * (squares + math.log(2 * math.pi)) - log_stds).sum(-1))
        return reduce(torch.add, parts)

    def entropy(self, outputs: torch.Tensor) -> torch.Tensor:
        """Returns the entropies of what actions are drawn from, shape (batch,)."""
        *logits, _, log_stds = outputs.split([*self.logits, self.reals, self.reals], dim=-1)
        logs = [part.log_softmax(-1) for part in logits]
        parts = [-(part.exp() * part).sum(-1) for part in logs]
        return reduce(torch.add, parts, (log_stds + 0.5 * math.log(2 * math.pi * math.e)).sum(-1))

    def observe(self, observation: Any) -> None:
        """Takes a batch of observations into the statistics; of large images, some."""
        for name, statistics in self.observation_statistics.items():
            values = observation[name] if isinstance(observation, dict) else observation
            if values.dim() > 2:
                values = values[:: -(-values.numel() // _MOST_OBSERVED)].flatten(0, -2)
            statistics.update(values)

    def normalized(self, observation: Any) -> Any:
        """Returns the observations as the networks take them."""
        if not isinstance(observation, dict):
            (statistics,) = self.observation_statistics.values()
            return statistics.normalized(observation)
        parts = {name: one.normalized(observation[name]) for name, one in self.observation_statistics.items()}
        return observation | parts


def require_finite(outputs: torch.Tensor, observation: Any) -> torch.Tensor:
    """Returns a network's outputs, or raises ValueError that says which number isn't finite.

    It is not a part of `forward`, which is exported. RLlib itself would train on NaN for as long as it is let.
    """
    if math.isfinite(outputs.sum().item()) or torch.isfinite(outputs).all():  # the sum takes a fraction of the time
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
