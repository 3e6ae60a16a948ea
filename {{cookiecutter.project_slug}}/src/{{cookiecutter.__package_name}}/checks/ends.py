"""The ends of episodes: the two flags, time limits, and what must not happen at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from .determinism import stale
from .locations import unwrapped
from .policies import RANDOM, constant_policies
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .surroundings import seed_global
from .values import digest, flat, kind, truth

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


def _ends(study: Study) -> list[Episode]:
    """The episodes that ended, with flags that can be read."""
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
    ended = _ends(study)
    if len(ended) == len(study.steps_played) and all(len(episode.steps) == 1 for episode in ended):
        text = f"all {len(ended)} episodes ended immediately, at step 1 (length 1), whatever the action"
        yield warning(text, "check the sign of the end condition; ignore this for a bandit", study.where("step"))


@check()
def time_limit_is_truncation(study: Study) -> Iterator[Finding]:
    """A time limit is reported as truncated, not as terminated.

    PPO takes a terminated state to be worth nothing from there on: an agent that did well until the time ran out
    learns that its state was bad.
    """
    ended = _ends(study)
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
        f"a time limit seems to be reported as terminated: {terminated.count(longest)} episodes with different actions were "
        f"terminated at exactly step {longest}{f' (= {name})' if name else ''}, none later, and truncated is never True"
    )
    fix = "return truncated=True at the time limit; keep terminated if the task really ends there and the observation shows the time"
    yield warning(text, fix, study.where("step"))


def _limit_attribute(study: Study, steps: int) -> str | None:
    plain: Any = vars(unwrapped(study.env)) if hasattr(unwrapped(study.env), "__dict__") else {}
    for name, value in (*study.config.items(), *plain.items()):
        if isinstance(value, int | float) and not isinstance(value, bool) and value == steps:
            if any(
                word in str(name).lower() for word in ("max", "limit", "horizon", "length", "step", "time", "duration")
            ):
                return str(name)
    return None


@check()
def end_flags_not_swapped(study: Study) -> Iterator[Finding]:
    """Truncated is the time limit and terminated is the task's own end, not the other way round.

    Swapped flags make PPO expect further reward after the goal and none after the time limit.
    """
    ended = _ends(study)
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
        f"terminated and truncated look swapped: truncated comes at varying steps ({_some(early)}), as a goal or failure does, "
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
    ended = _ends(study)
    both = [e for e in ended if truth(e.steps[-1].terminated) and truth(e.steps[-1].truncated)]
    if len(both) == len(ended):
        counts = Counter(len(episode.steps) for episode in both)
        text = (
            f"terminated and truncated are both True at the end of all {len(both)} episodes (lengths {_some(list(counts))}): "
            "one done flag returned twice?"
        )
        fix = "return terminated for goal or failure only, truncated for the time limit only"
        yield warning(text, fix, study.where("step"))


@check(quick=False)
def step_does_not_reset(study: Study) -> Iterator[Finding]:
    """`step` does not reset the environment at the end of an episode.

    RLlib resets it. If `step` has done so already, the last observation is that of a new episode, the goal is never
    seen, and every second start is thrown away.
    """
    ended = _ends(study)
    calls, at = _resets_within_steps(study, ended)
    if calls:
        text = (
            f"step() calls reset() by itself {at}: the final observation is lost, it is already that of a new episode"
        )
        yield error(text, "return the final observation and the flag; the caller resets", study.where("step"))
        return
    if stale(study) is not None:
        return  # The first observation of an episode is the last one of the episode before.
    if _ends_look_like_starts(study.episodes, ended):
        text = (
            f"step() seems to reset the environment itself: the final observation of all {len(ended)} finished episodes looks "
            "like one that episodes start with, and the one before it does not"
        )
        yield warning(text, "return the final observation; do not reset in step()", study.where("step"))


def _ends_look_like_starts(episodes: list[Episode], ended: list[Episode]) -> bool:
    """Whether all final observations, but hardly any before them, lie in the range of the first observations."""
    starts = [flat(episode.obs) for episode in episodes]
    finals = [flat(episode.steps[-1].obs) for episode in ended if len(episode.steps) > 1]
    others = [flat(episode.steps[-2].obs) for episode in ended if len(episode.steps) > 1]
    if len(finals) < 5 or len({vector.shape for vector in (*starts, *finals, *others)}) != 1 or not starts[0].size:
        return False
    low, high = np.min(starts, axis=0), np.max(starts, axis=0)

    def inside(vector: np.ndarray) -> bool:
        return bool(((low <= vector) & (vector <= high)).all())

    return all(map(inside, finals)) and sum(map(inside, others)) <= 0.2 * len(others)


def _resets_within_steps(study: Study, ended: list[Episode]) -> tuple[int, str]:
    if study.slow_to_build:
        return 0, ""
    env = study.another()
    plain, inside = unwrapped(env), [0]
    original = plain.reset

    def counted(*arguments: Any, **keywords: Any) -> Any:
        inside[0] += 1
        return original(*arguments, **keywords)

    try:
        plain.reset = counted
    except AttributeError as problem:
        raise NotJudged("the environment has fixed attributes") from problem
    shortest = min((e for e in ended if e.seed is not None), key=lambda e: len(e.steps), default=ended[0])
    seed_global(66)
    space = study.space("action_space")
    policies = [shortest.policy, RANDOM, *constant_policies(space, 2)]
    at = ""
    for index, policy in enumerate(policies[: study.plan.resets]):
        episode = Episode(index + 1, policy, shortest.seed or 0, fresh=index == 0)
        play(env, episode, policy.chooser(space, episode.seed or 0), study.plan.small, study.pulse)
        if inside[0] > index + 1:
            at = episode.at(len(episode.steps))
            break
    calls = max(inside[0] - (index + 1), 0)
    study.release(env)
    return calls, at
