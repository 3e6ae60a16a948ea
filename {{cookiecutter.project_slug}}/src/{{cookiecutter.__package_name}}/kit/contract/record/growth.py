"""The probes of what piles up, over many episodes or copies: memory, files, threads and processes."""

import gc
import os
import time
import tracemalloc
from typing import Any

from ...tracebacks import KIT
from .model import WINDOWS, Growth, NotJudged
from .recorder import Recorder
from .surroundings import COUNTERS

MEASURE_SECONDS = 6.0  # of the processor; what takes longer to measure is not judged


def record_growth(recorder: Recorder) -> Growth:
    """Plays windows of short episodes, and counts after each what is open and allocated."""
    growth = Growth(max(recorder.plan.resets // 2, 1), counts={name: [] for name in COUNTERS})
    cap = max(min(recorder.plan.small // 3, 20), 1)

    def play(count: int) -> None:
        for number in range(count):
            growth.steps += len(recorder.play(recorder.env, None, cap, draws=17 + number, number=number + 1).steps)

    start = len(recorder.events.written)
    deadline = time.process_time() + MEASURE_SECONDS * (10 if recorder.thorough else 1)
    gc.collect()
    gc.freeze()  # what lives now need not be looked at again: the collections below become cheap
    tracemalloc.start()
    try:
        play(2 * growth.episodes)  # the first ones fill caches
        growth.steps = 0
        for window in range(WINDOWS + 1):
            _count(growth.counts)
            growth.bytes.append(tracemalloc.get_traced_memory()[0])
            if window == 1:
                before = tracemalloc.take_snapshot()
            if window == WINDOWS:
                growth.line = _top_line(before, tracemalloc.take_snapshot())
            elif time.process_time() > deadline:
                raise NotJudged(f"{NotJudged.CUT}: memory is measured step by step")
            else:
                play(growth.episodes)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    growth.files = {path for path in recorder.events.written[start:] if os.path.exists(path)}
    return growth


def record_released(recorder: Recorder) -> dict[str, list[int]]:
    """Makes, plays and closes copies one after the other; returns what was open after each."""
    levels: dict[str, list[int]] = {name: [] for name in COUNTERS}
    for _ in range(4):
        env = recorder.another()
        recorder.play(env, 1, 2)
        recorder.release(env)
        del env
        _count(levels)
    return levels


def _count(levels: dict[str, list[int]]) -> None:
    """Appends how much of each kind is open now."""
    gc.collect()
    for name, counter in COUNTERS.items():
        levels[name].append(counter())


def _top_line(before: Any, after: Any) -> str | None:
    """Returns the line, not of the contract's, that has allocated most in between."""
    frames = [entry.traceback[0] for entry in after.compare_to(before, "lineno")[:12]]
    users = [frame for frame in frames if not frame.filename.startswith((KIT, tracemalloc.__file__))]
    return f"{users[0].filename}:{users[0].lineno}" if users else None
