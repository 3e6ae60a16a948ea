"""Environments that are vector environments themselves: their batches, their seeds and their automatic resets."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from ..spaces.membership import kind, short
from ..spaces.views import FirstCopy, first_row, mode_of
from .registry import Finding, NotJudged, check, error
from .study import Study
from .values import same

STEPS = 300


def _vector(study: Study) -> Any:
    """A fresh vector environment.

    Raises:
        NotJudged: If the target is none.
    """
    if not isinstance(study.env, FirstCopy):
        raise NotJudged("no VectorEnv")
    _ = study.steps_played
    if study.cap is not None:
        raise NotJudged("longer episodes end the process")
    return study.another().env


@check(quick=False)
def vector_batches(study: Study) -> Iterator[Finding]:
    """A vector environment returns one row a copy: observations in `observation_space`, arrays of `num_envs` numbers.

    RLlib takes the batches apart by copy; a missing axis mixes the copies.
    """
    vector = _vector(study)
    observations, _ = vector.reset(seed=0)
    copies, where = vector.num_envs, study.where("step")
    space = copy.deepcopy(vector.action_space)
    space.seed(0)
    observations, rewards, terminated, truncated, _ = vector.step(space.sample())
    if not vector.observation_space.contains(observations):
        text = (
            f"the batch of observations, {kind(observations)}, is not in observation_space "
            f"{short(vector.observation_space)}"
        )
        yield error(text, "return one row a copy, with the dtype of the space (batch_space(single, num_envs))", where)
    for name, value, kinds in (
        ("rewards", rewards, "f"),
        ("terminated", terminated, "b"),
        ("truncated", truncated, "b"),
    ):
        if not isinstance(value, np.ndarray) or value.shape != (copies,) or value.dtype.kind not in kinds:
            text = (
                f"{name} must be an array of shape ({copies},) and dtype {'float' if kinds == 'f' else 'bool'}, "
                "got "
                f"{kind(value)}"
            )
            yield error(text, "return one entry for each copy", where)
    study.release(vector)


@check(quick=False)
def vector_copies_have_own_seeds(study: Study) -> Iterator[Finding]:
    """Copies with different seeds differ, and a list of seeds is honoured copy by copy.

    Copies that all play the same episode collect one episode's worth of data.
    """
    vector = _vector(study)
    if vector.num_envs < 2 or len(set(study.starts.seeded)) < 3:
        raise NotJudged("one copy, or episodes do not depend on the seed")
    seeds = list(range(50, 50 + vector.num_envs))
    ours, _ = vector.reset(seed=seeds)
    ours = copy.deepcopy(ours)
    again, _ = vector.reset(seed=seeds)
    if not same(ours, again):
        text = f"reset(seed={short(seeds)}) gave different observations the second time: not reproducible"
        yield error(text, "seed one generator for each copy from its seed", study.where("reset"))
    rows = [first_row(_rolled(ours, index)) for index in range(vector.num_envs)]
    if vector.num_envs >= 4 and all(same(rows[0], row) for row in rows):
        text = (
            f"all {vector.num_envs} copies start identically although their seeds differ: they repeat the same episode"
        )
        yield error(text, "give each copy its own generator, or draw one number for each copy", study.where("reset"))
    study.release(vector)


def _rolled(batch: Any, index: int) -> Any:
    """A batch that begins with another copy."""
    if isinstance(batch, dict):
        return {key: _rolled(value, index) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_rolled(value, index) for value in batch)
    return batch[index:]


@check(quick=False)
def vector_autoreset_as_declared(study: Study) -> Iterator[Finding]:
    """`metadata["autoreset_mode"]` is set, and the copies are reset in that way.

    RLlib reads it to tell the last observation of an episode from the first of the next: a wrong mode mixes them.
    """
    vector = _vector(study)
    mode, where = mode_of(vector), study.where("step")
    if not isinstance(mode, AutoresetMode):
        text = f'metadata["autoreset_mode"] is {mode!r}; expected a gymnasium.vector.AutoresetMode'
        yield error(text, 'write metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, ...}', study.where("__init__"))
        return
    if mode is AutoresetMode.DISABLED:
        return
    space = copy.deepcopy(vector.action_space)
    space.seed(1)
    vector.reset(seed=1)
    before = np.zeros(vector.num_envs, bool)
    for number in range(1, min(STEPS, study.plan.total) + 1):
        study.pulse.call("step", number)
        _, rewards, terminated, truncated, infos = vector.step(space.sample())
        done = np.asarray(terminated) | np.asarray(truncated)
        if mode is AutoresetMode.NEXT_STEP and (before & (done | (np.asarray(rewards) != 0))).any():
            index = int(np.argmax(before & (done | (np.asarray(rewards) != 0))))
            text = (
                f"autoreset_mode is NEXT_STEP, but copy {index}, whose episode had ended, got reward "
                f"{rewards[index]} and "
                f"done={bool(done[index])} at step {number}; expected its reset: reward 0, not done"
            )
            yield error(text, "in that step ignore the action, reset the copy and return reward 0 and False", where)
            return
        if mode is AutoresetMode.SAME_STEP and done.any() and "final_obs" not in infos:
            text = f'autoreset_mode is SAME_STEP, but infos has no "final_obs" at step {number}, where an episode ended'
            yield error(text, 'put the last observations into infos["final_obs"]', where)
            return
        before = done
    study.release(vector)
