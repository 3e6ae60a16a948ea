"""`step` ends an episode; it does not begin the next one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spaces.views import FirstCopy
from .determinism import stale
from .ends import finished
from .locations import unwrapped
from .policies import RANDOM, constant_policies
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .surroundings import seed_global
from .values import flat


@check(quick=False)
def step_does_not_reset(study: Study) -> Iterator[Finding]:
    """`step` does not reset the environment at the end of an episode.

    RLlib resets it. If `step` has done so already, the last observation is that of a new episode, the goal is never
    seen, and every second start is thrown away.
    """
    ended = finished(study)
    if isinstance(study.env, FirstCopy):
        raise NotJudged("a vector environment resets its copies itself")
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
            f"step() seems to reset the environment itself: the final observation of all {len(ended)} finished "
            "episodes looks "
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
