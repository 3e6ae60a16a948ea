"""How actions are chosen while the recorder plays: at random, one action all the time, extremes of a Box."""

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
    """A way to play: random actions, each held for some steps, or one constant action."""

    label: str
    action: Any = None
    hold: int = 1

    def chooser(self, space: Any, seed: int) -> Chooser:
        """Returns a function of (observation, info) that gives the next action and respects an action mask."""
        space = copy.deepcopy(space)
        space.seed(seed)
        held: list[Any] = []  # a random action, as often as it is still to be taken

        def choose(obs: Any, info: Any) -> Any:
            mask = mask_in(obs, info)
            start = int(getattr(space, "start", 0)) if isinstance(space, spaces.Discrete) else 0
            if self.action is not None and allows(mask, self.action, start) is not False:
                return copy_value(self.action)
            if mask is not None or not held:
                held[:] = [sample(space, mask)] * self.hold
            return copy_value(held.pop())

        return choose


RANDOM = Policy("random actions")
ACTION_REPEAT = Policy(f"random actions held for {ACTION_REPEAT_STEPS} steps", hold=ACTION_REPEAT_STEPS)


def sample(space: Any, mask: Any = None) -> Any:
    """Returns a random action: within the mask, if the space understands it, and within what somebody might play."""
    try:
        action = space.sample(mask) if mask is not None else space.sample()
    except Exception:
        action = space.sample()
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


def allows(mask: Any, action: Any, start: int = 0) -> bool | None:
    """Tells whether a mask allows an action; None where there is none, or it is of another space than Discrete."""
    if not isinstance(mask, np.ndarray) or not isinstance(action, int | np.integer):
        return None
    return dict(enumerate(mask.astype(bool).tolist())).get(int(action) - start)


def mask_allowed(episode: Any, step: int, action: Any) -> bool:
    """Tells whether an action mask was there before a step of an episode, and allows the action."""
    return allows(episode.mask if step == 1 else episode.steps[step - 2].mask, action) is True


def constant_policies(space: Any, limit: int = 6) -> list[Policy]:
    """Returns every action of a small Discrete space; the lowest, middle and highest of any other."""
    shares = np.linspace(0, 1, min(int(space.n), limit)) if isinstance(space, spaces.Discrete) else (0.0, 0.5, 1.0)
    actions = [_corner(space, share) for share in shares]
    names = [" ".join(str(action).split()) for action in actions]
    return [Policy(f"always action {n[:50]}", a) for n, a in zip(names, actions, strict=True) if a is not None]


def _corner(space: Any, share: float) -> Any:
    """Returns the lowest (0.0), middle (0.5) or highest (1.0) value of a space; None for spaces without such."""
    if isinstance(space, spaces.Box):
        low, high = space.low.astype(float), space.high.astype(float)
        low, high = np.where(np.abs(low) < EXTREME, low, -10.0), np.where(np.abs(high) < EXTREME, high, 10.0)
        return np.clip(low + share * (high - low), space.low, space.high).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        return np.int64(int(space.start) + round(share * (int(space.n) - 1)))
    if isinstance(space, spaces.MultiDiscrete):
        return (space.start + np.round(share * (space.nvec - 1))).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return np.full(space.shape, round(share + 0.01), space.dtype)
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return None
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else dict(enumerate(space.spaces))
    values = {key: _corner(part, share) for key, part in parts.items()}
    if any(value is None for value in values.values()):
        return None
    return values if isinstance(space, spaces.Dict) else tuple(values.values())
