"""Where two episodes differ first, and whether that is the chaos of a physics engine."""

import os
from typing import Any, NamedTuple

import numpy as np

from ...spaces.membership import kind, short
from .model import Episode
from .values import ABSOLUTE, RELATIVE, flat, leaves, same

ROUNDING, GROWTH = 1e-3, 2.0  # a relative difference this small at first, and larger later, is rounding, not a leak
NUMBERS = (int, float, complex, np.generic, np.ndarray)
SHOWN = 60  # characters of a value that is no number
SOLVER, MANY = 0.02, 8  # as is one this small of so many numbers at once: contacts are solved in another order


class Difference(NamedTuple):
    """The first step at which two episodes differ; 0 is the reset."""

    step: int
    what: str  # "observation", "reward", "terminated", "truncated" or "exception"
    left: Any
    right: Any
    episodes: tuple[Episode, Episode]

    def shown(self, left: str = "the first time", right: str = "the second") -> str:
        """Returns what differs and where: the first entry that does, in full, of both."""
        place, one, two = told_apart(self.left, self.right)
        return f"{self.what}{place} {self.episodes[0].at(self.step)}: {one} {left}, {two} {right}"

    @property
    def rounding(self) -> float | None:
        """The first relative difference of any size, if it is a physics engine's chaos; in units of the largest."""
        count = min(len(episode.steps) for episode in self.episodes)
        pairs = [[(e.obs, 0.0), *((step.obs, step.reward) for step in e.steps[:count])] for e in self.episodes]
        rows = [[flat(pair) for pair in episode] for episode in pairs]
        if len({row.shape for row in (*rows[0], *rows[1])}) != 1:
            return None
        ones, twos = np.stack(rows[0]), np.stack(rows[1])
        scale = np.maximum(np.abs(ones).max(axis=0), np.abs(twos).max(axis=0))
        each = np.abs(ones - twos) / np.where(scale > 0, scale, 1.0)
        if not np.isfinite(each).all() or not each.any():
            return None
        each = each[int(np.argmax(each.any(axis=1))) :]
        first = float(each[0].max())
        many = np.count_nonzero(each[0]) >= max(MANY, np.ptp(ones, axis=0).astype(bool).sum() / 2)
        return first if first <= (SOLVER if many else ROUNDING) and (many or each.max() >= GROWTH * first) else None


def told_apart(left: Any, right: Any) -> tuple[str, str, str]:
    """Returns where two values differ first, by key and index, and both texts: numbers in full, of others what differs."""
    ones, twos = dict(leaves(left)), dict(leaves(right))
    path = next((path for path in ones | twos if not same(ones.get(path, ...), twos.get(path, ...))), "")
    one, two = (values.get(path, ... if path else whole) for values, whole in ((ones, left), (twos, right)))
    left, right = (np.asarray(value if isinstance(value, NUMBERS) else None) for value in (one, two))
    if left.shape == right.shape and left.dtype.kind in "fiub" and right.dtype.kind in "fiub":
        wrong = np.argwhere(~np.isclose(left, right, RELATIVE, ABSOLUTE, equal_nan=True))
        index = tuple(wrong[0].tolist()) if len(wrong) else ()
        return f"{path}{list(index) or ''}", str(left[index]), str(right[index])
    texts = [short(value, 100 * SHOWN) if left.shape == right.shape else kind(value) for value in (one, two)]
    texts = ["nothing" if value is ... else text for value, text in zip((one, two), texts, strict=True)]
    same_start = len(os.path.commonprefix(texts)) if max(map(len, texts)) > SHOWN else 0
    start = max(same_start - SHOWN // 2, 0)
    one, two = ("…" * (start > 0) + text[start:][:SHOWN] + "…" * (len(text) > start + SHOWN) for text in texts)
    return path, one, two


def difference(left: Episode, right: Episode) -> Difference | None:
    """Returns the first step at which two episodes differ, None if they agree as far as both go."""
    both = (left, right)
    if left.has_reset and right.has_reset and not same(left.obs, right.obs):
        return Difference(0, "observation", left.obs, right.obs, both)
    for number, (one, two) in enumerate(zip(left.steps, right.steps, strict=False), 1):
        for name in ("obs", "reward", "terminated", "truncated"):
            if not same(getattr(one, name), getattr(two, name)):
                label = "observation" if name == "obs" else name
                return Difference(number, label, getattr(one, name), getattr(two, name), both)
    failed, other = both if left.error is not None else (right, left)
    if failed.error is not None and other.error is None and len(other.steps) > len(failed.steps):
        ours, theirs = (episode.error and episode.error.text for episode in both)
        return Difference(len(failed.steps) + 1, "exception", ours, theirs, both)
    return None


def stale(episodes: list[Episode], again: Episode) -> Difference | None:
    """Returns how two episodes of equal seed and policy differ, best by more than rounding, as one copy was used."""
    pairs = [(episodes[0], again)]
    firsts: dict[tuple[str, int], Episode] = {}
    for episode in episodes:
        if episode.seed is not None and (episode.has_reset or episode.error):
            pairs.append((firsts.setdefault((episode.policy.label, episode.seed), episode), episode))
    differing = [found for left, right in pairs if (found := difference(left, right)) is not None]
    return min(differing, key=lambda found: found.rounding is not None, default=None)
