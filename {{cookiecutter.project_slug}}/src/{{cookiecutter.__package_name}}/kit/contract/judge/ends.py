"""The ends of episodes: the two flags, time limits, and that `step` doesn't begin the next episode."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...spaces.membership import kind
from ..record.env_record import EnvRecord
from ..record.model import Episode
from ..record.values import digest, leaves, truth
from .registry import NEVER, TEAM, Finding, Findings, check

ENDLESS_STEPS = 1000  # a fast environment is played for many more before it comes to this
LONG_STEPS = 10  # a time limit shorter than this is no time limit
MOST = 0.9  # so many of the steps must be told apart, as the sine of an hour comes twice
EPISODE_LENGTH = re.compile("max_.*step|horizon|limit|episode_len", re.IGNORECASE)
LIMIT_WORDS = ("max", "limit", "horizon", "length", "step", "time", "duration")


@check(fix="return one bool", at="step", blocks=True, several=NEVER)
def end_flags_type(record: EnvRecord) -> Findings:
    """`terminated` and `truncated` are True or False, not arrays, texts or None."""
    for name in ("terminated", "truncated"):
        for episode, number, step in record.steps:
            flag = getattr(step, name)
            if not isinstance(flag, bool | np.bool_):
                mild = isinstance(flag, int | np.integer) and flag in (0, 1)
                text = f"{name} must be a bool (True or False), got {kind(flag)} {episode.at(number)}"
                yield Finding(text, f"return bool({name}), one scalar", severity="warning" if mild else None)
                break


def _limits(name: str, words: Iterable[str] = LIMIT_WORDS) -> bool:
    """Tells whether a number is a time limit, by its name."""
    return any(word in name.lower() for word in words)


def _tells_time(episodes: list[Episode]) -> bool:
    """Tells whether observations show the step, in numbers or their sums that are the same in each of the episodes."""
    try:
        table = np.stack([[_sums(obs) for _, obs in episode.observations()] for episode in episodes[:8]])
    except ValueError:  # of different shapes
        return False
    clocks = table[0][:, (np.ptp(table, axis=0) <= 1e-6 * np.abs(table).max(axis=(0, 1))).all(axis=0)]
    return len(np.unique(clocks.round(6), axis=0)) >= MOST * len(clocks)


def _sums(obs: Any) -> np.ndarray:
    """Returns the numbers of an observation, of boards and images the sums of their rows and columns; and all sums."""
    parts = [np.zeros(1)]
    for _, leaf in leaves(obs):
        if isinstance(leaf, int | float | np.number | np.ndarray) and np.asarray(leaf).dtype.kind in "biuf":
            array = np.asarray(leaf, float)
            axes = range(array.ndim)
            parts += [array.sum(axis=tuple(i for i in axes if i != axis)) for axis in axes] + [array.sum(keepdims=True)]
    return np.concatenate([part.reshape(-1) for part in parts])


def _lengths(episodes: list[Episode], flag: str) -> list[int]:
    return [len(episode.steps) for episode in episodes if truth(getattr(episode.steps[-1], flag))]


@check(fix="set terminated at the goal, and a time limit (max_episode_steps)", at="step", mild=True, several=TEAM)
def episodes_end(record: EnvRecord) -> Findings:
    """Episodes end, by termination or by truncation: returns are only known then."""
    longest = max(len(episode.steps) for episode in record.played)
    if any(episode.ended or episode.error for episode in record.played):
        return
    if record.quick or record.cap is not None or longest < ENDLESS_STEPS:
        raise record.cut("no episode was played for long")
    yield f"no episode ended: none was terminated or truncated in {longest} steps; does an episode never end?"


@check(fix="check the sign of the end condition; give a bandit the time limit max_episode_steps=1", at="step", mild=True,
       several=TEAM)  # fmt: skip
def episodes_last(record: EnvRecord) -> Findings:
    """Episodes last longer than one step; only bandits are meant to be like that, and their time limit says so."""
    ended = record.finished
    if any(value == 1 and EPISODE_LENGTH.search(name) for name, value in record.about.numbers.items()):
        return
    if len(ended) == len(record.played) and all(len(episode.steps) == 1 for episode in ended):
        yield f"all {len(ended)} episodes ended at step 1 (length 1), whatever the action"


@check(fix="return truncated=True at the time limit, if the task itself goes on there", at="step", mild=True,
       several=TEAM)  # fmt: skip
def time_limit_is_truncation(record: EnvRecord) -> Findings:
    """A time limit is reported as truncated: PPO takes a terminated state to be worth nothing from there on."""
    ended = record.finished
    longest = max(len(episode.steps) for episode in record.played)
    count = _lengths(ended, "terminated").count(longest)
    at_limit = [episode for episode in ended if len(episode.steps) == longest]
    policies = {episode.policy.label for episode in at_limit}
    if _lengths(ended, "truncated") or longest < LONG_STEPS or count < 3 or len(policies) < 2:
        return
    names = [name for name, value in record.about.numbers.items() if value == longest and _limits(name)]
    if _tells_time(at_limit) and (count == len(ended) or not any(_limits(name, ("limit", "step")) for name in names)):
        return  # the end can be foreseen, so it may well be the task's own
    name = next(iter(names), None)
    if name is not None or len({digest(episode.steps[-1].action) for episode in at_limit}) >= 2:
        place = f"exactly step {longest}{f' (= {name})' if name else ''}"
        yield f"a time limit is reported as terminated: {count} episodes end at {place}, and truncated is never True"


@check(fix="return terminated at goal or failure, truncated at the time limit", at="step", mild=True, several=TEAM)
def end_flags_not_swapped(record: EnvRecord) -> Findings:
    """Truncated is the time limit and terminated the task's own end, not the other way round."""
    ended, longest = record.finished, max(len(episode.steps) for episode in record.played)
    terminated, truncated = _lengths(ended, "terminated"), _lengths(ended, "truncated")
    early = [length for length in truncated if length < longest]
    as_limit = not terminated or (set(terminated) == {longest} and len(early) == len(truncated))
    if as_limit and len(set(early)) >= 2 and len(truncated) >= 3:
        steps = ", ".join(map(str, sorted(set(early))[:4]))
        rest = f"terminated comes at step {longest} only" if terminated else "terminated is never True"
        yield f"terminated and truncated look swapped: truncated comes at varying steps ({steps}), and {rest}"


@check(fix="return terminated for goal or failure, truncated for the time limit", at="step", mild=True, several=TEAM)
def end_flags_differ(record: EnvRecord) -> Findings:
    """`terminated` and `truncated` are not one flag: a time limit would count as an end of the task."""
    lasts = [episode.steps[-1] for episode in record.finished]
    if all(truth(step.terminated) and truth(step.truncated) for step in lasts):
        yield f"terminated and truncated are both True at the end of all {len(lasts)} episodes: one flag returned twice?"


@check(fix="return the final observation and the flag; the caller resets", at="step")
def step_does_not_reset(record: EnvRecord) -> Findings:
    """`step` does not reset the environment at the end of an episode: RLlib does, and the goal would never be seen."""
    calls, at = record.self_reset
    if calls and not record.about.is_vector:
        yield f"step() calls reset() by itself {at}: the final observation is already that of a new episode"
