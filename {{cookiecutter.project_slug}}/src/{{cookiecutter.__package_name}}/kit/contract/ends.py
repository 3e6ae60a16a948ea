"""The ends of episodes: the two flags, time limits, and what must not happen at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spaces.membership import kind
from .locations import unwrapped
from .recording import Episode
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .values import digest, truth

FLAGS = ("terminated", "truncated")
LONG_STEPS = 10  # A time limit shorter than this is no time limit.


@check()
def end_flags_type(study: Study) -> Iterator[Finding]:
    """`terminated` and `truncated` are True or False.

    None, arrays and texts are stored as something else, and an array in an `if` raises later.
    """
    for name in FLAGS:
        for episode in study.steps_played:
            index = next(
                (i for i, s in enumerate(episode.steps) if not isinstance(getattr(s, name), bool | np.bool_)), None
            )
            if index is None:
                continue
            value = getattr(episode.steps[index], name)
            text = f"{name} must be a bool (True or False), got {kind(value)} {episode.at(index + 1)}"
            mild = isinstance(value, int | np.integer) and value in (0, 1)
            yield (warning if mild else error)(text, f"return bool({name}), one scalar", study.where("step"))
            break


def finished(study: Study) -> list[Episode]:
    """The episodes that ended, with flags that can be read.

    Raises:
        NotJudged: If there are too few.
    """
    ended = [episode for episode in study.steps_played if episode.ended]
    if any(episode.malformed_step is not None for episode in ended):
        raise NotJudged("step() does not return both flags")
    if len(ended) < 3:
        raise NotJudged("fewer than three episodes ended")
    return ended


def _lengths(episodes: list[Episode], flag: str) -> list[int]:
    return [len(episode.steps) for episode in episodes if truth(getattr(episode.steps[-1], flag))]


@check(quick=False)
def episodes_end(study: Study) -> Iterator[Finding]:
    """Episodes end, by termination or by truncation.

    PPO learns from finished episodes, and returns are only reported when an episode ends.
    """
    episodes = study.steps_played
    longest = max(len(episode.steps) for episode in episodes)
    if any(episode.ended or episode.trouble for episode in episodes) or longest < 1000 or study.cap is not None:
        return
    text = f"no episode ended: none was terminated or truncated in {longest} steps; does an episode never end?"
    fix = "set terminated at the goal or failure, and a time limit: max_episode_steps, or gymnasium.wrappers.TimeLimit"
    yield warning(text, fix, study.where("step"))


@check()
def episodes_last(study: Study) -> Iterator[Finding]:
    """Episodes last longer than one step.

    An end condition with the wrong sign ends every episode at once; only bandits are meant to be like that.
    """
    ended = finished(study)
    if len(ended) == len(study.steps_played) and all(len(episode.steps) == 1 for episode in ended):
        text = f"all {len(ended)} episodes ended immediately, at step 1 (length 1), whatever the action"
        yield warning(text, "check the sign of the end condition; ignore this for a bandit", study.where("step"))


@check()
def time_limit_is_truncation(study: Study) -> Iterator[Finding]:
    """A time limit is reported as truncated, not as terminated.

    PPO takes a terminated state to be worth nothing from there on: an agent that did well until the time ran out
    learns that its state was bad.
    """
    ended = finished(study)
    terminated, truncated = _lengths(ended, "terminated"), _lengths(ended, "truncated")
    longest = max(len(episode.steps) for episode in study.steps_played)
    at_limit = [episode for episode in ended if len(episode.steps) == longest]
    policies = {episode.policy.label for episode in at_limit}
    if truncated or longest < LONG_STEPS or terminated.count(longest) < 3 or len(policies) < 2:
        return
    finals = {digest(episode.steps[-1].action) for episode in at_limit}
    name = _limit_attribute(study, longest)
    if len(finals) < 2 and name is None:
        return
    text = (
        f"a time limit seems to be reported as terminated: {terminated.count(longest)} episodes with different "
        "actions were "
        f"terminated at exactly step {longest}{f' (= {name})' if name else ''}, none later, and truncated is never True"
    )
    fix = (
        "return truncated=True at the time limit; keep terminated if the task really ends there and the "
        "observation shows the time"
    )
    yield warning(text, fix, study.where("step"))


def _limit_attribute(study: Study, steps: int) -> str | None:
    plain: Any = vars(unwrapped(study.env)) if hasattr(unwrapped(study.env), "__dict__") else {}
    words = ("max", "limit", "horizon", "length", "step", "time", "duration")
    for name, value in (*study.config.items(), *plain.items()):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value == steps and any(word in str(name).lower() for word in words):
            return str(name)
    return None


@check()
def end_flags_not_swapped(study: Study) -> Iterator[Finding]:
    """Truncated is the time limit and terminated is the task's own end, not the other way round.

    Swapped flags make PPO expect further reward after the goal and none after the time limit.
    """
    ended = finished(study)
    terminated, truncated = _lengths(ended, "terminated"), _lengths(ended, "truncated")
    longest = max(len(episode.steps) for episode in study.steps_played)
    early = [length for length in truncated if length < longest]
    if len(set(early)) < 2 or len(truncated) < 3:
        return
    if terminated and (set(terminated) != {longest} or len(early) < len(truncated)):
        return
    rest = (
        f"terminated comes at step {longest} only, as a time limit does" if terminated else "terminated is never True"
    )
    text = (
        f"terminated and truncated look swapped: truncated comes at varying steps ({_some(early)}), as a goal "
        "or failure does, "
        f"and {rest}"
    )
    yield warning(text, "return terminated at goal or failure, truncated at the time limit", study.where("step"))


def _some(lengths: list[int]) -> str:
    return ", ".join(map(str, sorted(set(lengths))[:4]))


@check()
def end_flags_differ(study: Study) -> Iterator[Finding]:
    """`terminated` and `truncated` are not one and the same flag.

    If both are always True together, a time limit counts as an end of the task, and the value after it as zero.
    """
    ended = finished(study)
    both = [e for e in ended if truth(e.steps[-1].terminated) and truth(e.steps[-1].truncated)]
    if len(both) == len(ended):
        counts = Counter(len(episode.steps) for episode in both)
        text = (
            f"terminated and truncated are both True at the end of all {len(both)} episodes (lengths "
            f"{_some(list(counts))}): "
            "one done flag returned twice?"
        )
        fix = "return terminated for goal or failure only, truncated for the time limit only"
        yield warning(text, fix, study.where("step"))
