"""Actions: they matter, they stay the caller's, and a mask leaves a choice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ..spaces.membership import short
from .policies import mask_in
from .recording import Episode, Trouble
from .registry import Finding, NotJudged, check, error, warning
from .sessions import difference
from .study import Study

ENOUGH_STEPS = 8  # Fewer steps do not show that an action is without effect.


@check()
def step_works(study: Study) -> Iterator[Finding]:
    """`step` does not raise for any action of the space, at no step.

    An exception in an env runner ends the training, often hours later, in the state that a trained agent reaches first.
    """
    seen: dict[tuple[str | None, str], int] = {}
    for episode in study.episodes:
        trouble = episode.trouble
        if trouble is None or trouble.call != "step":
            continue
        if isinstance(trouble.problem, NotImplementedError) and trouble.step == 1 and episode.number == 1:
            raise NotJudged(f"step() is still to be written: {trouble.text}")
        if wrapper_unpacks(trouble):
            raise NotJudged("see step_returns")
        key = (trouble.where, type(trouble.problem).__name__)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1:
            what = "ends the process with" if isinstance(trouble.problem, SystemExit) else "raises"
            text = f"step() {what} {trouble.text} {episode.at(trouble.step)}"
            yield error(text, _advice(trouble.text), trouble.where)


def wrapper_unpacks(trouble: Trouble) -> bool:
    """Whether a wrapper of Gymnasium failed to take apart what the environment's `step` returned."""
    return "values to unpack" in trouble.text and "gymnasium" in (trouble.where or "")


def _advice(text: str) -> str:
    if "SystemExit" in text:
        return "raise an exception or return terminated=True; never call exit() in an environment"
    if "randint" in text:
        return "np_random is a numpy Generator: write self.np_random.integers(low, high)"
    if "IndexError" in text:
        return "the index runs past the end: check the last step of a full episode and the border states"
    return "step() must work for every action of action_space in every state; mask or ignore what is illegal"


@check()
def step_returns(study: Study) -> Iterator[Finding]:
    """`step` returns the tuple (observation, reward, terminated, truncated, info).

    The old API had four values; RLlib unpacks five.
    """
    for episode in study.episodes:
        if episode.trouble is not None and wrapper_unpacks(episode.trouble):
            text = (
                "step() must return five values (observation, reward, terminated, truncated, info), but a wrapper "
                "says: "
            )
            fix = "write return observation, reward, terminated, truncated, info"
            yield error(text + episode.trouble.text, fix, study.where("step"))
            return
        if episode.malformed_step is None:
            continue
        result = episode.malformed_step
        count = f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"
        old = " (the old step API: observation, reward, done, info)" if count == "4 values" else ""
        text = f"step() must return five values (observation, reward, terminated, truncated, info), got {count}{old}"
        yield error(text, "write return observation, reward, terminated, truncated, info", study.where("step"))
        return


@check()
def action_unchanged(study: Study) -> Iterator[Finding]:
    """`step` does not write into the action it gets.

    The action that was sampled and the action that PPO learns from are the same array: its log-probability no
    longer belongs to it.
    """
    for episode in study.steps_played:
        for number, step in enumerate(episode.steps, 1):
            if step.action_after is not None:
                text = (
                    f"step() modifies the caller's action in place: {short(step.action)} has changed to "
                    f"{short(step.action_after)} {episode.at(number)}; the action array is mutated"
                )
                fix = "work on a copy: action = np.clip(action, low, high), without out= and without action[...] ="
                yield error(text, fix, study.where("step"))
                return


@check()
def action_has_effect(study: Study) -> Iterator[Finding]:
    """Different actions lead to different observations, rewards or ends.

    Where they never do, there is nothing to learn: often the action is compared with a label that it never equals.
    """
    by_seed: dict[int | None, list[Episode]] = {}
    for episode in study.steps_played:
        if episode.seed is not None and episode.trouble is None:
            by_seed.setdefault(episode.seed, []).append(episode)
    compared = 0
    for seed in by_seed:
        group = {_actions(episode): episode for episode in by_seed[seed]}
        first, *others = group.values()
        for other in others:
            compared += min(len(first.steps), len(other.steps))
            if difference(first, other) is not None or (
                first.ended and other.ended and len(first.steps) != len(other.steps)
            ):
                return
    if compared < ENOUGH_STEPS or _single(study):
        raise NotJudged("too few episodes with different actions from one start")
    text = (
        f"the action has no effect: from the same seed, different actions gave the same observations, rewards and ends "
        f"over all {compared} steps compared"
    )
    fix = f"check how step() reads the action: it gets {short(study.episodes[0].steps[0].action)}, not a label"
    yield warning(text, fix, study.where("step"))


def _actions(episode: Episode) -> str:
    return short([step.action for step in episode.steps[:40]], 4000)


def _single(study: Study) -> bool:
    space = study.space("action_space")
    return isinstance(space, spaces.Discrete) and int(space.n) < 2


@check()
def action_mask_leaves_choice(study: Study) -> Iterator[Finding]:
    """An `action_mask` in the observation or info fits the action space and always allows an action.

    A mask of zeros makes all logits minus infinity: the loss becomes NaN.
    """
    space = study.space("action_space")
    if not isinstance(space, spaces.Discrete):
        return
    for episode in study.episodes:
        infos = dict(episode.infos())
        for number, obs in episode.observations():
            mask = mask_in(obs, infos.get(number))
            if mask is None or not isinstance(mask, np.ndarray):
                continue
            if mask.shape != (int(space.n),):
                text = (
                    f"action_mask has shape {mask.shape} {episode.at(number)}; expected ({int(space.n)},), one "
                    "entry an "
                    "action"
                )
                yield error(text, "return one 0 or 1 for each action", study.where("step"))
                return
            last = number == len(episode.steps) and episode.ended
            if not mask.any() and not last:
                text = f"action_mask is all zeros {episode.at(number)}: no action is allowed, but the episode goes on"
                yield error(text, "end the episode there, or allow at least one action", study.where("step"))
                return
