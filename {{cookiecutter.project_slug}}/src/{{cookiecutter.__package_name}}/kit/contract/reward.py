"""The reward: a finite real number at every step. Its signal and scale are in `signals`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..spaces.membership import kind
from .registry import Finding, check, error, warning
from .study import Study
from .values import number


def _first(study: Study, wrong: Callable[[Any], bool]) -> tuple[Any, str] | None:
    """The first reward for which `wrong` holds, and where it came."""
    for episode in study.steps_played:
        for index, step in enumerate(episode.steps, 1):
            if wrong(step.reward):
                return step.reward, episode.at(index)
    return None


def _is_real(reward: Any) -> bool:
    return isinstance(reward, int | float | np.integer | np.floating | np.bool_)


@check()
def reward_type(study: Study) -> Iterator[Finding]:
    """The reward is one real number: float, int or their NumPy scalars.

    Arrays, None, text and complex numbers fail when the rewards of the copies are stacked, or become something else.
    """
    found = _first(study, lambda reward: not _is_real(reward) and not _is_scalar_array(reward))
    if found is not None:
        text = f"the reward must be one real number (float), got {kind(found[0])} {found[1]}"
        fix = "return float(reward); of an array, the entry or the sum that is meant"
        if isinstance(found[0], complex | np.complexfloating):
            fix = "a negative number to a fractional power is complex: use max(x, 0.0) ** 0.5 or abs(x)"
        yield error(text, fix, study.where("step"))
        return
    found = _first(study, lambda reward: isinstance(reward, bool | np.bool_) or _is_scalar_array(reward))
    if found is not None:
        text = f"the reward is of type {kind(found[0])} {found[1]}; expected a float"
        yield warning(text, "return float(reward)", study.where("step"))


def _is_scalar_array(reward: Any) -> bool:
    return isinstance(reward, np.ndarray) and reward.shape == () and reward.dtype.kind in "fiub"


@check()
def reward_finite(study: Study) -> Iterator[Finding]:
    """The reward is neither NaN nor infinite.

    One such reward turns the advantages, the loss and then all weights into NaN.
    """
    found = _first(study, lambda reward: _is_real(reward) and not np.isfinite(number(reward)))
    if found is not None:
        text = f"the reward is {number(found[0])}, not finite (NaN or infinite), {found[1]}"
        fix = "guard the division by zero, the log or the overflow that it comes from"
        yield error(text, fix, study.where("step"))
