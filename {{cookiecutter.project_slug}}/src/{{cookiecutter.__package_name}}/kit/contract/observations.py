"""Observations: each one, at every step of every episode, lies in the declared space and stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ..spaces.membership import Problem, problems
from .recording import Episode
from .registry import Finding, check, error, warning
from .spaces import parts
from .study import Study
from .values import leaves, size_in_bytes

LARGE_BYTES = 1_000_000
SCALE_LARGE = 1e3
SCALE_RATIO = 1e5


def _first(study: Study, kind: str) -> Iterator[Finding]:
    """The first observation with this kind of problem for each path, and how often it came."""
    if "observation problems" not in study.cache:
        study.cache["observation problems"] = _collect(study)
    found: dict[tuple[str, str], tuple[Problem, Episode, int, int]] = study.cache["observation problems"]
    for (problem_kind, _), (problem, episode, number, count) in found.items():
        if problem_kind == kind:
            times = f" ({count} observations in all)" if count > 1 else ""
            where = study.where("reset" if number == 0 else "step")
            finding = warning if problem.mild else error
            yield finding(f"{problem.message}, {episode.at(number)}{times}", problem.fix, where)


def _collect(study: Study) -> dict[tuple[str, str], tuple[Problem, Episode, int, int]]:
    space = study.space("observation_space")
    found: dict[tuple[str, str], tuple[Problem, Episode, int, int]] = {}
    for episode in study.episodes:
        for number, obs in episode.observations():
            for problem in problems(space, obs):
                key = (problem.kind, problem.path)
                first = found.get(key, (problem, episode, number, 0))
                found[key] = (*first[:3], first[3] + 1)
    return found


@check()
def observation_type(study: Study) -> Iterator[Finding]:
    """Observations are of the space's type: an array for a Box, an int for a Discrete, a dict for a Dict.

    A list or a scalar is converted by some parts of the pipeline and not by others.
    """
    yield from _first(study, "type")


@check()
def observation_shape(study: Study) -> Iterator[Finding]:
    """Observations have the space's shape at every step.

    Stacking the copies into one batch fails at the first step that has another one.
    """
    yield from _first(study, "shape")


@check()
def observation_dtype(study: Study) -> Iterator[Finding]:
    """Observations have the space's dtype.

    float64 in a float32 space doubles the memory and fails `space.contains`; integers lose their fractions.
    """
    yield from _first(study, "dtype")


@check()
def observation_finite(study: Study) -> Iterator[Finding]:
    """Observations hold no NaN and no infinity.

    One NaN turns all weights of the network into NaN with the next update.
    """
    yield from _first(study, "finite")


@check()
def observation_bounds(study: Study) -> Iterator[Finding]:
    """Observations lie within the space's bounds, the last step of an episode included.

    Normalisation by the bounds and one-hot encodings rely on them: index n of a Discrete(n) is out of range.
    """
    yield from _first(study, "bounds")


@check()
def observation_keys(study: Study) -> Iterator[Finding]:
    """Dict observations have the keys of the space, at every step.

    A key that is missing in one late step ends the training there.
    """
    yield from _first(study, "keys")


@check()
def observation_not_overwritten(study: Study) -> Iterator[Finding]:
    """A returned observation does not change afterwards.

    RLlib stores observations by reference until the batch is built: an array that is overwritten in place turns
    all stored observations of the episode into the last one.
    """
    for episode in study.steps_played:
        number = episode.overwritten()
        if number is not None:
            text = (
                f"the observation returned {episode.at(number)} changed afterwards: it is aliased, the same array is "
                "returned again and overwritten in place"
            )
            where = study.where("reset" if number == 0 else "step")
            yield error(text, "return a copy: self._buffer.copy(), or build a new array each time", where)
            return


@check()
def observation_small(study: Study) -> Iterator[Finding]:
    """One observation weighs less than a megabyte.

    PPO keeps thousands of them and sends them between processes.
    """
    size = size_in_bytes(study.episodes[0].obs)
    if size > LARGE_BYTES:
        text = (
            f"one observation is large: {size / 1e6:.0f} MB; 4,000 of them, one training batch, are "
            f"{size * 4e-6:.0f} GB"
        )
        yield warning(text, "make images smaller (84 x 84), use uint8, send features", study.where("step"))


def _features(study: Study) -> Iterator[tuple[str, Any, np.ndarray]]:
    """(path, space, values over time) of every numeric leaf of the observations."""
    space = study.space("observation_space")
    columns: dict[str, list[Any]] = {}
    for episode in study.steps_played:
        for _, obs in episode.observations():
            for path, leaf in leaves(obs):
                if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiu":
                    columns.setdefault(path, []).append(leaf)
    for path, part in parts(space, ""):
        rows = columns.get(path, [])
        if isinstance(part, spaces.Box) and rows and len({row.shape for row in rows}) == 1:
            yield path, part, np.stack(rows[:1500])


@check()
def observation_scale(study: Study) -> Iterator[Finding]:
    """Features are of a size that a network can learn from.

    One feature of a million drowns all others; an image of 0 and 1 in a space of 0..255 is black after scaling.
    """
    for path, part, values in _features(study):
        where = study.where("step")
        if part.dtype == np.uint8 and len(part.shape) >= 2 and part.high.max() == 255:
            if 0 < values.max() <= 1:
                text = (
                    f"image observation{path} has values 0 and 1 only, in a space of 0..255: a wrong scale, "
                    "(nearly) all "
                    "zero"
                )
                yield warning(text, "multiply by 255 before .astype(np.uint8)", where)
            continue
        if part.dtype.kind != "f":
            continue
        if len(part.shape) == 3 and part.high.max() == 255 and values.max() > 2:
            text = f"image observation{path} holds floats of 0..255: badly scaled, and four times the size of bytes"
            yield warning(text, "declare dtype=np.uint8, which is scaled for the network, or divide by 255", where)
            continue
        flat = values.reshape(len(values), -1).astype(float)
        largest = np.abs(np.where(np.isfinite(flat), flat, 0)).max(axis=0)
        spread = np.ptp(np.where(np.isfinite(flat), flat, 0), axis=0)
        moving = spread[spread > 0]
        ratio = moving.max() / moving.min() if moving.size else 1.0
        if largest.max() >= SCALE_LARGE or (largest.max() > 100 and ratio > SCALE_RATIO):
            text = (
                f"observation{path} is badly scaled: entry {int(largest.argmax())} reaches a magnitude of "
                f"{largest.max():.3g}"
                + (f", the smallest range of another entry is {moving.min():.3g}" if moving.size > 1 else "")
            )
            yield warning(text, "divide each feature by its typical size, or use a normaliser (MeanStdFilter)", where)
