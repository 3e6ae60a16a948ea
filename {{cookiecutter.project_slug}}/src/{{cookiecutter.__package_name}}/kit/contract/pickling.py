"""Pickling and deep copies of the environment."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from .locations import described, raised, unwrapped
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, warning
from .study import Study
from .values import same
from .views import is_view


@check(quick=False)
def env_can_be_pickled(study: Study) -> Iterator[Finding]:
    """The environment can be pickled and deep-copied, and the copy plays on as the original.

    Tree search, checkpoints of the environment and some vector environments need it; PPO alone does not.
    """
    _ = study.steps_played
    if study.cap is not None:
        raise NotJudged("longer episodes end the process")
    env = study.env if is_view(study.env) else unwrapped(study.env)  # Wrappers may hold functions; Ray can send those.
    chooser = RANDOM.chooser(study.space("action_space"), 13)
    play(env, Episode(1, RANDOM, 13, fresh=False), chooser, 2, study.pulse)
    fix = "PPO does not need it; else make locks, files and connections late, and drop them in __getstate__"
    twins = {}
    for how, copier in (
        ("pickled", lambda: pickle.loads(pickle.dumps(env))),
        ("deep-copied", lambda: copy.deepcopy(env)),
    ):
        try:
            twins[how] = copier()
        except BaseException as problem:
            culprit = _culprit(env)
            text = f"the environment cannot be {how} (pickle, deepcopy, serialize): {described(problem)}{culprit}"
            yield warning(text, fix, raised(problem) or study.where("__init__"))
            return
    found = None if study.failed else _play_on(study, env, twins)
    if found is not None:
        text = f"{found}: pickle or deepcopy loses state or shares it"
        yield warning(
            text, "keep all state in attributes that are copied; let __getstate__ keep it", study.where("__init__")
        )


def _culprit(env: Any) -> str:
    for name, value in vars(unwrapped(env)).items() if hasattr(unwrapped(env), "__dict__") else ():
        try:
            pickle.dumps(value)
        except BaseException:
            return f" (self.{name}, a {type(value).__name__})"
    return ""


def _play_on(study: Study, env: Any, twins: dict[str, Any]) -> str | None:
    """Steps the copies, then the original, with the same actions; says where they differ."""
    policy = RANDOM.chooser(study.space("action_space"), 14)
    actions = [policy(None, None) for _ in range(min(study.plan.small, 20))]
    try:
        played = {how: _few_steps(twin, actions, study) for how, twin in twins.items()}
        ours = _few_steps(env, actions, study)
    except BaseException:
        return None
    for how, theirs in played.items():
        for number, (left, right) in enumerate(zip(ours, theirs, strict=False), 1):
            names = ("observation", "reward", "terminated", "truncated")
            what = next((name for name, one, two in zip(names, left, right, strict=False) if not same(one, two)), None)
            if what is not None:
                return f"a {how} copy plays on differently from the original: {what} of step {number} is another one"
    return None


def _few_steps(env: Any, actions: list[Any], study: Study) -> list[tuple[Any, ...]]:
    results: list[tuple[Any, ...]] = []
    for number, action in enumerate(actions, 1):
        study.pulse.call("step", number)
        results.append(copy.deepcopy(tuple(env.step(action))[:4]))
        if np.any(results[-1][2]) or np.any(results[-1][3]):
            break
    return results
