"""The calls of `reset` and `step`: their arguments, what they return, and the action that is the caller's."""

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ...spaces.membership import short
from ..record.compare import difference
from ..record.model import CallError, EnvRecord, Episode, NotJudged
from .registry import Finding, check

ENOUGH_STEPS = 8  # fewer steps do not show that an action is without effect
SIGNATURE = "write def reset(self, *, seed=None, options=None) and start with super().reset(seed=seed)"
FIVE = "step() must return five values (observation, reward, terminated, truncated, info)"


@check(fix=SIGNATURE, at="reset", blocks=True)
def reset_signature(record: EnvRecord) -> Iterator[str | Finding]:
    """`reset` takes the keywords seed and options, both None by default.

    Vector environments call `reset(seed=..., options=...)`; a default seed makes all episodes equal.
    """
    parameters = record.about.reset_parameters
    if parameters is None:
        return
    missing = [name for name in ("seed", "options") if name not in parameters]
    if missing:
        yield f"reset() accepts no {' and no '.join(missing)} argument: vector environments call it with these keywords"
    for name in ("seed", "options"):
        if parameters.get(name) == "required":
            yield f"the {name} argument of reset() has no default: it is required"
        elif name == "seed" and parameters.get(name) is not None:
            text = (
                f"the default of seed is {parameters[name]!r} in reset(): every reset without a seed starts the same "
                "episode again; expected None"
            )
            yield Finding(text, severity="warning")


def _raised(record: EnvRecord, call: str) -> Iterator[tuple[Episode, CallError]]:
    """Yields the exceptions of a call, each line and type once."""
    seen = set()
    for episode in record.episodes:
        error = episode.error
        if error is not None and error.call == call and (error.where, error.kinds) not in seen:
            seen.add((error.where, error.kinds))
            yield episode, error


@check(fix="reset() must work at any time and any number of times; the exception tells the line", at="reset",
       after="implemented reset_signature", blocks=True)  # fmt: skip
def reset_works(record: EnvRecord) -> Iterator[Finding]:
    """`reset` does not raise, with a seed, without one, first or in the middle of an episode.

    An exception in an env runner ends the training.
    """
    for episode, error in _raised(record, "reset"):
        what = "ends the process" if "SystemExit" in error.kinds else "raises"
        yield Finding(f"reset() {what} {error.text} in {episode.name}", _reset_advice(error.text), error.where)


def _reset_advice(text: str) -> str | None:
    if "randint" in text or "rand'" in text:
        return "np_random is a numpy Generator: write self.np_random.integers(low, high) and .random()"
    if "NoneType" in text:
        return "options is None by default: write options = options or {} and read it with .get"
    return None


@check(fix="write return observation, {}", at="reset", blocks=True)
def reset_returns(record: EnvRecord) -> Iterator[str]:
    """`reset` returns the tuple (observation, info).

    With the old API, which returned the observation alone, its first two entries are taken apart instead.
    """
    got = record.resets[0].malformed.get("reset")
    if got is not None:
        yield f"reset() must return a tuple (observation, info) of length 2, got {got}"


@check(fix="write options = options or {} and read it with .get", at="reset", after="reset_signature reset_works")
def reset_takes_options(record: EnvRecord) -> Iterator[Finding]:
    """`reset(options={})` works.

    Evaluation and curricula pass options; vector environments always pass the keyword.
    """
    error = record.seeding["options"]
    if error is not None:
        yield Finding(f"reset(seed=1, options={{}}) raises {error.text}", where=error.where)


def _wrapper_unpacks(error: CallError) -> bool:
    """Tells whether a wrapper of Gymnasium failed to take apart what the environment's `step` returned."""
    return "values to unpack" in error.text and "gymnasium" in (error.where or "")


@check(fix="write return observation, reward, terminated, truncated, info", at="step", blocks=True)
def step_returns(record: EnvRecord) -> Iterator[str]:
    """`step` returns the tuple (observation, reward, terminated, truncated, info).

    The old API had four values; RLlib unpacks five.
    """
    for episode in record.resets:
        if episode.error is not None and _wrapper_unpacks(episode.error):
            yield f"{FIVE}, but a wrapper says: {episode.error.text}"
            return
        got = episode.malformed.get("step")
        if got is not None:
            old = " (the old step API: observation, reward, done, info)" if got == "4 values" else ""
            yield f"{FIVE}, got {got}{old}"
            return


@check(fix="step() must work for every action of action_space in every state; mask or ignore what is illegal",
       at="step", after="implemented", blocks=True)  # fmt: skip
def step_works(record: EnvRecord) -> Iterator[Finding]:
    """`step` does not raise for any action of the space, at no step.

    An exception in an env runner ends the training, often hours later, in the state that a trained agent reaches first.
    """
    for episode, error in _raised(record, "step"):
        if _wrapper_unpacks(error):
            raise NotJudged("see step_returns")
        what = "ends the process with" if "SystemExit" in error.kinds else "raises"
        text = f"step() {what} {error.text} {episode.at(error.step)}"
        yield Finding(text, _step_advice(error.text), error.where)


def _step_advice(text: str) -> str | None:
    if "SystemExit" in text:
        return "raise an exception or return terminated=True; never call exit() in an environment"
    if "randint" in text:
        return "np_random is a numpy Generator: write self.np_random.integers(low, high)"
    if "IndexError" in text:
        return "the index runs past the end: check the last step of a full episode and the border states"
    return None


@check(fix="work on a copy: action = np.clip(action, low, high), without out= and without action[...] =", at="step")
def action_unchanged(record: EnvRecord) -> Iterator[str]:
    """`step` does not write into the action it gets.

    The action that was sampled and the action that PPO learns from are the same array: its log-probability no
    longer belongs to it.
    """
    for episode in record.played:
        for number, step in enumerate(episode.steps, 1):
            if step.action_after is not None:
                was, now = short(step.action), short(step.action_after)
                yield f"step() changes the caller's action in place: from {was} to {now} {episode.at(number)}"
                return


@check(fix="check how step() reads the action", at="step", severity="warning")
def action_has_effect(record: EnvRecord) -> Iterator[Finding]:
    """Different actions lead to different observations, rewards or ends.

    Where they never do, there is nothing to learn: often the action is compared with a label that it never equals.
    """
    by_seed: dict[int, dict[str, Episode]] = {}
    for episode in record.played:
        if episode.seed is not None and episode.error is None:
            actions = short([step.action for step in episode.steps[:40]], 4000)
            by_seed.setdefault(episode.seed, {})[actions] = episode
    compared = 0
    for group in by_seed.values():
        first, *others = group.values()
        for other in others:
            compared += min(len(first.steps), len(other.steps))
            both_end = first.ended and other.ended and len(first.steps) != len(other.steps)
            if both_end or difference(first, other) is not None:
                return
    space = record.space("action_space")
    if compared < ENOUGH_STEPS or (isinstance(space, spaces.Discrete) and int(space.n) < 2):
        raise NotJudged("too few episodes with different actions from one start")
    text = (
        "the action has no effect: from the same seed, different actions gave the same observations, rewards and ends "
        f"over all {compared} steps compared"
    )
    example = short(record.played[0].steps[0].action)
    yield Finding(text, f"check how step() reads the action: it gets {example}, not a label")


@check(fix="return one 0 or 1 for each action", at="step")
def action_mask_leaves_choice(record: EnvRecord) -> Iterator[str | Finding]:
    """An `action_mask` in the observation or info fits the action space and always allows an action.

    A mask of zeros makes all logits minus infinity: the loss becomes NaN.
    """
    space = record.space("action_space")
    if not isinstance(space, spaces.Discrete):
        return
    for episode in record.resets:
        for number, mask in enumerate([episode.mask, *(step.mask for step in episode.steps)]):
            if not isinstance(mask, np.ndarray):
                continue
            if mask.shape != (int(space.n),):
                expected = f"expected ({int(space.n)},), one entry an action"
                yield f"action_mask has shape {mask.shape} {episode.at(number)}; {expected}"
                return
            last = number == len(episode.steps) and episode.ended
            if not mask.any() and not last:
                text = f"action_mask is all zeros {episode.at(number)}: no action is allowed, but the episode goes on"
                yield Finding(text, "end the episode there, or allow at least one action")
                return
