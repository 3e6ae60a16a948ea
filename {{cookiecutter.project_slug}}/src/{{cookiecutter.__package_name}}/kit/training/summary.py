"""What a run leaves behind at its end: summary.json, and what `outcome.py` makes of the run."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..files import write_json
from ..policy.find import BEST, LAST
from ..task import Task
from .options import TrainOptions
from .outcome import tell
from .run_folder import RunFolder
from .status import FEWEST_EPISODES, Status, reached


def finish(
    task: Task,
    folder: RunFolder,
    config: Mapping[str, Any],
    options: TrainOptions,
    status: Status,
    reason: str,
    started: float,
) -> OSError | None:
    """Writes summary.json, the curve and the report, and says what was learned, where it lies and what is next.

    Args:
        task: of the project.
        folder: of the run.
        config: what config.json holds.
        options: of the run; where one of its limits has ended it, there is time to evaluate what was learned.
        status: how far the run has come.
        reason: what ended it.
        started: when the command was started, by `time.perf_counter`.

    Returns:
        Why something could not be written; all else is, if it can be.
    """
    print(f"{reason}; {status.env_steps:,} steps in {status.seconds:.1f} s", flush=True)
    summary = {"ended_by": reason, "seconds_total": round(time.perf_counter() - started, 3)}
    summary |= _summary(folder, config, status)
    error = _tried(lambda: write_json(folder.path / "summary.json", summary))
    return _tried(lambda: tell(task, folder, is_whole=reason == reached(options, status))) or error


def _summary(folder: RunFolder, config: Mapping[str, Any], status: Status) -> dict[str, Any]:
    stop_return = config["options"]["stop_return"]
    stop_return = None if stop_return is None or math.isinf(stop_return) else stop_return
    which = BEST if folder.checkpoint(BEST).is_dir() else LAST
    return {
        "env_steps": status.env_steps,
        "seconds": round(status.seconds, 3),
        "steps_per_second": round(status.env_steps / status.seconds, 1) if status.seconds else None,
        "iterations": status.iteration,
        "best_return": status.best_return,
        "last_return": status.mean_return,
        "stop_return": stop_return,
        "seconds_to_stop_return": seconds_to(stop_return, folder),
        "observations_out_of_bounds": status.observations_out_of_bounds,
        "checkpoint": str(folder.checkpoint(which)) if folder.checkpoint(which).is_dir() else None,
        "seed": config["options"]["seed"],
        "vectorization": config["vectorization"],
        "versions": config["versions"],
        **status.columns(),
    }


def seconds_to(stop_return: float | None, folder: RunFolder) -> float | None:
    """Returns when the mean return of enough episodes first was as high, or None."""
    if stop_return is None:
        return None
    rows = (row for row in folder.rows() if row["episodes"] >= FEWEST_EPISODES)
    return next((row["seconds"] for row in rows if row["episode_return_mean"] >= stop_return), None)


def _tried(write: Callable[[], None]) -> OSError | None:
    try:
        write()
    except OSError as error:
        return error
    return None
