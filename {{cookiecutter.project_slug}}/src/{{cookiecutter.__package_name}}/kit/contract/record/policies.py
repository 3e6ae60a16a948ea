"""How actions are chosen while the checks watch: at random, one action all the time, extremes of a Box."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from .values import copy_value

EXTREME = 1e6  # bounds beyond it are no real extremes: nobody plays them
ACTION_REPEAT_STEPS = 7  # held that long, random actions carry an environment to far-off states

Chooser = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Policy:
    """A way to play: "random", "action repeat" (random, held for some steps) or one constant action."""

    label: str
    action: Any = None
    hold: int = 1

    def chooser(self, space: Any, seed: int) -> Chooser:
        """Returns a function of (observation, info) that gives the next action and respects an action mask."""
        space = copy.deepcopy(space)
        space.seed(seed)
        if self.action is not None:
            return lambda obs, info: self._allowed(space, mask_in(obs, info))
        held: list[Any] = [None, 0]

        def choose(obs: Any, info: Any) -> Any:
            mask = mask_in(obs, info)
            if held[1] % self.hold == 0 or mask is not None:
                held[0] = sample(space, mask)
            held[1] += 1
            return copy_value(held[0])

        return choose

    def _allowed(self, space: Any, mask: Any) -> Any:
        if mask is not None and isinstance(space, spaces.Discrete):
            index = int(self.action) - int(space.start)
            if 0 <= index < len(mask) and not mask[index]:
                return sample(space, mask)
        return copy_value(self.action)


RANDOM = Policy("random actions")
ACTION_REPEAT = Policy(f"random actions held for {ACTION_REPEAT_STEPS} steps", hold=ACTION_REPEAT_STEPS)


def sample(space: Any, mask: Any = None) -> Any:
    """Returns a random action, within the mask where there is one and the space understands it."""
    if mask is not None:
        try:
            return space.sample(mask)
        except Exception:
            return space.sample()
    return _tame(space, space.sample())


def _tame(space: Any, action: Any) -> Any:
    """Keeps samples of unbounded or absurdly wide Boxes in a range that somebody might play."""
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return np.clip(action, -EXTREME, EXTREME).astype(space.dtype)
    return action


def mask_in(obs: Any, info: Any) -> Any:
    """Returns the action mask in an observation or info, as int8 for Gymnasium's `sample`."""
    for holder in (obs, info):
        if isinstance(holder, dict) and "action_mask" in holder:
            mask = holder["action_mask"]
            return np.asarray(mask).astype(np.int8) if isinstance(mask, np.ndarray | list) else mask
    return None


def constant_policies(space: Any, limit: int = 6) -> list[Policy]:
    """Returns every action of a small Discrete space; the lowest, middle and highest of any other."""
    if isinstance(space, spaces.Discrete):
        count = int(space.n)
        numbers = range(count) if count <= limit else np.linspace(0, count - 1, limit).astype(int)
        actions = [np.int64(int(space.start) + int(i)) for i in numbers]
    else:
        actions = [corner(space, share) for share in (0.0, 0.5, 1.0)]
    return [Policy(f"always action {_name(a)}", action=a) for a in actions if a is not None]


def _name(action: Any) -> str:
    text = " ".join(str(action).split())
    return text if len(text) < 50 else text[:49] + "…"


def corner(space: Any, share: float) -> Any:
    """Returns the lowest (0.0), middle (0.5) or highest (1.0) value of a space; None for spaces without such."""
    if isinstance(space, spaces.Box):
        low, high = np.maximum(space.low.astype(float), -10.0), np.minimum(space.high.astype(float), 10.0)
        low = np.where(np.abs(space.low.astype(float)) < EXTREME, space.low, low)
        high = np.where(np.abs(space.high.astype(float)) < EXTREME, space.high, high)
        value = low + share * (high - low)
        return np.clip(value, space.low, space.high).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        return np.int64(int(space.start) + round(share * (int(space.n) - 1)))
    if isinstance(space, spaces.MultiDiscrete):
        return (space.start + np.round(share * (space.nvec - 1))).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return np.full(space.shape, round(share + 0.01), space.dtype)
    if isinstance(space, spaces.Dict):
        parts = {key: corner(part, share) for key, part in space.items()}
        return None if any(part is None for part in parts.values()) else parts
    if isinstance(space, spaces.Tuple):
        values = tuple(corner(part, share) for part in space.spaces)
        return None if any(value is None for value in values) else values
    return None
