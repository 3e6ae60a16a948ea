"""Where two episodes differ first, and whether that is rounding which a physics engine has let grow."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...spaces.membership import short
from .model import Episode
from .values import flat, leaves, same

ROUNDING = 1e-3  # a relative difference this small at first may be rounding
GROWTH = 2.0  # by so much it must grow afterwards, as chaos does; a leak shows its full size at once


class Difference(NamedTuple):
    """The first step at which two episodes differ.

    Attributes:
        step: 0 is the reset.
        what: "observation", "reward", "terminated", "truncated" or "exception".
        rounding: the relative difference at first, where it was rounding that has grown; else None.
    """

    step: int
    what: str
    left: Any
    right: Any
    rounding: float | None = None

    def shown(self, episode: Episode, left: str = "the first time", right: str = "the second") -> str:
        """Returns what differs and where, with both values; of arrays the first entry that differs, in full."""
        place, one, two = _first_entry(self.left, self.right)
        return f"{self.what}{place} {episode.at(self.step)}: {one} {left}, {two} {right}"


def _first_entry(left: Any, right: Any) -> tuple[str, str, str]:
    """Returns the path to the first leaf or array entry that differs, and both texts."""
    ones, twos = dict(leaves(left)), dict(leaves(right))
    if ones.keys() == twos.keys():
        for path, one in ones.items():
            two = twos[path]
            if same(one, two):
                continue
            if isinstance(one, np.ndarray) and isinstance(two, np.ndarray) and one.shape == two.shape and one.size > 1:
                differs = (
                    ~np.isclose(one, two, rtol=1e-6, atol=1e-9, equal_nan=True)
                    if one.dtype.kind in "fiub"
                    else one != two
                )
                index = tuple(int(i) for i in np.argwhere(differs)[0])
                return f"{path}{list(index)}", str(one[index]), str(two[index])
            return path, short(one, 60), short(two, 60)
    return "", short(left, 60), short(right, 60)


def difference(left: Episode, right: Episode) -> Difference | None:
    """Returns the first step at which two episodes differ, None if they agree as far as both go."""
    found = _first(left, right)
    return None if found is None else found._replace(rounding=_rounding(left, right))


def repetitions(episodes: list[Episode], again: Episode) -> Iterator[tuple[Episode, Episode]]:
    """Yields pairs of episodes with equal seed and policy, of which the later was played on a used copy."""
    yield episodes[0], again
    seen: dict[tuple[str, int], Episode] = {}
    for episode in episodes:
        if episode.seed is not None and (episode.has_reset or episode.error):
            key = (episode.policy.label, episode.seed)
            if key in seen:
                yield seen[key], episode
            seen.setdefault(key, episode)


def stale(episodes: list[Episode], again: Episode) -> tuple[Episode, Episode, Difference] | None:
    """Returns two episodes with equal seed and actions that differ since the second was played on a used copy.

    One that differs by more than rounding goes first.
    """
    found = [(left, right, difference(left, right)) for left, right in repetitions(episodes, again)]
    differing = [(left, right, what) for left, right, what in found if what is not None]
    return min(differing, key=lambda each: each[2].rounding is not None, default=None)


def _first(left: Episode, right: Episode) -> Difference | None:
    if left.has_reset and right.has_reset and not same(left.obs, right.obs):
        return Difference(0, "observation", left.obs, right.obs)
    for number, (one, two) in enumerate(zip(left.steps, right.steps, strict=False), 1):
        for name in ("obs", "reward", "terminated", "truncated"):
            if not same(getattr(one, name), getattr(two, name)):
                label = "observation" if name == "obs" else name
                return Difference(number, label, getattr(one, name), getattr(two, name))
    for one_episode, other in ((left, right), (right, left)):
        if one_episode.error is not None and other.error is None and len(other.steps) > len(one_episode.steps):
            texts = [episode.error and episode.error.text for episode in (left, right)]
            return Difference(len(one_episode.steps) + 1, "exception", *texts)
    return None


def _rounding(left: Episode, right: Episode) -> float | None:
    """Returns the first relative difference of any size, if it is as small as rounding and grows afterwards.

    Each number is measured by its largest magnitude in both episodes.
    """
    count = min(len(left.steps), len(right.steps)) + 1
    rows = [_numbers(episode, count) for episode in (left, right)]
    if rows[0] is None or rows[1] is None or rows[0].shape != rows[1].shape or not rows[0].size:
        return None
    scale = np.maximum(np.abs(rows[0]).max(axis=0), np.abs(rows[1]).max(axis=0))
    sizes = (np.abs(rows[0] - rows[1]) / np.where(scale > 0, scale, 1.0)).max(axis=1)
    if not np.isfinite(sizes).all() or not sizes.any():
        return None
    start = int(np.argmax(sizes > 0))
    first = float(sizes[start])
    return first if first <= ROUNDING and sizes[start:].max() >= GROWTH * first else None


def _numbers(episode: Episode, count: int) -> np.ndarray | None:
    """Returns the numbers of the first observations and rewards, a row each; None if their count changes."""
    rows = [flat((episode.obs, 0.0)), *(flat((step.obs, step.reward)) for step in episode.steps[: count - 1])]
    return np.stack(rows) if len({row.shape for row in rows}) == 1 and len(rows) == count else None
