"""Copies stepped together by Gymnasium's SyncVectorEnv, as RLlib's env runner does by default."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ..spaces.membership import short
from .locations import described, raised
from .policies import mask_in, sample
from .registry import Finding, NotJudged, check, error
from .spaces import parts
from .study import Study
from .surroundings import quietly, seed_global
from .values import leaves, same

COPIES = 2


@check(quick=False)
def vector_agrees(study: Study) -> Iterator[Finding]:
    """Copies in a vector environment play as single ones with the same seeds, across ends and automatic resets.

    It is what the training does; single checks do not see infos that cannot be merged or observations that cannot
    be stacked.
    """
    if study.failed or study.cap is not None:
        raise NotJudged("other errors come first")
    if not isinstance(study.env, gymnasium.Env) or study.slow_to_build:
        raise NotJudged("no gymnasium.Env, or its constructor is slow")
    plain = (spaces.Discrete, spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)
    observed = [part for _, part in parts(study.space("observation_space"), "")]
    if not isinstance(study.space("action_space"), plain) or not all(isinstance(part, plain) for part in observed):
        raise NotJudged("observations or actions are not stacked in one array")
    references = [study.episodes[0], next((e for e in study.episodes if e.seed == 1), study.episodes[0])]
    seed_global(99)
    vector = None
    try:
        vector = gymnasium.vector.SyncVectorEnv([study.another for _ in range(COPIES)])
        yield from _compare(study, vector, references)
    except NotJudged:
        raise
    except BaseException as problem:
        text = (
            f"{COPIES} copies in a gymnasium SyncVectorEnv raise {described(problem)}, as they will in RLlib's env "
            "runner"
        )
        fix = "the exception tells which value of the copies could not be merged: observation, reward, flag or info"
        yield error(text, fix, raised(problem))
    finally:
        if vector is not None:
            quietly(vector.close)


def _compare(study: Study, vector: Any, references: list[Any]) -> Iterator[Finding]:
    study.pulse.context(f"a vector of {COPIES} copies")
    study.pulse.call("reset")
    observations, infos = vector.reset(seed=[episode.seed for episode in references])
    done = [False] * COPIES
    space = copy.deepcopy(study.space("action_space"))
    space.seed(4)
    for number in range(min(study.plan.small * 2, 120)):
        for index, episode in enumerate(references):
            expected = (
                episode.obs if number == 0 else episode.steps[number - 1].obs if number <= len(episode.steps) else None
            )
            if expected is None:
                done[index] = True
            if not done[index] and not same(_row(observations, index), expected):
                text = (
                    f"in a vector of {COPIES} instances, copy {index} differs from the single environment at step "
                    f"{number} with "
                    f"seed {episode.seed}: {short(_row(observations, index), 50)} instead of {short(expected, 50)}; "
                    "they share state?"
                )
                yield error(
                    text, "keep all state in self; declare the dtype that observations really have", study.where("step")
                )
                return
        actions = []
        for index, episode in enumerate(references):
            within = number < len(episode.steps) and not done[index]
            actions.append(episode.steps[number].action if within else sample(space, _mask(observations, infos, index)))
        study.pulse.call("step", number + 1)
        observations, *_, infos = vector.step(np.stack([np.asarray(action) for action in actions]))


def _mask(observations: Any, infos: Any, index: int) -> Any:
    row = _row(observations, index) if isinstance(observations, dict) else None
    masks = infos.get("action_mask")
    return mask_in(row, {} if masks is None else {"action_mask": masks[index]})


def _row(batch: Any, index: int) -> Any:
    if isinstance(batch, dict):
        return {key: _row(value, index) for key, value in batch.items()}
    if isinstance(batch, tuple) and len(list(leaves(batch))) and not isinstance(batch[0], np.ndarray | dict | tuple):
        return batch[index]
    if isinstance(batch, tuple):
        return tuple(_row(value, index) for value in batch)
    return batch[index]
