"""What the environment does to its process: it survives, every call returns, nothing piles up, nothing is printed."""

import statistics
from collections.abc import Iterator

from ..record.env_record import EnvRecord
from ..record.locations import HERE
from ..record.sections import WINDOWS, Stop, keeps_growing
from .registry import Finding, Findings, check

SLOW_STEP_SECONDS = 0.03
SLOW_RESET_SECONDS = 0.5
SEVERE_BYTES_PER_EPISODE = 200_000


def _stops(record: EnvRecord) -> Iterator[Stop]:
    """Yields the recorders that ended before their time, those at one line and in one call once."""
    seen = set()
    for stop in record.stops:
        if (stop.why, stop.where, stop.call) not in seen:
            seen.add((stop.why, stop.where, stop.call))
            yield stop


def _place(stop: Stop) -> str:
    if stop.call == "step":
        return f"in step(), at step {stop.step} of {stop.context}"
    if stop.call == "probe":
        return f"in {stop.context}"
    return "while the module was imported" if stop.call == "import" else f"in {stop.call}()"


@check(fix="raise an exception or return terminated=True; never call exit() or os._exit()", blocks=True)
def process_survives(record: EnvRecord) -> Findings:
    """The environment does not end its process, nor eat its memory: an env runner would die."""
    for stop in _stops(record):
        if stop.why == "memory":
            text = f"the environment used up the memory ({stop.code / 1e9:.0f} GB) {_place(stop)}"
            yield Finding(text, "look for a list that grows or an array that is far too large", stop.where, stop.call)
        elif stop.why == "exit":
            how = f"signal {-stop.code} (a crash in native code)" if stop.code < 0 else f"exit code {stop.code}"
            text = f"the environment ended its process with {how} {_place(stop)}"
            yield Finding(text, where=stop.where, at=stop.call)


@check(fix="give every wait a timeout and every loop an end; it hung at the line above", blocks=True)
def calls_return(record: EnvRecord) -> Findings:
    """Every call of the environment returns; training would wait without a message."""
    for stop in _stops(record):
        if stop.why == "hang" and (stop.call != "probe" or stop.where is not None):
            text = f"the environment hangs {_place(stop)}: no answer within {stop.seconds:.0f} s"
            yield Finding(text, where=stop.where, at=stop.call)


@check(fix="the exception tells the line")
def nothing_else_raises(record: EnvRecord) -> Findings:
    """Nothing of the environment raises where attributes are read or copies are made."""
    for probe, error in record.accidents:
        yield Finding(f"the environment raises {error.text} where nothing may raise ({probe})", where=error.where)


@check(fix="profile it (python -m cProfile), vectorise with NumPy, or use more env runners", at="step",
       severity="warning")  # fmt: skip
def step_fast(record: EnvRecord) -> Findings:
    """A step takes less than 30 milliseconds: the environment's speed is the training's speed."""
    seconds = sorted(step.seconds for episode in record.played for step in episode.steps)
    typical = seconds[len(seconds) // 4]  # below the median, as a busy machine only ever slows down
    if typical > SLOW_STEP_SECONDS:
        rounded = float(f"{typical:.1g}")
        hours = f"{rounded * 1e6 / 3600:.0f} hours"
        yield f"step() is slow: it took about {rounded * 1e3:.0f} ms; a million steps take {hours} on one copy"


@check(fix="load and build in __init__ what does not change, and only set the state in reset()", at="reset",
       severity="warning")  # fmt: skip
def reset_fast(record: EnvRecord) -> Findings:
    """A reset takes less than half a second: all copies of an env runner wait for it."""
    seconds = [episode.reset_seconds for episode in record.resets if episode.has_reset]
    typical = statistics.median_low(seconds)
    if typical > SLOW_RESET_SECONDS and len(seconds) > 1:
        rounded = f"{float(f'{typical:.1g}'):g}"
        yield f"reset() is slow: it took about {rounded} s, and all copies in the env runner wait for it"


@check(fix="remove the print, or use logging.getLogger(__name__).debug", severity="warning")
def prints_nothing(record: EnvRecord) -> Findings:
    """`reset` and `step` print nothing: Ray collects the output of all workers."""
    episodes = record.played[1:]
    for index, call in enumerate(("reset", "step")):
        shots = [episode.around[index : index + 2] for episode in episodes]
        count = sum(len(pair) == 2 and pair[1].output > pair[0].output for pair in shots)
        if count >= 2:
            yield Finding(f"{call}() prints in {count} of {len(episodes)} episodes", at=call)


@check(fix="use absolute paths instead of os.chdir")
def directory_unchanged(record: EnvRecord) -> Findings:
    """`reset` and `step` leave the working directory as it is: checkpoints and logs have relative paths."""
    for episode in record.resets:
        for call, one, two in zip(("reset", "step"), episode.around, episode.around[1:], strict=False):
            if one.cwd != two.cwd:
                yield Finding(f"{call}() changes the working directory from {one.cwd} to {two.cwd}", at=call)
                return


@check(fix="guard the operation, or use a wider dtype (int, float) before the arithmetic", severity="warning")
def no_numeric_warnings(record: EnvRecord) -> Findings:
    """The user's code raises no RuntimeWarning: NumPy goes on with a wrong number."""
    if record.played:
        for (category, text), where in record.warnings.items():
            if category == "RuntimeWarning" and "site-packages" not in where and not where.startswith(HERE):
                yield Finding(f"{category} while playing: {text}; NumPy goes on with a wrong value", where=where)


@check(fix="close or join the old one before reset() makes a new one, or make it once", at="reset", quick=False)
def handles_do_not_grow(record: EnvRecord) -> Findings:
    """Open files, sockets, threads and child processes stay the same over many resets."""
    growth = record.growth
    for name, levels in growth.counts.items():
        if keeps_growing(levels, max(growth.episodes // 2, 1)):
            episodes = growth.episodes * WINDOWS
            yield f"reset() leaks {name}: {levels[0]} at first, {levels[-1]} after {episodes} more episodes"


@check(fix="clear lists and dicts in reset(), or bound them: collections.deque(maxlen=...)", quick=False,
       after="handles_do_not_grow")  # fmt: skip
def memory_does_not_grow(record: EnvRecord) -> Findings:
    """Memory stays the same over many episodes; else Ray kills the env runner after some hours."""
    growth = record.growth
    if growth.leaks_memory:
        each = (growth.bytes[-1] - growth.bytes[1]) / (growth.episodes * (WINDOWS - 1))
        million = (growth.bytes[-1] - growth.bytes[0]) / max(growth.steps, 1) * 1e6
        text = (
            f"memory leaks: it grows by {_rounded(each)} with each of these short episodes, about "
            f"{_rounded(million)} in a million steps"
        )
        severity = "error" if each >= SEVERE_BYTES_PER_EPISODE else "warning"
        yield Finding(text, where=growth.line, severity=severity)


def _rounded(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{float(f'{count / size:.1g}'):g} {unit}"
    return f"{float(f'{max(count, 1):.1g}'):g} bytes"


@check(fix="delete it in reset() and close(), or write nothing while training", at="reset", severity="warning",
       quick=False)  # fmt: skip
def files_do_not_pile_up(record: EnvRecord) -> Findings:
    """Episodes leave no files behind, which would fill the disk."""
    files, episodes = record.growth.files, record.growth.episodes * WINDOWS
    if len(files) >= episodes // 2 and len(files) >= 3:
        yield f"every episode leaves a file behind, such as {min(files)}: {len(files)} after {episodes} episodes"


@check(fix="close only what is open: if self._window is not None: ...", at="close", severity="warning", quick=False)
def close_twice(record: EnvRecord) -> Findings:
    """`close` can be called twice, and also before the first reset, as wrappers do."""
    for when in ("before the first reset", "twice"):
        error = record.closing.get(when)
        if error is not None:
            yield Finding(f"close() raises {error.text} when it is called {when}", where=error.where)
            return


@check(fix="close, join or terminate in close() what the instance opened", at="close", severity="warning", quick=False,
       after="handles_do_not_grow")  # fmt: skip
def close_releases(record: EnvRecord) -> Findings:
    """`close` gives back what the constructor and `reset` opened: env runners are restarted."""
    for name, counts in record.released.items():
        if keeps_growing([counts[0], *counts], 1):
            yield f"close() leaks {name}: {counts[0]} after one copy was closed, {counts[-1]} after {len(counts)}"


@check(fix="move the change into your own files: the next update replaces kit/", severity="warning", quick=False)
def kit_unchanged(record: EnvRecord) -> Findings:
    """The files in `kit/` are as they were delivered: an update replaces the whole folder."""
    files = record.changed_kit_files
    if files:
        yield f"{len(files)} file{'s' * (len(files) > 1)} in kit/ changed by hand: {', '.join(files[:4])}"
