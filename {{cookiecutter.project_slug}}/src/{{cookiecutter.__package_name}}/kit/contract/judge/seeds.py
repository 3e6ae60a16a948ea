"""Seeds: the same seed gives the same episode, on a fresh copy and on a used one; no seed gives another one."""

from dataclasses import replace

from ..record.compare import Difference, difference, stale
from ..record.env_record import EnvRecord
from ..record.model import NotJudged
from .registry import Finding, Findings, check

SEED = "start reset() with super().reset(seed=seed), not only `if seed:`, and draw all chance from self.np_random"
ROUNDING_FIX = "if a physics engine steps this: nothing, or make its world anew in reset(); else sum in a fixed order"
GENERATORS = (("numpy_rng", "np.random"), ("python_rng", "random"))


def rounding(what: str, found: Difference) -> Finding:
    """Returns the warning on a difference that is a physics engine's chaos, not a leak."""
    text = f"{what} differs by rounding, {found.rounding:.0e} at first: the chaos of a physics engine, no leak of state"
    text += f"; {found.shown('in one', 'in the other')}"
    return Finding(text, ROUNDING_FIX, at="step" if found.step else "reset", severity="warning", blocks=False)


def fresh_difference(record: EnvRecord) -> Difference | None:
    """Returns where two fresh copies with seed 0 and the same actions differ first."""
    return difference(record.resets[0], record.replays.alone)


def fresh_copies_agree(record: EnvRecord) -> None:
    """Raises NotJudged where not even two fresh copies agree."""
    if fresh_difference(record) is not None:
        raise NotJudged("not even fresh copies agree")


@check(fix="start reset() with super().reset(seed=seed)", at="reset")
def reset_seeds_np_random(record: EnvRecord) -> Findings:
    """`reset(seed=...)` seeds `self.np_random` where the environment draws from it."""
    seed = record.seeding["ignored"] if record.played else None
    if seed is not None:
        yield f"reset(seed=12345) does not seed np_random (its seed is {seed}), which reset() draws from"


@check(fix=SEED, at="step", after="spaces_same_in_copies config_unchanged reset_seeds_np_random")
def same_seed_same_episode(record: EnvRecord) -> Findings:
    """Two fresh copies with the same seed and actions give the same episode; else no run can be reproduced."""
    found = fresh_difference(record)
    if found is None:
        return
    shared = record.replays.shared[:3]
    drawn = [label for name, label in GENERATORS if any(episode.touched(name) for episode in record.episodes)]
    suspects = [f"it draws from the global generator of {label}" for label in drawn] + record.replays.suspects
    if found.rounding is not None and not suspects:
        yield rounding("a fresh copy with the same seed and actions", found)
    else:
        hint = "; ".join(suspects) or "a generator of its own, the time, a set or hash?"
        fix = f"keep it in self, set in reset(): look at {', '.join(shared)}" if shared and not suspects else None
        hint = f"all copies share {', '.join(shared)}, which has changed" if fix else hint
        text = f"not deterministic: two fresh copies with the same seed and actions differ in {found.shown()} ({hint})"
        yield Finding(text, fix, at="step" if found.step else "reset")


@check(fix="set everything that step() changes in reset()", at="reset")
def reset_starts_afresh(record: EnvRecord) -> Findings:
    """A reset forgets the episode before it: a used copy plays the same episode as a fresh one."""
    fresh_copies_agree(record)
    found = stale(record.resets, record.replays.again)
    if found is None:
        return
    left, right = found.episodes
    only_steps = [replace(episode, has_reset=False) for episode in found.episodes]
    steps_agree = bool(left.steps and right.steps) and difference(*only_steps) is None
    if found.rounding is not None:
        yield rounding("an episode on a used copy", found)
    elif found.step == 0 and steps_agree:
        text = f"the observation of reset() is stale, of the previous episode: {found.shown()}; the steps agree"
        yield Finding(text, "set the state first, then compute the observation to return")
    else:
        names = ", ".join(record.replays.changed[:4]) or "a generator seeded only once"
        lengths = f"lengths {len(left.steps)} and {len(right.steps)}"
        text = f"state of the previous episode leaks into the next: in a used copy {found.shown()}; {lengths}"
        yield Finding(text, f"set everything that step() changes in reset(): look at {names}")


@check(fix="start reset() with super().reset(seed=seed), whatever the options are, and draw all chance from self.np_random",
       at="reset", after="reset_seeds_np_random same_seed_same_episode reset_starts_afresh")  # fmt: skip
def same_seed_same_episode_with_options(record: EnvRecord) -> Findings:
    """The same seed gives the same episode with options, too: evaluation and curricula pass both."""
    found = record.seeding["differs"]
    if found is not None and found.rounding is None and difference(record.resets[0], record.replays.again) is None:
        options = found.episodes[0].options
        yield f"not deterministic: reset(seed=1, options={options}) twice gives, with the same actions, {found.shown()}"


@check(fix="seed only when a seed is given: super().reset(seed=seed) with seed=None keeps the stream", at="reset")
def no_seed_new_episode(record: EnvRecord) -> Findings:
    """Without a seed, each reset continues the random stream; else training sees one single episode."""
    seeds, unseeded = len(set(record.starts.seeded)), record.starts.unseeded
    if seeds < 3 or len(unseeded) < 4 or not unseeded[0]:
        raise NotJudged("episodes do not depend on the seed")
    if len(set(unseeded)) == 1:
        yield f"{len(unseeded)} resets without a seed all replay the same episode; seeds gave {seeds} different ones"


@check(fix="make no generator in __init__; use self.np_random", at="__init__")
def copies_without_seed_differ(record: EnvRecord) -> Findings:
    """Fresh copies that never get a seed play different episodes; else all collect the same data."""
    starts = record.starts
    if len(starts.fresh) < 3 or len(set(starts.seeded)) < 3 or len(set(starts.unseeded)) < 2:
        raise NotJudged("episodes do not depend on chance")
    if len(set(starts.fresh)) == 1:
        yield "fresh copies without a seed all play the same episodes: the constructor seeds them with a constant"


@check(fix="use self.np_random, seeded by super().reset(seed=seed)")
def global_random_untouched(record: EnvRecord) -> Findings:
    """`reset` and `step` leave the global generators of NumPy and Python alone: RLlib explores with them."""
    for name, label in GENERATORS:
        call = next((call for episode in record.played for call in episode.touched(name)), None)
        if call is None:
            continue
        if name in record.seeding["reseeds"]:
            text = f"{call}() seeds the global generator of {label}, which all other instances and RLlib draw from"
            yield Finding(text, at=call)
        elif fresh_difference(record) is None:
            text = f"{call}() draws from the global generator of {label}: episodes will differ when others draw"
            yield Finding(text, at=call, severity="warning")


@check(fix="sort sets before use (sorted(...)), use no hash() or id() of objects, and draw from self.np_random",
       after="same_seed_same_episode reset_seeds_np_random spaces_same_in_copies config_unchanged",
       once=True)  # fmt: skip
def same_in_other_process(record: EnvRecord) -> Findings:
    """The same seed gives the same episode in another process, where the order of sets and hash() differ."""
    fresh_copies_agree(record)
    ours = record.resets[0]
    for replica in record.replicas:
        found = difference(ours, replica.replica) if replica.has("replica") else None
        if found is None or found.what == "exception":
            continue
        if found.rounding is not None:
            yield rounding("an episode in another process", found)
        shown = f"with seed 0 and the same actions, another {found.shown('here', 'there')}"
        text = f"another process gives, {shown}; the order of a set, hash(), id(), the time, the process id?"
        yield Finding(text, at="step" if found.step else "reset")
