"""Observations: each one, at every step of every episode, lies in the declared space and stays as it was."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ...spaces.membership import Problem, problems
from ..record.env_record import EnvRecord
from ..record.model import Episode, NotJudged
from ..record.values import digest, leaves, same, size_in_bytes
from .registry import ALL_ALIKE, EACH, Finding, Findings, check, faults
from .spaces import parts

SCALE_RATIO, ENOUGH_STEPS, ENOUGH_EPISODES, LARGE_BYTES = 1e8, 20, 4, 1_000_000
FLOAT32_STEPS = 1e6  # of these between 0 and a number, float32 loses most of the differences


def long_enough(record: EnvRecord, steps: int) -> list[Episode]:
    """Returns the episodes of at least so many steps; raises NotJudged if they are too few to tell anything."""
    episodes = [episode for episode in record.played if len(episode.steps) >= steps]
    if len(episodes) < ENOUGH_EPISODES or sum(len(episode.steps) for episode in episodes) < ENOUGH_STEPS:
        raise record.cut("too few steps were played")
    return episodes


def _judge_kind(name: str, kind: str, doc: str) -> None:
    """Registers the check of one kind of problem: the first observation with it for each path, and how often."""

    def judge(record: EnvRecord) -> Findings:
        space = parts(record.space("observation_space"), "observation")
        for problem, episode, number, count in _problems(record).values():
            if problem.kind == kind:
                part = space.get(problem.path)
                harmless = kind == "bounds" and isinstance(part, spaces.Box) and part.low.dtype.kind == "f"
                blocks = not (harmless or problem.mild or kind == "dtype")
                text = f"{problem.message}, {episode.at(number)}{f' ({count} in all)' if count > 1 else ''}"
                severity, at = "warning" if problem.mild else "error", "step" if number else "reset"
                # the adapters convert dtypes, and floats beyond their bounds are normalised
                yield Finding(text, problem.fix, at=at, severity=severity, blocks=blocks)

    judge.__name__, judge.__doc__ = name, doc
    check(fix="return what the space declares", several=EACH)(judge)


def _problems(record: EnvRecord) -> dict[tuple[str, str], tuple[Problem, Episode, int, int]]:
    """Returns the first problem of each kind and path, the episode and step it came in, and how often it came."""
    if "problems" in record.memo:  # six checks look at the same
        return record.memo["problems"]
    space = record.space("observation_space")
    found: dict[tuple[str, str], tuple[Problem, Episode, int, int]] = {}
    for episode in record.resets:
        for number, obs in episode.observations():
            for problem in problems(space, obs):
                first = found.get((problem.kind, problem.path), (problem, episode, number, 0))
                found[problem.kind, problem.path] = (*first[:3], first[3] + 1)
    record.memo["problems"] = found
    return found


_judge_kind("observation_type", "type", "Observations are of the space's type: an array for a Box, a dict for a Dict.")
_judge_kind("observation_shape", "shape", "Observations have the space's shape at every step: they are stacked.")
_judge_kind("observation_dtype", "dtype", "Observations have the space's dtype; integers lose their fractions.")
_judge_kind("observation_finite", "finite", "Observations hold no NaN and no infinity, which would spoil the weights.")
_judge_kind("observation_bounds", "bounds", "Observations lie within the space's bounds, at the last step too.")
_judge_kind("observation_keys", "keys", "Dict observations have the keys of the space at every step.")


@check(fix="write np.clip(observation, space.low, space.high), after the cast to the space's dtype", at="step", mild=True,
       once=True, several=EACH)  # fmt: skip
def observation_bounds_exact(record: EnvRecord) -> Findings:
    """Observations do not even miss their bounds by rounding: training takes it, checkers that ask `contains` don't."""
    wrong = {path for kind, path in _problems(record) if kind == "bounds"}
    for path, part, values in _features(record):
        if part.dtype.kind == "f" and values.shape[1:] == part.shape and f"observation{path}" not in wrong:
            beyond = np.maximum(part.low - values, values - part.high)
            if (beyond > 0).any():
                step, *index = np.unravel_index(np.argmax(beyond), beyond.shape)
                place, bounds = tuple(index), [str(bound[tuple(index)]) for bound in (part.low, part.high)]
                name = f"observation{path}{list(map(int, place)) or ''}"
                yield f"{name} is {values[step][place]!s}, outside its bounds [{', '.join(bounds)}] by rounding"


@check(fix="return a copy: self._buffer.copy(), or build a new array each time", once=True)
def observation_not_overwritten(record: EnvRecord) -> Findings:
    """A returned observation does not change afterwards: RLlib stores it by reference until the batch is built."""
    return faults(record, "observation overwritten")


@check(fix="make images smaller (84 x 84), use uint8, send features", at="step", mild=True, several=EACH)
def observation_small(record: EnvRecord) -> Findings:
    """One observation weighs less than a megabyte: PPO keeps thousands of them."""
    size = size_in_bytes(record.resets[0].obs)
    if size > LARGE_BYTES:
        yield f"one observation has {size / 1e6:.0f} MB; 4,000 of them, a training batch, have {size * 4e-6:.0f} GB"


def _features(record: EnvRecord) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Yields (path, space, values over time) of every Box in the observations."""
    columns: dict[str, list[Any]] = {}
    for episode in record.played:
        for _, obs in episode.observations():
            for path, leaf in leaves(obs):
                if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiu":
                    columns.setdefault(path, []).append(leaf)
    for path, part in parts(record.space("observation_space"), "").items():
        rows = columns.get(path, [])
        if isinstance(part, spaces.Box) and rows and len({row.shape for row in rows}) == 1:
            yield path, part, np.stack(rows[:1500])


@check(fix="divide each feature by its typical size", at="step", mild=True, several=EACH)
def observation_scale(record: EnvRecord) -> Findings:
    """Features are of a size that float32 and a network can hold; within that, this PPO normalises each entry."""
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


def _badly_scaled(path: str, values: np.ndarray) -> Findings:
    flat = values.reshape(len(values), -1).astype(float)
    flat = np.where(np.isfinite(flat), flat, 0)
    largest, spread = np.abs(flat).max(axis=0), np.ptp(flat, axis=0)
    moving = np.flatnonzero(spread)
    if not moving.size:
        return
    index = int(moving[largest[moving].argmax()])
    rounding = np.maximum(np.finfo(values.dtype).eps * largest, np.finfo(float).eps * largest.max())
    least = int(np.where(spread > 4 * rounding, spread, np.inf).argmin())
    text = f"observation{path} is badly scaled: entry {index} reaches a magnitude of {largest[index]:.3g}"
    if largest[index] > FLOAT32_STEPS * spread[index]:
        text += f" but moves by {spread[index]:.3g} only, which float32 hardly holds"
        yield Finding(text, "subtract what is always there, such as the first value of the episode")
    elif spread[index] > SCALE_RATIO * spread[least]:
        yield f"{text}, entry {least} moves by {spread[least]:.3g}; this PPO normalises both, others drown the small one"


@check(fix="compute it in every step(); multiply float images by 255 before the cast", at="step", mild=True,
       several=ALL_ALIKE)  # fmt: skip
def observation_changes(record: EnvRecord) -> Findings:
    """Observations change within an episode; a cached value or a float image cast to bytes doesn't."""
    episodes = long_enough(record, 4)
    if any(len({digest(obs) for _, obs in episode.observations()}) > 1 for episode in episodes):
        return
    everywhere = len({digest(episode.obs) for episode in episodes}) == 1
    extent = "in all episodes" if everywhere else "from the reset to the end of every episode"
    zero = isinstance(episodes[0].obs, np.ndarray) and not np.any(episodes[0].obs)
    yield f"the observation is constant{' (all zero)' if zero else ''} {extent}: it carries no information"


@check(fix="update the state first, then compute the observation to return", at="step", mild=True, several=ALL_ALIKE)
def observation_up_to_date(record: EnvRecord) -> Findings:
    """The observation after a step shows that step; else the agent acts late and never sees the end."""
    episodes = long_enough(record, 4)
    if len({digest(step.action) for episode in episodes for step in episode.steps[:1]}) < 2:
        raise NotJudged("all episodes begin with the same action")
    late = all(same(episode.obs, episode.steps[0].obs) for episode in episodes)
    moved = sum(not same(episode.steps[0].obs, episode.steps[1].obs) for episode in episodes)
    if late and moved >= 0.9 * len(episodes):
        yield "the observation is one step behind: step 1 always returned that of reset() once more, step 2 another one"
