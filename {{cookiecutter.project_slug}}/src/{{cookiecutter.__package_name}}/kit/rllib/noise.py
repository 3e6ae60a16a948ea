"""The noise of real actions: standard normal at each step, and half of it the same for a while."""

from typing import Any

import torch

from ..spaces import VECTOR

_STEPS = 64  # that a copy keeps its weights for, on average
_SHARE = 0.5  # of the variance that the weighted observation has; noise that is drawn at each step has the rest


class Noise:
    """Lets each copy of an environment try one thing for a while, where independent noise cancels out over the steps.

    Half of it is the observation weighted at random, which is state-dependent exploration (Raffin et al. 2022). The
    weights are standard normal and what they weigh has the length 1: at any one step the noise is standard normal, so
    that the probabilities of the actions hold.

    Args:
        copies: of the environment.
        reals: the numbers of an action.
        size: of the vector in an observation.
    """

    def __init__(self, copies: int, reals: int, size: int) -> None:
        self._weights = torch.randn(copies, reals, size + 1)

    def draw(self, observation: Any) -> torch.Tensor:
        """Returns the noise of the next actions of all copies, shape (copies, reals).

        Args:
            observation: of all copies, normalised.
        """
        copies, _, size = self._weights.shape
        anew = (torch.rand(copies) < 1 / _STEPS).nonzero()[:, 0]
        self._weights[anew] = torch.randn(len(anew), *self._weights.shape[1:])
        seen = torch.ones(copies, size, 1)  # the last number stays 1: an image on its own has no other
        if size > 1:
            seen[:, :-1, 0] = observation[VECTOR] if isinstance(observation, dict) else observation
        kept = (self._weights @ (seen / seen.norm(dim=1, keepdim=True)))[:, :, 0]
        return _SHARE**0.5 * kept + (1 - _SHARE) ** 0.5 * torch.randn(kept.shape)
