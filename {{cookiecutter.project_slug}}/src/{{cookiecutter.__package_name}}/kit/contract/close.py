"""`close`: any number of times, and it gives everything back."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from .leaks import COUNTERS, keeps_growing
from .locations import described, raised
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, warning
from .study import Study
from .surroundings import quietly


@check(quick=False)
def close_twice(study: Study) -> Iterator[Finding]:
    """`close` can be called twice, and also before the first reset.

    Vector environments, wrappers and the interpreter's exit each close what may be closed already.
    """
    if study.slow_to_build or not hasattr(study.env, "close"):
        raise NotJudged("the constructor is slow, or there is no close()")
    for resets, when in ((0, "before the first reset"), (1, "twice")):
        env = study.another()
        if resets and "reset_works" not in study.failed and study.cap != -1:
            quietly(env.reset)
        for _ in range(2):
            study.pulse.call("close")
            try:
                env.close()
            except BaseException as problem:
                text = f"close() raises {described(problem)} when it is called {when}"
                yield warning(
                    text,
                    "close only what is open: if self._window is not None: ...",
                    raised(problem) or study.where("close"),
                )
                return


@check(quick=False)
def close_releases(study: Study) -> Iterator[Finding]:
    """`close` gives back what the constructor and `reset` opened.

    Env runners are restarted and evaluated again and again: each time another thread, file or process stays.
    """
    _ = study.steps_played
    if study.slow_to_build:
        raise NotJudged("the constructor is slow")
    if "handles_do_not_grow" in study.failed:
        raise NotJudged("see handles_do_not_grow")
    levels: dict[str, list[int]] = {}
    for _ in range(4):
        env = study.another()
        chooser = RANDOM.chooser(study.space("action_space"), 1)
        play(env, Episode(1, RANDOM, 1, fresh=True), chooser, 2, study.pulse)
        study.pulse.call("close")
        try:
            env.close()
        except BaseException as problem:
            raise NotJudged(f"close() raises at {raised(problem)}") from problem
        study.release(env)
        del env
        gc.collect()
        for name, counter in COUNTERS.items():
            value = counter()
            if value is not None:
                levels.setdefault(name, []).append(value)
    for name, counts in levels.items():
        if keeps_growing([counts[0], *counts], 1):
            text = (
                f"close() does not release {name}: {counts[0]} after one copy was closed, {counts[-1]} after "
                f"{len(counts)} (leak)"
            )
            yield warning(text, "close, join or terminate in close() what the instance opened", study.where("close"))
