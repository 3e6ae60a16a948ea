"""Seeds: the same seed gives the same episode, on a fresh copy and on a used one; no seed gives another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .locations import unwrapped
from .policies import RANDOM, constant_policies
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .sessions import difference
from .study import Study
from .surroundings import seed_global
from .values import short


def _shown(found: tuple[int, str, object, object], episode: Episode) -> str:
    number, what, left, right = found
    return f"{what} {episode.at(number)}: {short(left, 60)} the first time, {short(right, 60)} the second"


def _fresh_difference(study: Study) -> tuple[int, str, object, object] | None:
    return difference(study.episodes[0], study.replays.alone)


@check()
def same_seed_same_episode(study: Study) -> Iterator[Finding]:
    """Two fresh copies with the same seed and the same actions give the same episode, to its last step.

    Otherwise no run can be reproduced, no bug found again, and no two settings compared.
    """
    if study.cache.get("spaces differ") or study.cache.get("config mutated"):
        raise NotJudged("copies differ in their spaces or config")
    if study.cache.get("seed ignored"):
        raise NotJudged("see reset_seeds_np_random")
    first = study.episodes[0]
    found = _fresh_difference(study)
    if found is None:
        return
    where = study.where("reset" if found[0] == 0 else "step")
    if _other_seeds_are_fine(study):
        text = f"seed 0 is ignored, other seeds are not: with seed 0 two fresh copies differ in {_shown(found, first)}"
        yield error(text, "seed 0 is a seed: write `if seed is not None`, not `if seed` and not `seed or ...`", where)
        return
    text = (
        f"not deterministic: two fresh copies with the same seed and the same actions differ in {_shown(found, first)}; "
        f"the episode is not reproducible{_suspects(study)}"
    )
    fix = "start reset() with super().reset(seed=seed) and draw all random numbers from self.np_random"
    yield error(text, fix, where)


def _other_seeds_are_fine(study: Study) -> bool:
    """Whether two further fresh copies agree under other seeds than 0."""
    if study.slow_to_build:
        return False
    played: list[list[Episode]] = []
    for start in (77, 88):
        env = study.another()
        seed_global(start)
        episodes = [Episode(seed, RANDOM, seed, fresh=seed == 1) for seed in range(1, 8)]
        for episode in episodes:
            chooser = RANDOM.chooser(study.space("action_space"), 1)
            play(env, episode, chooser, study.plan.small, study.pulse)
        played.append(episodes)
        study.release(env)
    return all(difference(left, right) is None for left, right in zip(*played, strict=True))


def _suspects(study: Study) -> str:
    """What probably is the source of the randomness."""
    env = unwrapped(study.env)
    suspects = []
    for name, label in (
        ("numpy_rng", "np.random (the global generator of NumPy)"),
        ("python_rng", "the random module"),
    ):
        if any(_touched(episode, name) for episode in study.episodes):
            suspects.append(f"it draws from {label}")
    for name in ("action_space", "observation_space"):
        state = getattr(getattr(env, name, None), "_np_random", None)
        before = getattr(study.first_spaces.get(name), "_np_random", None)
        if state is not None and (before is None or before.bit_generator.state != state.bit_generator.state):
            suspects.append(f"it draws from {name}.sample(), which reset(seed=...) does not seed")
    if callable(getattr(env, "seed", None)):
        suspects.append("it has an old seed() method, which nobody calls")
    if getattr(env, "_np_random_seed", None) in (None, -1):
        suspects.append("reset() does not call super().reset(seed=seed)")
    return f" ({'; '.join(suspects)})" if suspects else " (a generator of its own, the time, a set or hash?)"


def _touched(episode: Episode, name: str) -> bool:
    shots = [shot for shot in (episode.before, episode.after_reset, episode.after_steps) if shot is not None]
    return any(getattr(shot, name) != getattr(shots[0], name) for shot in shots)


@check()
def reset_starts_afresh(study: Study) -> Iterator[Finding]:
    """A reset forgets the episode before it: a used copy plays the same episode as a fresh one.

    State that leaks into the next episode (a position, a counter, a done flag) makes later episodes shorter or starts
    them at the end of the last one; a seed that is honoured only once makes evaluations incomparable.
    """
    if _fresh_difference(study) is not None:
        raise NotJudged("not even fresh copies agree")
    repetition = stale(study)
    if repetition is None:
        return
    left, right, found = repetition
    where, shown = study.where("reset"), _shown(found, left)
    if found[0] == 0 and _only_reset_differs(left, right):
        text = (
            f"the observation of reset() is stale, of the previous episode: {shown}; all steps after it agree, so it is "
            "computed before the state is reset, or from what was not reset"
        )
        yield error(text, "set the state first, then compute the observation to return", where)
    elif _second_seed_ignored(study):
        text = (
            f"the seed is ignored by the second reset(seed={left.seed}): only the first seed is honoured; the same seed "
            f"gave a different episode again, not reproducible: {shown}"
        )
        yield error(text, "call super().reset(seed=seed) at every reset and draw from self.np_random", where)
    else:
        text = (
            f"state of the previous episode leaks into the next (stale, not reset): reset(seed={left.seed}) on a used copy "
            f"differs from the same seed and actions before: {shown}; lengths {len(left.steps)} and {len(right.steps)}"
        )
        yield error(text, f"set everything that step() changes in reset(){_changed_attributes(study)}", where)


def stale(study: Study) -> tuple[Episode, Episode, tuple[int, str, object, object]] | None:
    """Two episodes with equal seed and actions that differ because the second was played on a used copy."""
    for left, right in _repetitions(study):
        found = difference(left, right)
        if found is not None:
            return left, right, found
    return None


def _only_reset_differs(left: Episode, right: Episode) -> bool:
    if not left.steps or not right.steps:
        return False
    return difference(replace(left, obs=None), replace(right, obs=None)) is None


def _repetitions(study: Study) -> Iterator[tuple[Episode, Episode]]:
    """Pairs of episodes with equal seed and policy, of which the later was played on a used copy."""
    yield study.episodes[0], study.replays.again
    seen: dict[tuple[str, int], Episode] = {}
    for episode in study.episodes:
        if episode.seed is not None and (episode.has_reset or episode.trouble):
            key = (episode.policy.label, episode.seed)
            if key in seen:
                yield seen[key], episode
            seen.setdefault(key, episode)


def _second_seed_ignored(study: Study) -> bool:
    """Whether a fresh copy that is reset twice, with no step between, follows the first seed."""
    if study.slow_to_build:
        return False
    env, chooser = study.another(), RANDOM.chooser(study.space("action_space"), 0)
    play(env, Episode(1, RANDOM, 1, fresh=True), chooser, 0, study.pulse)
    second = play(env, Episode(2, RANDOM, 0, fresh=False), chooser, study.plan.small, study.pulse)
    study.release(env)
    return difference(study.episodes[0], second) is not None


def _changed_attributes(study: Study) -> str:
    """Names of plain attributes that are not numbers of the constructor any more: candidates for the leak."""
    policy = constant_policies(study.space("action_space"), 2)[-1:] or [RANDOM]
    chooser = policy[0].chooser(study.space("action_space"), 0)
    play(study.env, Episode(1, policy[0], 0, fresh=False), chooser, 4, study.pulse)
    fresh, used = unwrapped(study.another()), unwrapped(study.env)
    names = []
    for name, value in vars(used).items() if hasattr(used, "__dict__") else ():
        kinds = (int, float, str, bool, list, dict, tuple, set)
        if (
            isinstance(value, kinds)
            and not name.startswith("_np_random")
            and short(vars(fresh).get(name)) != short(value)
        ):
            names.append(name)
    return f": look at {', '.join('self.' + name for name in names[:6])}" if names else ""


@check()
def no_seed_new_episode(study: Study) -> Iterator[Finding]:
    """Without a seed, each reset continues the random stream: episodes differ from each other.

    RLlib seeds once and then resets without a seed: an environment that starts the same stream again trains on one
    single episode and looks as if it had learned.
    """
    starts = study.starts
    if len(set(starts.seeded)) < 3 or len(starts.unseeded) < 4 or len(starts.unseeded[0]) == 0:
        raise NotJudged("episodes do not depend on the seed")
    if len(set(starts.unseeded)) == 1:
        text = (
            f"{len(starts.unseeded)} resets without a seed all replay the same episode (identical start and random stream), "
            f"although {len(starts.seeded)} seeds gave {len(set(starts.seeded))} different ones: the stream restarts at each reset"
        )
        fix = "seed only when a seed is given: super().reset(seed=seed) with seed=None as default keeps the stream"
        yield error(text, fix, study.where("reset"))


@check(quick=False)
def copies_without_seed_differ(study: Study) -> Iterator[Finding]:
    """Fresh copies that never get a seed play different episodes.

    A constant seed in the constructor makes all copies of all env runners collect the same data.
    """
    starts = study.starts
    if len(starts.fresh) < 3 or len(set(starts.seeded)) < 3 or len(set(starts.unseeded)) < 2:
        raise NotJudged("episodes do not depend on chance")
    if len(set(starts.fresh)) == 1:
        text = (
            "fresh copies that get no seed all play the same episodes: the constructor seeds a generator with a constant, so "
            "every copy repeats the identical random stream"
        )
        fix = "make no generator in __init__; use self.np_random, which super().reset(seed=seed) seeds"
        yield error(text, fix, study.where("__init__"))


@check()
def global_random_untouched(study: Study) -> Iterator[Finding]:
    """`reset` and `step` neither seed nor draw from the global generators of NumPy and Python.

    They are shared with the other copies, RLlib's exploration and the shuffling of minibatches: seeding them in
    reset makes all of those repeat themselves.
    """
    reproducible = _fresh_difference(study) is None
    for name, label in (("numpy_rng", "np.random"), ("python_rng", "random")):
        touched = next((episode for episode in study.steps_played if _touched(episode, name)), None)
        if touched is None:
            continue
        in_reset = getattr(touched.before, name) != getattr(touched.after_reset, name)
        call = "reset" if in_reset else "step"
        fix = "use self.np_random, seeded by super().reset(seed=seed)"
        if _reseeds(study, name):
            text = f"{call}() seeds the global generator of {label}: it clobbers the random numbers of all other instances and of RLlib"
            yield error(text, fix, study.where(call))
        elif reproducible:
            text = f"{call}() draws from the global generator of {label}; it did not change the episode, but it will if others draw"
            yield warning(text, fix, study.where(call))


def _reseeds(study: Study, name: str) -> bool:
    """Whether two resets with one seed leave the global generator in one state, whatever it was before."""
    states = []
    for start in (101, 202):
        seed_global(start)
        episode = Episode(0, RANDOM, 3, fresh=False)
        play(study.env, episode, lambda obs, info: None, 0, study.pulse)
        states.append(getattr(episode.after_reset, name) if episode.after_reset else start)
    return states[0] == states[1]
