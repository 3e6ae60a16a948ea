"""Where chance or old state may come from: guesses that make a message more helpful."""

from __future__ import annotations

import numpy as np

from ..spaces.membership import short
from .locations import unwrapped
from .policies import RANDOM, constant_policies
from .recording import Episode, play
from .study import Study


def suspects(study: Study) -> str:
    """What probably is the source of the randomness."""
    env = unwrapped(study.env)
    found = []
    for name, label in (
        ("numpy_rng", "np.random (the global generator of NumPy)"),
        ("python_rng", "the random module"),
    ):
        if any(touched(episode, name) for episode in study.episodes):
            found.append(f"it draws from {label}")
    for name in ("action_space", "observation_space"):
        state = getattr(getattr(env, name, None), "_np_random", None)
        before = getattr(study.first_spaces.get(name), "_np_random", None)
        if state is not None and (before is None or before.bit_generator.state != state.bit_generator.state):
            found.append(f"it draws from {name}.sample(), which reset(seed=...) does not seed")
    if callable(getattr(env, "seed", None)):
        found.append("it has an old seed() method, which nobody calls")
    if getattr(env, "_np_random_seed", None) in (None, -1):
        found.append("reset() does not call super().reset(seed=seed)")
    return f" ({'; '.join(found)})" if found else " (a generator of its own, the time, a set or hash?)"


def touched(episode: Episode, name: str) -> bool:
    """Whether a global generator was used or seeded in an episode."""
    shots = [shot for shot in (episode.before, episode.after_reset, episode.after_steps) if shot is not None]
    return any(getattr(shot, name) != getattr(shots[0], name) for shot in shots)


def changed_attributes(study: Study) -> str:
    """Names of attributes that differ between a used and a fresh copy: candidates for what leaks."""
    policy = constant_policies(study.space("action_space"), 2)[-1:] or [RANDOM]
    chooser = policy[0].chooser(study.space("action_space"), 0)
    play(study.env, Episode(1, policy[0], 0, fresh=False), chooser, 4, study.pulse)
    fresh, used = unwrapped(study.another()), unwrapped(study.env)
    names = []
    for name, value in vars(used).items() if hasattr(used, "__dict__") else ():
        kinds = (int, float, str, bool, list, dict, tuple, set, np.ndarray)
        if (
            isinstance(value, kinds)
            and not name.startswith("_np_random")
            and short(vars(fresh).get(name)) != short(value)
        ):
            names.append(name)
    return f": look at {', '.join('self.' + name for name in names[:6])}" if names else ""
