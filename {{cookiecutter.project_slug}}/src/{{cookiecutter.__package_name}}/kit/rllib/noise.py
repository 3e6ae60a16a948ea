"""The noise of real actions: standard normal at each step, and a quarter of it the same for a while."""

from typing import Any

import torch
from torch.nn import functional

from ..spaces import VECTOR

_STEPS = 64  # that a copy keeps its weights for
_SHARE = 0.25  # of the variance, that is kept for a while; 0.5 delayed Pendulum


class Noise:
    """Lets each copy of an environment try one thing for a while, where independent noise cancels out over the steps.

    A quarter is the observation weighted at random, which is state-dependent exploration (Raffin et al. 2022). The
    weights are standard normal and what they weigh has the length 1: at any one step the noise is standard normal, so
    that the probabilities of the actions hold.

    Args:
        copies: of the environment.
        reals: the numbers of an action.
        size: of the vector in an observation.
    """

    def __init__(self, copies: int, reals: int, size: int) -> None:
        self._weights = torch.randn(copies, reals, size + 1)
        self._step = 0

    def draw(self, observation: Any) -> torch.Tensor:
        """Returns the noise of the next actions of all copies, shape (copies, reals).

        Args:
            observation: of all copies, normalised.
        """
        copies, reals, size = self._weights.shape
        anew = self._weights[self._step % _STEPS :: _STEPS]  # never all at once
        if len(anew):
            anew.copy_(torch.randn(anew.shape))
        self._step += 1
        if size == 1:  # an image has nothing to be weighted
            seen = torch.ones(copies, 1)
        else:
            vector = observation[VECTOR] if isinstance(observation, dict) else observation
            seen = functional.normalize(functional.pad(vector, (0, 1), value=1.0))
        alone = torch.randn(copies, reals, 1)
        both = torch.baddbmm(alone, self._weights, seen[:, :, None], beta=(1 - _SHARE) ** 0.5, alpha=_SHARE**0.5)
        return both[:, :, 0]
