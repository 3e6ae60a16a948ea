"""What an environment does to its process while it plays: time, output, directory, numeric warnings."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from .locations import HERE
from .registry import Finding, check, error, warning
from .study import Study

SLOW_STEP_SECONDS = 0.03
SLOW_RESET_SECONDS = 0.5


@check()
def step_fast(study: Study) -> Iterator[Finding]:
    """A step takes less than 30 milliseconds.

    PPO needs hundreds of thousands of steps: the environment's speed is the training's speed.
    """
    seconds = sorted(step.seconds for episode in study.steps_played for step in episode.steps)
    typical = seconds[len(seconds) // 4]  # Below the median, as a busy machine only ever slows down.
    if typical > SLOW_STEP_SECONDS:
        rounded = float(f"{typical:.1g}")
        text = (
            f"step() is slow: it took about {rounded * 1e3:.0f} ms; a million steps take "
            f"{rounded * 1e6 / 3600:.0f} hours on one copy"
        )
        fix = "profile it (python -m cProfile), vectorise with NumPy, or use more env runners"
        yield warning(text, fix, study.where("step"))


@check()
def reset_fast(study: Study) -> Iterator[Finding]:
    """A reset takes less than half a second.

    All copies of an env runner wait for the one that is being reset.
    """
    seconds = [episode.reset_seconds for episode in study.episodes if episode.has_reset]
    typical = statistics.median_low(seconds)
    if typical > SLOW_RESET_SECONDS and len(seconds) > 1:
        text = (
            f"reset() is slow: it took about {float(f'{typical:.1g}'):g} s, and all copies in the env runner wait "
            "for it"
        )
        yield warning(
            text,
            "load and build in __init__ what does not change, and only set the state in reset()",
            study.where("reset"),
        )


@check()
def prints_nothing(study: Study) -> Iterator[Finding]:
    """`reset` and `step` print nothing.

    Ray collects the output of all workers: a line a step slows the training down and fills the log with gigabytes.
    """
    printed = {"reset": 0, "step": 0}
    for episode in study.steps_played[1:]:
        if episode.before and episode.after_reset and episode.after_reset.output > episode.before.output:
            printed["reset"] += 1
        if episode.after_reset and episode.after_steps and episode.after_steps.output > episode.after_reset.output:
            printed["step"] += 1
    for call, count in printed.items():
        if count >= 2:
            text = f"{call}() prints to standard output or error in {count} of {len(study.steps_played) - 1} episodes"
            yield warning(text, "remove the print, or use logging.getLogger(__name__).debug", study.where(call))


@check()
def directory_unchanged(study: Study) -> Iterator[Finding]:
    """`reset` and `step` leave the working directory as it is.

    Checkpoints, logs and all other copies use relative paths of the same process.
    """
    for episode in study.episodes:
        before, reset, steps = episode.before, episode.after_reset, episode.after_steps
        for call, one, two in (("reset", before, reset), ("step", reset, steps)):
            if one is not None and two is not None and one.cwd != two.cwd:
                text = f"{call}() changes the working directory (chdir, cwd) from {one.cwd} to {two.cwd}: a side effect"
                yield error(text, "use absolute paths instead of os.chdir", study.where(call))
                return


@check()
def no_numeric_warnings(study: Study) -> Iterator[Finding]:
    """The user's code raises no RuntimeWarning: overflow, division by zero, invalid value.

    NumPy goes on with a wrong number: an overflow wraps around, a division gives NaN or infinity.
    """
    _ = study.steps_played
    for (category, text), where in list(study.events.warnings.items()):
        if where.startswith(HERE) or category != "RuntimeWarning" or "site-packages" in where:
            continue
        message = f"{category} while playing: {text}; NumPy goes on with a wrong value"
        yield warning(message, "guard the operation, or use a wider dtype (int, float) before the arithmetic", where)
