"""Observations: each one, at every step of every episode, lies in the declared space and stays as it was."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import spaces

from ...spaces.membership import Problem, problems
from ..record.model import EnvRecord, Episode, NotJudged
from ..record.values import digest, leaves, same, size_in_bytes
from ..record.vector import parts
from .registry import Finding, check

LARGE_BYTES = 1_000_000
SCALE_LARGE = 1e3
SCALE_RATIO = 1e5
ENOUGH_STEPS, ENOUGH_EPISODES = 20, 4


def long_enough(record: EnvRecord, steps: int) -> list[Episode]:
    """Returns the episodes of at least so many steps; raises NotJudged if they are too few to tell anything."""
    episodes = [episode for episode in record.played if len(episode.steps) >= steps]
    if len(episodes) < ENOUGH_EPISODES or sum(len(episode.steps) for episode in episodes) < ENOUGH_STEPS:
        raise NotJudged("too few steps were played")
    return episodes


def _first(record: EnvRecord, kind: str) -> Iterator[Finding]:
    """Yields the first observation with this kind of problem for each path, and how often it came."""
    space = dict(parts(record.space("observation_space"), "observation"))
    for problem, episode, number, count in _problems(record).values():
        if problem.kind != kind:
            continue
        part = space.get(problem.path)
        harmless = kind == "bounds" and isinstance(part, spaces.Box) and part.dtype.kind == "f"
        times = f" ({count} observations in all)" if count > 1 else ""
        yield Finding(
            f"{problem.message}, {episode.at(number)}{times}",
            problem.fix,
            at="reset" if number == 0 else "step",
            severity="warning" if problem.mild else "error",
            blocks=kind != "dtype" and not harmless,  # the adapters convert dtypes, and clip or normalise floats
        )


@lru_cache(maxsize=1)  # six checks look at the same
def _problems(record: EnvRecord) -> dict[tuple[str, str], tuple[Problem, Episode, int, int]]:
    """Returns the first problem of each kind and path, the episode and step it came in, and how often it came."""
    space = record.space("observation_space")
    found: dict[tuple[str, str], tuple[Problem, Episode, int, int]] = {}
    for episode in record.resets:
        for number, obs in episode.observations():
            for problem in problems(space, obs):
                first = found.get((problem.kind, problem.path), (problem, episode, number, 0))
                found[problem.kind, problem.path] = (*first[:3], first[3] + 1)
    return found


@check(fix="return what the space declares")
def observation_type(record: EnvRecord) -> Iterator[Finding]:
    """Observations are of the space's type: an array for a Box, an int for a Discrete, a dict for a Dict.

    A list or a scalar is converted by some parts of the pipeline and not by others.
    """
    yield from _first(record, "type")


@check(fix="return what the space declares")
def observation_shape(record: EnvRecord) -> Iterator[Finding]:
    """Observations have the space's shape at every step.

    Stacking the copies into one batch fails at the first step that has another one.
    """
    yield from _first(record, "shape")


@check(fix="return what the space declares")
def observation_dtype(record: EnvRecord) -> Iterator[Finding]:
    """Observations have the space's dtype.

    float64 in a float32 space doubles the memory and fails `space.contains`; integers lose their fractions.
    """
    yield from _first(record, "dtype")


@check(fix="return what the space declares")
def observation_finite(record: EnvRecord) -> Iterator[Finding]:
    """Observations hold no NaN and no infinity.

    One NaN turns all weights of the network into NaN with the next update.
    """
    yield from _first(record, "finite")


@check(fix="return what the space declares")
def observation_bounds(record: EnvRecord) -> Iterator[Finding]:
    """Observations lie within the space's bounds, the last step of an episode included.

    Normalisation by the bounds and one-hot encodings rely on them: index n of a Discrete(n) is out of range.
    """
    yield from _first(record, "bounds")


@check(fix="return what the space declares")
def observation_keys(record: EnvRecord) -> Iterator[Finding]:
    """Dict observations have the keys of the space, at every step.

    A key that is missing in one late step ends the training there.
    """
    yield from _first(record, "keys")


@check(fix="return a copy: self._buffer.copy(), or build a new array each time", at="step")
def observation_not_overwritten(record: EnvRecord) -> Iterator[Finding]:
    """A returned observation does not change afterwards.

    RLlib stores observations by reference until the batch is built: an array that is overwritten turns all stored
    observations of the episode into the last one.
    """
    for episode in record.played:
        if episode.overwritten is not None:
            text = f"the observation returned {episode.at(episode.overwritten)} was overwritten in place afterwards"
            yield Finding(text, at="step" if episode.overwritten else "reset")
            return


@check(fix="make images smaller (84 x 84), use uint8, send features", at="step", severity="warning")
def observation_small(record: EnvRecord) -> Iterator[str]:
    """One observation weighs less than a megabyte.

    PPO keeps thousands of them and sends them between processes.
    """
    size = size_in_bytes(record.resets[0].obs)
    if size > LARGE_BYTES:
        yield f"one observation has {size / 1e6:.0f} MB; 4,000 of them, one training batch, have {size * 4e-6:.0f} GB"


def _features(record: EnvRecord) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Yields (path, space, values over time) of every Box in the observations."""
    columns: dict[str, list[Any]] = {}
    for episode in record.played:
        for _, obs in episode.observations():
            for path, leaf in leaves(obs):
                if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiu":
                    columns.setdefault(path, []).append(leaf)
    for path, part in parts(record.space("observation_space")):
        rows = columns.get(path, [])
        if isinstance(part, spaces.Box) and rows and len({row.shape for row in rows}) == 1:
            yield path, part, np.stack(rows[:1500])


@check(fix="divide each feature by its typical size", at="step", severity="warning")
def observation_scale(record: EnvRecord) -> Iterator[str | Finding]:
    """Features are of a size that a network can learn from.

    One feature of a million drowns all others; an image of 0 and 1 in a space of 0..255 is black after scaling.
    """
    for path, part, values in _features(record):
        if part.dtype == np.uint8 and len(part.shape) >= 2 and part.high.max() == 255:
            if 0 < values.max() <= 1:
                text = f"image observation{path} has values 0 and 1 only, in a space of 0..255: it is nearly all zero"
                yield Finding(text, "multiply by 255 before .astype(np.uint8)")
        elif part.dtype.kind == "f" and len(part.shape) == 3 and part.high.max() == 255 and values.max() > 2:
            text = f"image observation{path} holds floats of 0..255: four times the size of bytes, and badly scaled"
            yield Finding(text, "declare dtype=np.uint8, which is scaled for the network, or divide by 255")
        elif part.dtype.kind == "f":
            yield from _badly_scaled(path, values)


def _badly_scaled(path: str, values: np.ndarray) -> Iterator[str]:
    flat = values.reshape(len(values), -1).astype(float)
    flat = np.where(np.isfinite(flat), flat, 0)
    largest, spread = np.abs(flat).max(axis=0), np.ptp(flat, axis=0)
    moving = spread[spread > 0]
    ratio = moving.max() / moving.min() if moving.size else 1.0
    if largest.max() >= SCALE_LARGE or (largest.max() > 100 and ratio > SCALE_RATIO):
        rest = f", the smallest range of another entry is {moving.min():.3g}" if moving.size > 1 else ""
        index, size = int(largest.argmax()), largest.max()
        yield f"observation{path} is badly scaled: entry {index} reaches a magnitude of {size:.3g}{rest}"


@check(fix="compute it from the state in every step(); multiply float images by 255 before the cast", at="step",
       severity="warning")  # fmt: skip
def observation_changes(record: EnvRecord) -> Iterator[str]:
    """Observations change within an episode.

    A constant observation carries no information: a cached value, a float image cast to all-zero bytes.
    """
    episodes = long_enough(record, 4)
    if any(len({digest(obs) for _, obs in episode.observations()}) > 1 for episode in episodes):
        return
    everywhere = len({digest(episode.obs) for episode in episodes}) == 1
    extent = "in all episodes" if everywhere else "from the reset to the end of every episode"
    zero = isinstance(episodes[0].obs, np.ndarray) and not np.any(episodes[0].obs)
    yield f"the observation is constant{' (all zero)' if zero else ''} {extent}: it carries no information"


@check(fix="update the state first, then compute the observation to return", at="step", severity="warning")
def observation_up_to_date(record: EnvRecord) -> Iterator[str]:
    """The observation after a step shows that step.

    If it is computed before the state is updated, the agent acts one step late and never sees the end of an episode.
    """
    episodes = long_enough(record, 4)
    if len({digest(step.action) for episode in episodes for step in episode.steps[:1]}) < 2:
        raise NotJudged("all episodes begin with the same action")
    late = all(same(episode.obs, episode.steps[0].obs) for episode in episodes)
    moved = sum(not same(episode.steps[0].obs, episode.steps[1].obs) for episode in episodes)
    if late and moved >= 0.9 * len(episodes):
        yield (
            f"the observation is one step behind: in all {len(episodes)} episodes step 1 returned the observation of "
            "reset() once more, whatever the action, and step 2 another one"
        )
