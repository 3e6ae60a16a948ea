"""The calls of `reset` and `step`: their arguments, what they return, the info, and the action that is the caller's."""

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ...spaces.membership import short
from ..record.compare import difference, told_apart
from ..record.env_record import EnvRecord
from ..record.model import CallError, Episode, NotJudged
from ..record.policies import mask_allowed
from .registry import EACH, NEVER, Finding, Findings, check, faults

ENOUGH_STEPS = 8  # fewer steps do not show that an action is without effect
LARGE_INFO_BYTES = 100_000
SIGNATURE = "write def reset(self, *, seed=None, options=None) and start with super().reset(seed=seed)"
FIVE = "step() must return five values (observation, reward, terminated, truncated, info)"
MASK = "the mask is wrong, or late: compute it from the state that is returned with it, by the rule that step() applies"
ADVICE = (  # what an exception's text tells
    ("SystemExit", "raise an exception or return terminated=True; never call exit() in an environment"),
    ("randint", "np_random is a numpy Generator: write self.np_random.integers(low, high)"),
    ("IndexError", "the index runs past the end: check the last step of a full episode and the border states"),
    ("NoneType", "options is None by default: write options = options or {} and read it with .get"),
)


@check(fix=SIGNATURE, at="reset", blocks=True)
def reset_signature(record: EnvRecord) -> Findings:
    """`reset` takes the keywords seed and options, both None by default, as vector environments pass them."""
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
            text = f"the default of seed is {parameters[name]!r}: every reset without a seed starts the same episode"
            yield Finding(text, severity="warning")


def _raised(record: EnvRecord, call: str) -> Iterator[tuple[Episode, CallError, str | None]]:
    """Yields the exceptions of a call, each line and type once, with advice."""
    seen = set()
    for episode in record.episodes:
        error = episode.error
        if error is not None and error.call == call and (error.where, error.kinds) not in seen:
            seen.add((error.where, error.kinds))
            words = ADVICE if call == "reset" else ADVICE[:3]
            yield episode, error, next((advice for word, advice in words if word in error.text), None)


@check(fix="reset() must work at any time and any number of times", at="reset", blocks=True,
       after="implemented reset_signature")  # fmt: skip
def reset_works(record: EnvRecord) -> Findings:
    """`reset` does not raise, with a seed, without one, first or in the middle of an episode."""
    for episode, error, advice in _raised(record, "reset"):
        yield Finding(f"reset() raises {error.text} in {episode.name}", advice, error.where)


@check(fix="write options = options or {} and use .get", at="reset", after="implemented reset_signature reset_works")
def reset_takes_options(record: EnvRecord) -> Findings:
    """`reset(options={})` works: evaluation and curricula pass options."""
    error = record.seeding.get("options")
    if error is not None:
        yield Finding(f"reset(seed=1, options={{}}) raises {error.text}", where=error.where)


@check(fix="write return observation, {}", at="reset", blocks=True)
def reset_returns(record: EnvRecord) -> Findings:
    """`reset` returns the tuple (observation, info); the old API returned the observation alone."""
    got = record.resets[0].malformed.get("reset")
    if got is not None:
        yield f"reset() must return a tuple (observation, info) of length 2, got {got}"


def _wrapper_unpacks(error: CallError) -> bool:
    """Tells whether a wrapper, Gymnasium's or the kit's, failed to take apart what the environment's `step` returned."""
    return "values to unpack" in error.text and (error.where is None or "gymnasium" in error.where)


@check(fix="write return observation, reward, terminated, truncated, info", at="step", blocks=True, once=True)
def step_returns(record: EnvRecord) -> Findings:
    """`step` returns the tuple (observation, reward, terminated, truncated, info); the old API had four values."""
    for episode in record.resets:
        if episode.error is not None and _wrapper_unpacks(episode.error):
            yield f"{FIVE}, but a wrapper says: {episode.error.text}"
        elif (got := episode.malformed.get("step")) is not None:
            old = " (the old step API: observation, reward, done, info)" if got == "4 values" else ""
            yield f"{FIVE}, got {got}{old}"


@check(fix="step() must work for every action in every state", at="step", after="implemented", blocks=True)
def step_works(record: EnvRecord) -> Findings:
    """`step` does not raise for any action at any step; in training it would, hours later, in a rare state."""
    for episode, error, advice in _raised(record, "step"):
        if _wrapper_unpacks(error):
            raise NotJudged("see step_returns")
        text = f"step() raises {error.text} {episode.at(error.step)}"
        if mask_allowed(episode, error.step, error.action):
            text, advice = f"action_mask allows an action for which {text}", advice or MASK
        yield Finding(text, advice, error.where)


@check(fix="work on a copy: action = np.clip(action, low, high), without out= and without action[...] =", at="step")
def action_unchanged(record: EnvRecord) -> Findings:
    """`step` does not write into the action it gets: PPO learns from the same array."""
    for step, place in record.first_step(lambda step: step.action_after is not None):
        entry, was, now = told_apart(step.action, step.action_after)
        agents = record.several and step.action.keys() != step.action_after.keys()
        fix = "work on a copy of the dict: actions = dict(actions)" if agents else None
        yield Finding(f"step() changes the caller's action{entry} in place: from {was} to {now} {place}", fix)


@check(fix="check how step() reads the action", at="step", mild=True, several=NEVER)
def action_has_effect(record: EnvRecord) -> Findings:
    """Different actions lead to different observations, rewards or ends; else there is nothing to learn."""
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
    example = short(record.played[0].steps[0].action)
    text = f"the action has no effect: from one seed, different actions gave the same in all {compared} steps compared"
    yield Finding(text, f"check how step() reads the action: it gets {example}, not a label")


@check(fix="return one 0 or 1 for each action, at least one of them 1", at="step", once=True, several=EACH)
def action_mask_leaves_choice(record: EnvRecord) -> Findings:
    """An `action_mask` fits the action space and always allows an action; else the loss becomes NaN."""
    space = record.space("action_space")
    for episode in record.resets if isinstance(space, spaces.Discrete) else ():
        for number, mask in enumerate([episode.mask, *(step.mask for step in episode.steps)]):
            if not isinstance(mask, np.ndarray):
                continue
            if mask.shape != (int(space.n),):
                yield f"action_mask has shape {mask.shape} {episode.at(number)}; expected ({int(space.n)},)"
            if not mask.any() and not (number == len(episode.steps) and episode.ended):
                yield f"action_mask is all zeros {episode.at(number)}: no action is allowed, but the episode goes on"
    for fault in faults(record, "mask refused"):
        yield fault._replace(fix=MASK)  # type: ignore[union-attr]


@check(fix="return {} where there is nothing to tell", blocks=True, once=True)
def info_type(record: EnvRecord) -> Findings:
    """`reset` and `step` return a dict as info, which vector environments merge key by key."""
    return faults(record, "info type")


@check(fix="put only small numbers into info; write frames in render()", mild=True, once=True)
def info_small(record: EnvRecord) -> Findings:
    """An info weighs less than 100 kB: RLlib keeps those of whole episodes and sends them to the learner."""
    for episode in record.resets:
        size, key, number = episode.info_largest
        if size > LARGE_INFO_BYTES:
            text = f"info has {size / 1e6:.1f} MB {episode.at(number)}, most of it in key {key!r}"
            yield Finding(f"{text}; 4,000 steps are {size * 4e-6:.1f} GB", at="step" if number else "reset")


@check(fix="put numbers, texts and arrays into info, no functions, locks or open files", once=True)
def info_picklable(record: EnvRecord) -> Findings:
    """Infos can be pickled: they travel from the env runners to the learner."""
    return faults(record, "info unpicklable")


@check(fix="build a new dict each time, with copies of arrays", mild=True, once=True)
def info_not_overwritten(record: EnvRecord) -> Findings:
    """A returned info does not change afterwards: RLlib stores it by reference."""
    return faults(record, "info overwritten")


@check(fix="use texts as keys, and leave a key out where there is no value", mild=True, once=True, several=NEVER)
def info_keys_plain(record: EnvRecord) -> Findings:
    """Info keys are texts, and a key holds one type: vector environments keep an array for each."""
    return faults(record, "info keys")
