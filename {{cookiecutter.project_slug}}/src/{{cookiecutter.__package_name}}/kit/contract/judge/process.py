"""What the environment does to its process: it survives, every call returns, nothing piles up, nothing is printed."""

import statistics
from collections.abc import Iterator

from ...tracebacks import KIT
from ..record.env_record import EnvRecord
from ..record.model import WINDOWS, Stop
from .registry import Finding, Findings, check

SLOW_STEP_SECONDS, SLOW_RESET_SECONDS = 0.03, 0.5
# Statistics of an episode are small, observations of its steps are not; NumPy keeps some freed objects for later.
LEAK_BYTES_PER_EPISODE, LEAK_BYTES_PER_STEP, SEVERE_BYTES_PER_EPISODE = 400, 60, 200_000
LEAK_BYTES_IN_FEW_EPISODES = 20_000  # where only a few episodes could be played, caches are still filling


def _stops(record: EnvRecord, *why: str) -> Iterator[tuple[Stop, str]]:
    """Yields how recorders ended before their time, and where in words; those at one line and in one call once."""
    stops = {(stop.where, stop.call): stop for stop in reversed(record.stops) if stop.why in why}
    for stop in reversed(stops.values()):
        place = f"in {stop.context}" if stop.call == "probe" else f"in {stop.call}()"
        yield stop, f"in step(), at step {stop.step} of {stop.context}" if stop.call == "step" else place


@check(fix="raise an exception or return terminated=True; never call exit() or os._exit()", blocks=True)
def process_survives(record: EnvRecord) -> Findings:
    """The environment does not end its process, nor eat its memory: an env runner would die."""
    for stop, place in _stops(record, "memory", "exit"):
        how = f"signal {-stop.code} (a crash in native code)" if stop.code < 0 else f"exit code {stop.code}"
        text = f"the environment ended its process with {how} {place}"
        if stop.why == "memory":
            text = f"the environment used up the memory ({stop.code / 1e9:.0f} GB) {place}"
        yield Finding(text, where=stop.where, at=stop.call)


@check(fix="give every wait a timeout and every loop an end; it hung at the line above", blocks=True)
def calls_return(record: EnvRecord) -> Findings:
    """Every call of the environment returns; training would wait without a message."""
    for stop, place in _stops(record, "hang"):
        if stop.call != "probe" or stop.where is not None:
            text = f"the environment hangs {place}: no answer within {stop.seconds:.0f} s"
            yield Finding(text, where=stop.where, at=stop.call)


@check(fix="the exception tells the line")
def nothing_else_raises(record: EnvRecord) -> Findings:
    """Nothing of the environment raises where attributes are read or copies are made."""
    for probe, error in record.accidents:
        yield Finding(f"the environment raises {error.text} where nothing may raise ({probe})", where=error.where)


@check(fix="profile it (python -m cProfile), vectorise with NumPy, or use more env runners", at="step", mild=True)
def step_fast(record: EnvRecord) -> Findings:
    """A step takes less than 30 milliseconds: the environment's speed is the training's speed."""
    seconds = sorted(step.seconds for _, _, step in record.steps)
    typical = float(f"{seconds[len(seconds) // 4]:.1g}")  # below the median, as a busy machine only ever slows down
    if typical > SLOW_STEP_SECONDS:
        hours = typical * 1e6 / 3600
        yield f"step() is slow: it took about {typical * 1e3:.0f} ms; a million steps take {hours:.0f} hours on one copy"


@check(fix="load and build in __init__ what does not change, and only set the state in reset()", at="reset", mild=True)
def reset_fast(record: EnvRecord) -> Findings:
    """A reset takes less than half a second: all copies of an env runner wait for it."""
    seconds = [episode.reset_seconds for episode in record.resets if episode.has_reset]
    typical = float(f"{statistics.median_low(seconds):.1g}")
    if typical > SLOW_RESET_SECONDS and len(seconds) > 1:
        yield f"reset() is slow: it took about {typical:g} s, and all copies in the env runner wait for it"


@check(fix="remove the print, or use logging.getLogger(__name__).debug", mild=True)
def prints_nothing(record: EnvRecord) -> Findings:
    """`reset` and `step` print nothing: Ray collects the output of all workers."""
    episodes = record.played[1:]
    for call in ("reset", "step"):
        count = sum(call in episode.touched("output") for episode in episodes)
        if count >= 2:
            yield Finding(f"{call}() prints in {count} of {len(episodes)} episodes", at=call)


@check(fix="use absolute paths instead of os.chdir", once=True)
def directory_unchanged(record: EnvRecord) -> Findings:
    """`reset` and `step` leave the working directory as it is: checkpoints and logs have relative paths."""
    for episode in record.resets:
        for call in episode.touched("cwd"):
            first, *_, last = (shot.cwd for shot in episode.around)
            yield Finding(f"{call}() changes the working directory from {first} to {last}", at=call)


@check(fix="guard the operation, or use a wider dtype (int, float) before the arithmetic", mild=True)
def no_numeric_warnings(record: EnvRecord) -> Findings:
    """The user's code raises no RuntimeWarning: NumPy goes on with a wrong number."""
    for (category, text), where in record.warnings.items() if record.played else ():
        if category == "RuntimeWarning" and "site-packages" not in where and not where.startswith(KIT):
            yield Finding(f"{category} while playing: {text}; NumPy goes on with a wrong value", where=where)


@check(fix="close or join the old one before reset() makes a new one, or make it once", at="reset")
def handles_do_not_grow(record: EnvRecord) -> Findings:
    """Open files, sockets, threads and child processes stay the same over many resets."""
    growth, episodes = record.growth, record.growth.episodes * WINDOWS
    for name, levels in growth.counts.items():
        if _keeps_growing(levels, max(growth.episodes // 2, 1)):
            yield f"reset() leaks {name}: {levels[0]} at first, {levels[-1]} after {episodes} more episodes"


def _keeps_growing(levels: list[int], least: int) -> bool:
    """Tells whether each window, the first one aside, added at least so much."""
    steps = [after - before for before, after in zip(levels[1:], levels[2:], strict=False)]
    return len(steps) >= WINDOWS - 1 and all(step >= least for step in steps)


@check(fix="clear lists and dicts in reset(), or bound them: collections.deque(maxlen=...)", mild=True,
       after="handles_do_not_grow")  # fmt: skip
def memory_does_not_grow(record: EnvRecord) -> Findings:
    """Memory stays the same over many episodes; else Ray kills the env runner after some hours."""
    growth = record.growth
    least = LEAK_BYTES_IN_FEW_EPISODES * growth.episodes
    if growth.episodes >= 4:
        steps = growth.steps // max(len(growth.bytes) - 1, 1)
        least = max(LEAK_BYTES_PER_EPISODE * growth.episodes, LEAK_BYTES_PER_STEP * steps)
    if _keeps_growing(growth.bytes, least):
        each = (growth.bytes[-1] - growth.bytes[1]) / (growth.episodes * (WINDOWS - 1))
        million = (growth.bytes[-1] - growth.bytes[0]) / max(growth.steps, 1)
        text = f"memory leaks: {each / 1e3:.1g} kB with each short episode, {million:.1g} MB in a million steps"
        yield Finding(text, where=growth.line, severity="error" if each >= SEVERE_BYTES_PER_EPISODE else None)


@check(fix="delete it in reset() and close(), or write nothing while training", at="reset", mild=True)
def files_do_not_pile_up(record: EnvRecord) -> Findings:
    """Episodes leave no files behind, which would fill the disk."""
    files, episodes = record.growth.files, record.growth.episodes * WINDOWS
    if len(files) >= max(episodes // 2, 3):
        yield f"every episode leaves a file behind, such as {min(files)}: {len(files)} after {episodes} episodes"


@check(fix="close only what is open: if self._window is not None: ...", at="close", mild=True, once=True)
def close_twice(record: EnvRecord) -> Findings:
    """`close` can be called twice, and also before the first reset, as wrappers do."""
    for when, error in record.closing.items():
        if error is not None:
            yield Finding(f"close() raises {error.text} when it is called {when}", where=error.where)


@check(fix="end in close() whatever the instance has opened", at="close", mild=True, after="handles_do_not_grow")
def close_releases(record: EnvRecord) -> Findings:
    """`close` gives back what the constructor and `reset` opened: env runners are restarted again and again."""
    for name, levels in record.released.items():
        if _keeps_growing([levels[0], *levels], 1):
            yield f"close() does not release {name}: {levels[0]} after one closed copy, {levels[-1]} after {len(levels)}"


@check(fix="move the change into your own files: the next update replaces kit/", mild=True)
def kit_unchanged(record: EnvRecord) -> Findings:
    """The files in `kit/` are as they were delivered: an update replaces the whole folder."""
    files = record.changed_kit_files
    if files:
        yield f"{len(files)} file{'s' * (len(files) > 1)} in kit/ changed by hand: {', '.join(files[:4])}"
