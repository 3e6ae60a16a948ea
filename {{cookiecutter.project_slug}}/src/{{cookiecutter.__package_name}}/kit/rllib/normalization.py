"""Networks that see observations, and learn returns, at a scale of about one, whatever scale the environment has."""

from collections.abc import Sequence
from typing import Any

import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from torch import nn

from ..spaces import VECTOR
from .networks import ActorCritic

_FARTHEST = 10.0  # standard deviations from the mean; what lies beyond would drown everything else
_SMALLEST = 1e-8  # deviation of a number that has never changed


class RunningStatistics(nn.Module):
    """The mean and the standard deviation of all values seen so far, saved with the networks' weights."""

    def __init__(self, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        self.register_buffer("deviation", torch.ones(tuple(shape)))

    def update(self, values: torch.Tensor) -> None:
        """Takes in more values, shape (batch, *shape), by the parallel algorithm of Chan et al. 1979."""
        values = values.double()  # in float32 the variance of values far from 0 is lost
        share = len(values) / (float(self.count) + len(values))
        distance = values.mean(0) - self.mean
        variance = (1 - share) * self.deviation.double() ** 2 + share * values.var(0, correction=0)
        self.deviation.copy_((variance + share * (1 - share) * distance**2).sqrt().clamp(min=_SMALLEST))
        self.mean += share * distance
        self.count += len(values)


class NormalizedActorCritic(ActorCritic):
    """An ActorCritic that normalises the vector in its observations, and whose value network predicts normalised returns.

    The statistics are buffers of the module: RLlib sends them to every env runner with the weights, and saves them with
    the checkpoint, so evaluation and export see what training saw. Images are scaled already and stay as they are.
    """

    def setup(self) -> None:
        """Builds the networks and their statistics; RLlib calls it."""
        super().setup()
        self.observation_statistics = RunningStatistics((self.policy.vector_size,)) if self.policy.vector_size else None
        self.return_statistics = RunningStatistics()
        nn.init.zeros_(self.value.layers[-1].weight)  # the first returns are measured without a guess of their scale

    def train(self, mode: bool = True) -> "NormalizedActorCritic":
        """Switches between learning and acting; RLlib asks for it at every step, here only a change takes time."""
        return self if mode == self.training else super().train(mode)

    def observe(self, observation: Any) -> None:
        """Takes a batch of observations into the statistics."""
        if self.observation_statistics is not None:
            self.observation_statistics.update(observation[VECTOR] if isinstance(observation, dict) else observation)

    def observe_returns(self, returns: torch.Tensor) -> None:
        """Takes returns into the statistics, and adapts the last layer so that every value stays (van Hasselt 2016)."""
        statistics, head = self.return_statistics, self.value.layers[-1]
        mean, deviation = statistics.mean.clone(), statistics.deviation.clone()
        statistics.update(returns)
        with torch.no_grad():
            head.weight *= deviation / statistics.deviation
            head.bias.copy_((head.bias * deviation + mean - statistics.mean) / statistics.deviation)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Returns the value of each observation in the environment's own rewards, shape (batch,)."""
        statistics = self.return_statistics
        return super().compute_values(self._normalized(batch)) * statistics.deviation + statistics.mean

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return super()._forward(self._normalized(batch), **kwargs)

    def _normalized(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Returns the batch with a normalised copy of its observations."""
        statistics, observation = self.observation_statistics, batch[Columns.OBS]
        if statistics is None:
            return batch
        vector = observation[VECTOR] if isinstance(observation, dict) else observation
        vector = ((vector - statistics.mean) / statistics.deviation).clamp(-_FARTHEST, _FARTHEST)
        return {**batch, Columns.OBS: {**observation, VECTOR: vector} if isinstance(observation, dict) else vector}


class ObserveBatch(ConnectorV2):
    """Shows each batch to the networks' statistics before the networks judge it."""

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Returns the batch as it is; called by RLlib's learner."""
        for module_id, columns in batch.items():
            module = rl_module[module_id].unwrapped()
            if isinstance(module, NormalizedActorCritic):
                module.observe(columns[Columns.OBS])
        return batch
