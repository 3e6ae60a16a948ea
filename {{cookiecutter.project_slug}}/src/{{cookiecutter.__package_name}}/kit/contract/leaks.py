"""Many resets and steps: memory, files, threads and processes must not pile up."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .locations import HERE
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .surroundings import children, descriptors, threads

WINDOWS = 4
MEASURE_SECONDS = 2.0  # What takes longer to measure is not judged.
LEAK_BYTES_PER_EPISODE = 400  # Statistics of an episode are small; observations of all its steps are not.
LEAK_BYTES_PER_STEP = 60  # The smallest array weighs more; freed objects that NumPy keeps for later weigh less.
LEAK_BYTES_IN_FEW_EPISODES = 20_000  # Where only a few episodes could be played, caches are still filling.
SEVERE_BYTES_PER_EPISODE = 200_000


@dataclass
class Growth:
    """What was open or allocated after each window of episodes."""

    episodes: int
    steps: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)
    bytes: list[int] = field(default_factory=list)
    line: str | None = None
    files: set[str] = field(default_factory=set)

    @property
    def least(self) -> int:
        """The bytes a window must add to count as a leak."""
        if self.episodes < 4:
            return LEAK_BYTES_IN_FEW_EPISODES * self.episodes
        windows = max(len(self.bytes) - 1, 1)
        return max(LEAK_BYTES_PER_EPISODE * self.episodes, LEAK_BYTES_PER_STEP * self.steps // windows)


COUNTERS: dict[str, Callable[[], int | None]] = {
    "files or sockets (file descriptors)": descriptors,
    "threads": threads,
    "child processes": children,
}


def _growth(study: Study) -> Growth:
    if "growth" not in study.cache:
        study.cache["growth"] = _measure(study)
    return study.cache["growth"]


def _measure(study: Study) -> Growth:
    _ = study.steps_played
    plan = study.plan
    growth = Growth(episodes=max(plan.resets // 2, 1))
    chooser = RANDOM.chooser(study.space("action_space"), 17)
    cap = max(min(plan.small // 3, 20), 1)

    def episodes(count: int) -> None:
        for number in range(count):
            episode = Episode(number + 1, RANDOM, None, fresh=False)
            play(study.env, episode, chooser, cap, study.pulse)
            growth.steps += len(episode.steps)

    start = len(study.events.written)
    deadline = time.perf_counter() + MEASURE_SECONDS
    gc.collect()
    gc.freeze()  # What lives now need not be looked at again: the collections below become cheap.
    tracemalloc.start()
    try:
        episodes(2 * growth.episodes)  # The first ones fill caches.
        growth.steps = 0
        for window in range(WINDOWS + 1):
            gc.collect()
            _count(growth)
            if window == 1:
                before = tracemalloc.take_snapshot()
            if window == WINDOWS or time.perf_counter() > deadline:
                break
            episodes(growth.episodes)
        if keeps_growing(growth.bytes, growth.least):
            growth.line = _top_line(study, before, tracemalloc.take_snapshot())
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    growth.files = {path for path in study.events.written[start:] if os.path.exists(path)}
    return growth


def _count(growth: Growth) -> None:
    growth.bytes.append(tracemalloc.get_traced_memory()[0])
    for name, counter in COUNTERS.items():
        value = counter()
        if value is not None:
            growth.counts.setdefault(name, []).append(value)


def keeps_growing(levels: list[int], least: int) -> bool:
    """Whether each window, the first one aside, added at least so much."""
    steps = [after - before for before, after in zip(levels[1:], levels[2:], strict=False)]
    return len(steps) >= WINDOWS - 1 and all(step >= least for step in steps)


def _top_line(study: Study, before: Any, after: Any) -> str | None:
    for entry in after.compare_to(before, "lineno")[:12]:
        frame = entry.traceback[0]
        if not os.path.realpath(frame.filename).startswith(HERE) and "tracemalloc" not in frame.filename:
            return f"{frame.filename}:{frame.lineno}"
    return None


@check(quick=False)
def handles_do_not_grow(study: Study) -> Iterator[Finding]:
    """Open files, sockets, threads and child processes stay the same over many resets.

    The system allows about a thousand open files a process; threads and processes end sooner.
    """
    growth = _growth(study)
    for name, levels in growth.counts.items():
        if keeps_growing(levels, max(growth.episodes // 2, 1)):
            text = (
                f"reset() leaks {name}: {levels[0]} at first, {levels[-1]} after {growth.episodes * WINDOWS} more "
                "episodes, unclosed"
            )
            yield error(
                text, "close or join the old one before reset() makes a new one, or make it once", study.where("reset")
            )


@check(quick=False)
def memory_does_not_grow(study: Study) -> Iterator[Finding]:
    """Memory stays the same over many episodes.

    A list that grows with every step fills the machine after some hours; Ray then kills the env runner.
    """
    growth = _growth(study)
    if not keeps_growing(growth.bytes, growth.least):
        return
    if "handles_do_not_grow" in study.failed:
        raise NotJudged("see handles_do_not_grow")
    each = (growth.bytes[-1] - growth.bytes[1]) / (growth.episodes * (WINDOWS - 1))
    per_step = (growth.bytes[-1] - growth.bytes[0]) / max(growth.steps, 1)
    text = (
        f"memory grows with every episode, a leak: {_rounded(each)} an episode of these short ones, about "
        f"{_rounded(per_step * 1e6)} in a million steps"
    )
    finding = error if each >= SEVERE_BYTES_PER_EPISODE else warning
    yield finding(text, "clear lists and dicts in reset(), or bound them: collections.deque(maxlen=...)", growth.line)


def _rounded(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{float(f'{count / size:.1g}'):g} {unit}"
    return f"{float(f'{max(count, 1):.1g}'):g} bytes"


@check(quick=False)
def files_do_not_pile_up(study: Study) -> Iterator[Finding]:
    """Episodes leave no files behind.

    A file an episode fills the disk and slows down the directory after some hours of training.
    """
    growth = _growth(study)
    if len(growth.files) >= growth.episodes * WINDOWS // 2 and len(growth.files) >= 3:
        example = sorted(growth.files)[0]
        text = (
            f"every episode leaves a file behind, such as {example}: {len(growth.files)} after "
            f"{growth.episodes * WINDOWS} episodes (leak)"
        )
        yield warning(text, "delete it in reset() and close(), or write nothing while training", study.where("reset"))
