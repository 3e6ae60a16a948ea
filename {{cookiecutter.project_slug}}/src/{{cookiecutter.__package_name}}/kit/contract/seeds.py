"""Unseeded resets, unseeded copies, and the global random numbers of the process."""

from __future__ import annotations

from collections.abc import Iterator

from .determinism import fresh_difference
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .surroundings import seed_global
from .suspects import touched


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
            f"{len(starts.unseeded)} resets without a seed all replay the same episode (identical start and random "
            "stream), "
            f"although {len(starts.seeded)} seeds gave {len(set(starts.seeded))} different ones: the stream "
            "restarts at each reset"
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
            "fresh copies that get no seed all play the same episodes: the constructor seeds a generator with a "
            "constant, so "
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
    reproducible = fresh_difference(study) is None
    for name, label in (("numpy_rng", "np.random"), ("python_rng", "random")):
        used = next((episode for episode in study.steps_played if touched(episode, name)), None)
        if used is None:
            continue
        in_reset = getattr(used.before, name) != getattr(used.after_reset, name)
        call = "reset" if in_reset else "step"
        fix = "use self.np_random, seeded by super().reset(seed=seed)"
        if _reseeds(study, name):
            text = (
                f"{call}() seeds the global generator of {label}: it clobbers the random numbers of all other "
                "instances and of RLlib"
            )
            yield error(text, fix, study.where(call))
        elif reproducible:
            text = (
                f"{call}() draws from the global generator of {label}; it did not change the episode, but it "
                "will if "
                "others draw"
            )
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
