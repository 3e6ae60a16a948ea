"""The ends of episodes: the two flags, time limits, and that `step` doesn't begin the next episode."""

import numpy as np

from ...spaces.membership import kind
from ..record.compare import stale
from ..record.env_record import EnvRecord
from ..record.model import Episode, NotJudged
from ..record.values import digest, flat, truth
from .registry import Finding, Findings, check

FLAGS = ("terminated", "truncated")
LONG_STEPS = 10  # a time limit shorter than this is no time limit
LIMIT_WORDS = ("max", "limit", "horizon", "length", "step", "time", "duration")


@check(fix="return bool(...), one scalar", at="step", blocks=True)
def end_flags_type(record: EnvRecord) -> Findings:
    """`terminated` and `truncated` are True or False, not arrays, texts or None."""
    for name in FLAGS:
        for episode in record.played:
            flags = [getattr(step, name) for step in episode.steps]
            index = next((i for i, flag in enumerate(flags) if not isinstance(flag, bool | np.bool_)), None)
            if index is not None:
                value = flags[index]
                mild = isinstance(value, int | np.integer) and value in (0, 1)
                text = f"{name} must be a bool (True or False), got {kind(value)} {episode.at(index + 1)}"
                yield Finding(text, f"return bool({name}), one scalar", severity="warning" if mild else "error")
                break


def _lengths(episodes: list[Episode], flag: str) -> list[int]:
    return [len(episode.steps) for episode in episodes if truth(getattr(episode.steps[-1], flag))]


def _longest(record: EnvRecord) -> int:
    return max(len(episode.steps) for episode in record.played)


@check(fix="set terminated at the goal or failure, and a time limit: max_episode_steps, or gymnasium.wrappers.TimeLimit",
       at="step", severity="warning", quick=False)  # fmt: skip
def episodes_end(record: EnvRecord) -> Findings:
    """Episodes end, by termination or by truncation: returns are only known then."""
    longest = _longest(record)
    if any(episode.ended or episode.error for episode in record.played) or longest < 1000 or record.cap is not None:
        return
    yield f"no episode ended: none was terminated or truncated in {longest} steps; does an episode never end?"


@check(fix="check the sign of the end condition; ignore this for a bandit", at="step", severity="warning")
def episodes_last(record: EnvRecord) -> Findings:
    """Episodes last longer than one step; only bandits are meant to be like that."""
    ended = record.finished
    if len(ended) == len(record.played) and all(len(episode.steps) == 1 for episode in ended):
        yield f"all {len(ended)} episodes ended at step 1 (length 1), whatever the action"


@check(fix="return truncated=True at the time limit; keep terminated if the task really ends there and the observation "
       "shows the time", at="step", severity="warning")  # fmt: skip
def time_limit_is_truncation(record: EnvRecord) -> Findings:
    """A time limit is reported as truncated: PPO takes a terminated state to be worth nothing from there on."""
    ended, longest = record.finished, _longest(record)
    terminated, truncated = _lengths(ended, "terminated"), _lengths(ended, "truncated")
    at_limit = [episode for episode in ended if len(episode.steps) == longest]
    policies = {episode.policy.label for episode in at_limit}
    if truncated or longest < LONG_STEPS or terminated.count(longest) < 3 or len(policies) < 2:
        return
    limits = (name for name, value in record.about.numbers.items() if value == longest)
    name = next((name for name in limits if any(word in name.lower() for word in LIMIT_WORDS)), None)
    if name is None and len({digest(episode.steps[-1].action) for episode in at_limit}) < 2:
        return
    yield (
        f"a time limit seems to be reported as terminated: {terminated.count(longest)} episodes with different actions "
        f"were terminated at exactly step {longest}{f' (= {name})' if name else ''}, none later, and truncated is "
        "never True"
    )


@check(fix="return terminated at goal or failure, truncated at the time limit", at="step", severity="warning")
def end_flags_not_swapped(record: EnvRecord) -> Findings:
    """Truncated is the time limit and terminated the task's own end, not the other way round."""
    ended, longest = record.finished, _longest(record)
    terminated, truncated = _lengths(ended, "terminated"), _lengths(ended, "truncated")
    early = [length for length in truncated if length < longest]
    if len(set(early)) < 2 or len(truncated) < 3:
        return
    if terminated and (set(terminated) != {longest} or len(early) < len(truncated)):
        return
    rest = f"terminated comes at step {longest} only" if terminated else "terminated is never True"
    yield (
        f"terminated and truncated look swapped: truncated comes at varying steps ({_some(early)}), as a goal or "
        f"failure does, and {rest}"
    )


def _some(lengths: list[int]) -> str:
    return ", ".join(map(str, sorted(set(lengths))[:4]))


@check(fix="return terminated for goal or failure only, truncated for the time limit only", at="step",
       severity="warning")  # fmt: skip
def end_flags_differ(record: EnvRecord) -> Findings:
    """`terminated` and `truncated` are not one flag: a time limit would count as an end of the task."""
    ended = record.finished
    both = [len(e.steps) for e in ended if truth(e.steps[-1].terminated) and truth(e.steps[-1].truncated)]
    if len(both) == len(ended):
        yield (
            f"terminated and truncated are both True at the end of all {len(both)} episodes (lengths {_some(both)}): "
            "one done flag returned twice?"
        )


@check(fix="return the final observation and the flag; the caller resets", at="step", quick=False)
def step_does_not_reset(record: EnvRecord) -> Findings:
    """`step` does not reset the environment at the end of an episode: RLlib does, and the goal would never be seen."""
    ended = record.finished
    if record.about.is_vector:
        raise NotJudged("a vector environment resets its copies itself")
    calls, at = record.self_reset if record.has("self_reset") else (0, "")
    if calls:
        yield f"step() calls reset() by itself {at}: the final observation is already that of a new episode"
        return
    if stale(record.resets, record.replays.again) is not None:
        return  # the first observation of an episode is the last one of the episode before
    if _ends_look_like_starts(record.resets, ended):
        text = (
            f"step() seems to reset the environment itself: the final observation of all {len(ended)} finished "
            "episodes looks like one that episodes start with, and the one before it does not"
        )
        yield Finding(text, "return the final observation; do not reset in step()", severity="warning")


def _ends_look_like_starts(episodes: list[Episode], ended: list[Episode]) -> bool:
    """Tells whether all final observations, but hardly any before them, lie in the range of the first observations."""
    starts = [flat(episode.obs) for episode in episodes]
    finals = [flat(episode.steps[-1].obs) for episode in ended if len(episode.steps) > 1]
    others = [flat(episode.steps[-2].obs) for episode in ended if len(episode.steps) > 1]
    if len(finals) < 5 or len({vector.shape for vector in (*starts, *finals, *others)}) != 1 or not starts[0].size:
        return False
    low, high = np.min(starts, axis=0), np.max(starts, axis=0)

    def inside(vector: np.ndarray) -> bool:
        return bool(((low <= vector) & (vector <= high)).all())

    return all(map(inside, finals)) and sum(map(inside, others)) <= 0.2 * len(others)
