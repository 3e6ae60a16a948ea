"""Networks that see observations, and learn returns, at a scale of about one, whatever scale the environment has."""

from collections.abc import Sequence

import torch
from torch import distributed, nn

_SMALLEST = 1e-8  # deviation of a number that has never changed
_FARTHEST = 10.0  # deviations from the mean; what lies beyond would drown everything else


def total(values: torch.Tensor) -> torch.Tensor:
    """Returns the sum of the values of all learners, element by element; where there is one, its own."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
    return values


def moments(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the number, the mean and the variance, over the first dimension, of the values of all learners together."""
    count, own_mean = total(values.new_tensor(len(values))), values.mean(0)
    mean = total(own_mean * len(values)) / count
    variance = total((values.var(0, correction=0) + (own_mean - mean) ** 2) * len(values)) / count
    return count, mean, variance


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
        count, mean, variance = moments(values.double())  # in float32 the variance of values far from 0 is lost
        share = count / (self.count + count)
        distance = mean - self.mean
        variance = (1 - share) * self.deviation.double() ** 2 + share * variance
        self.deviation.copy_((variance + share * (1 - share) * distance**2).sqrt().clamp(min=_SMALLEST))
        self.mean += share * distance
        self.count += count

    def normalized(self, values: torch.Tensor) -> torch.Tensor:
        """Returns values in deviations from the mean, float32."""
        return values.sub(self.mean).div_(self.deviation).clamp_(-_FARTHEST, _FARTHEST)
