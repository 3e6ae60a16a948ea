"""Seeds: the same seed gives the same episode, on a fresh copy and on a used one; no seed gives another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gymnasium.utils.seeding import np_random

from ..spaces.membership import short
from .locations import unwrapped
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error
from .sessions import difference
from .study import Study
from .surroundings import seed_global
from .suspects import changed_attributes, suspects
from .values import same


def _shown(found: tuple[int, str, object, object], episode: Episode) -> str:
    number, what, left, right = found
    return f"{what} {episode.at(number)}: {short(left, 60)} the first time, {short(right, 60)} the second"


def fresh_difference(study: Study) -> tuple[int, str, object, object] | None:
    """Where two fresh copies with seed 0 and the same actions differ first."""
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
    found = fresh_difference(study)
    if found is None:
        return
    where = study.where("reset" if found[0] == 0 else "step")
    if _other_seeds_are_fine(study):
        text = f"seed 0 is ignored, other seeds are not: with seed 0 two fresh copies differ in {_shown(found, first)}"
        yield error(text, "seed 0 is a seed: write `if seed is not None`, not `if seed` and not `seed or ...`", where)
        return
    text = (
        "not deterministic: two fresh copies with the same seed and the same actions differ in "
        f"{_shown(found, first)}; "
        f"the episode is not reproducible{suspects(study)}"
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


@check()
def reset_starts_afresh(study: Study) -> Iterator[Finding]:
    """A reset forgets the episode before it: a used copy plays the same episode as a fresh one.

    State that leaks into the next episode (a position, a counter, a done flag) makes later episodes shorter or starts
    them at the end of the last one; a seed that is honoured only once makes evaluations incomparable.
    """
    if fresh_difference(study) is not None:
        raise NotJudged("not even fresh copies agree")
    repetition = stale(study)
    if repetition is None:
        return
    left, right, found = repetition
    where, shown = study.where("reset"), _shown(found, left)
    if found[0] == 0 and _only_reset_differs(left, right):
        text = (
            f"the observation of reset() is stale, of the previous episode: {shown}; all steps after it agree, so "
            "it is "
            "computed before the state is reset, or from what was not reset"
        )
        yield error(text, "set the state first, then compute the observation to return", where)
    elif _second_seed_ignored(study):
        text = (
            f"the seed is ignored by the second reset(seed={left.seed}): only the first seed is honoured; the same "
            "seed "
            f"gave a different episode again, not reproducible: {shown}"
        )
        yield error(text, "call super().reset(seed=seed) at every reset and draw from self.np_random", where)
    else:
        text = (
            f"state of the previous episode leaks into the next (stale, not reset): reset(seed={left.seed}) on a "
            "used copy "
            f"differs from the same seed and actions before: {shown}; lengths {len(left.steps)} and {len(right.steps)}"
        )
        yield error(text, f"set everything that step() changes in reset(){changed_attributes(study)}", where)


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
    """Whether fresh copies that are reset twice, with no step between, follow the first of the two seeds."""
    if study.slow_to_build:
        return False
    space, ignored = study.space("action_space"), False
    for first in range(1, 6):
        env = study.another()
        play(env, Episode(1, RANDOM, first, fresh=True), RANDOM.chooser(space, 0), 0, study.pulse)
        second = Episode(2, RANDOM, 0, fresh=False)
        play(env, second, RANDOM.chooser(space, 0), 0, study.pulse)
        state = _generator_state(env)
        play(study.env, Episode(1, RANDOM, 0, fresh=False), RANDOM.chooser(space, 0), 0, study.pulse)
        if state == _generator_state(study.env) != str(np_random(0)[0].bit_generator.state):
            return False  # The start is drawn from np_random, and np_random follows the second seed.
        ignored = ignored or not same(second.obs, study.episodes[0].obs)
        study.release(env)
    return ignored


def _generator_state(env: Any) -> str | None:
    generator: Any = getattr(unwrapped(env), "_np_random", None)
    return str(generator.bit_generator.state) if hasattr(generator, "bit_generator") else None
