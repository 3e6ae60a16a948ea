"""Networks that see observations, and learn returns, at a scale of about one, whatever scale the environment has."""

from collections.abc import Sequence

import torch
from torch import nn

_SMALLEST = 1e-8  # deviation of a number that has never changed


class RunningStatistics(nn.Module):
    """The mean and the standard deviation of all values seen so far, saved with the networks' weights."""

    count: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor

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
