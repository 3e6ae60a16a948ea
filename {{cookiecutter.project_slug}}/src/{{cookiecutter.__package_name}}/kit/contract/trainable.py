"""Whether PPO can learn with the declared spaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..spaces import UnsupportedSpace, adapt, unseen
from ..spaces.membership import short
from .registry import Finding, check, warning
from .spaces import declared, parts
from .study import Study

LARGE_DISCRETE = 10_000


@check()
def spaces_trainable(study: Study) -> Iterator[Finding]:
    """PPO can learn with the spaces.

    This project's adapters take nearly any Gymnasium space; plain RLlib takes fewer and fails, or silently sends other
    actions.
    """
    where = study.where("__init__")
    found = list(declared(study))
    if isinstance(study.env, gym.Env) and len(found) == 2:
        try:
            adapt(study.env)
        except UnsupportedSpace as problem:
            text = f"an unsupported space for training: {problem}"
            yield warning(text, "declare one of the spaces in the tables of the README", where)
        for name, space in unseen(study.env.observation_space).items():
            text = f"{name}: {short(space)} is not seen by the policy: PPO's networks can't take it"
            yield warning(text, "declare one of Gymnasium's own spaces, such as Text, if it should be", where)
    for name, space in found:
        for path, part in parts(space, name):
            yield from _untrainable(name, path, part, where)


def _untrainable(name: str, path: str, part: Any, where: str | None) -> Iterator[Finding]:
    acts = name == "action_space"
    if acts and isinstance(part, spaces.Discrete | spaces.MultiDiscrete) and np.any(part.start != 0):
        text = (
            f"{path} is {part} with a non-zero start: plain RLlib ignores start and sends actions 0..n-1, outside the "
            "space; this project's adapter shifts them"
        )
        yield warning(text, "declare start=0 and add the offset in step()", where)
    elif acts and isinstance(part, spaces.Box) and not part.is_bounded("both"):
        text = f"{path} is unbounded (infinite bounds): RLlib cannot scale actions to it, and PPO explores near 0 only"
        yield warning(text, "declare finite bounds, best -1 and 1, and scale in step()", where)
    elif isinstance(part, spaces.Discrete) and int(part.n) > LARGE_DISCRETE:
        text = f"{path} is {part}: as one-hot vector or list of logits it is too large a scale for a network"
        yield warning(text, "split it into parts (MultiDiscrete), or give the numbers behind it as a Box", where)
    elif not acts and _is_channels_first(part):
        text = f"{path} of shape {part.shape} looks channels-first; RLlib's CNN reads the last axis as channels"
        yield warning(text, "return np.moveaxis(image, 0, -1), that is (height, width, channels)", where)


def _is_channels_first(part: Any) -> bool:
    channels = (1, 3, 4)
    return (
        isinstance(part, spaces.Box)
        and len(part.shape) == 3
        and part.shape[0] in channels
        and part.shape[2] not in channels
    )
