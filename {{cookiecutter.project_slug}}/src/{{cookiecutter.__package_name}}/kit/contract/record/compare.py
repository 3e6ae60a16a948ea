"""Where two episodes differ first, and whether that is the chaos of a physics engine."""

from typing import Any, NamedTuple

import numpy as np

from ...spaces.membership import short
from .model import Episode
from .values import ABSOLUTE, RELATIVE, flat, leaves, same

ROUNDING, GROWTH = 1e-3, 2.0  # a relative difference this small at first, and larger later, is rounding, not a leak
SOLVER, MANY = 0.02, 8  # as is one this small of so many numbers at once: contacts are solved in another order


class Difference(NamedTuple):
    """The first step at which two episodes differ; 0 is the reset."""

    step: int
    what: str  # "observation", "reward", "terminated", "truncated" or "exception"
    left: Any
    right: Any
    episodes: tuple[Episode, Episode]

    def shown(self, left: str = "the first time", right: str = "the second") -> str:
        """Returns what differs and where, with both values; of arrays the first entry that differs, in full."""
        place, one, two = _first_entry(self.left, self.right)
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


def _first_entry(left: Any, right: Any) -> tuple[str, str, str]:
    """Returns the path to the first leaf or array entry that differs, and both texts."""
    ones, twos = dict(leaves(left)), dict(leaves(right))
    path = next((path for path, one in ones.items() if path in twos and not same(one, twos[path])), None)
    if path is None or ones.keys() != twos.keys():
        return "", short(left, 60), short(right, 60)
    one, two = np.asarray(ones[path]), np.asarray(twos[path])
    if one.shape != two.shape or one.size < 2 or one.dtype.kind not in "fiub":
        return path, short(ones[path], 60), short(twos[path], 60)
    index = tuple(np.argwhere(~np.isclose(one, two, RELATIVE, ABSOLUTE, equal_nan=True))[0].tolist())
    return f"{path}{list(index)}", str(one[index]), str(two[index])


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
