"""Measures copies x processes x mode."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from ..cli import Parser, add_config_options, positive_seconds, read_config_options
from ..errors import RunError, UsageError
from ..guard import child_log, watchdog
from ..guard.failure import EnvironmentFailure
from ..policy.find import RUNS
from ..task import Task
from ..training.interrupt import Interrupt
from ..training.options import TrainOptions
from ..training.run_folder import versions
from ..training.start import start_ray
from ..vectorization.grid import Grid
from ..vectorization.measure import measure
from ..vectorization.settings import FILE, MODES, available_cpus, find_root, read_settings, write_settings

PICTURE = RUNS / "benchmark.png"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Measures the settings, prints them, and returns the exit code."""
    parser = Parser(prog=task.command("benchmark"), description="Measures copies x processes x mode.")
    parser.add_argument("--write", action="store_true", help=f"put the fastest into {FILE}")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--seconds", type=positive_seconds, default=1.0, metavar="S", help="a setting; default: 1")
    add_config_options(parser)
    options = parser.parse_args(arguments)
    if task.only_one:
        raise UsageError("there is nothing to choose from: registration.py says only_one, so training has one copy")
    env_config, root = read_config_options(options) or {}, find_root(task.home)
    read_settings(root)  # a mistake in the file is said before the measurement
    task.check_config(env_config)
    checked = task.check(env_config, quick=True)
    if checked.todo or checked.blocking:
        raise RunError(checked.todo or "the environment can't be trained; the command `check` says why")
    os.environ[watchdog.SECONDS] = str(TrainOptions.hang_seconds)
    os.environ[child_log.RUN] = secrets.token_hex(8)
    try:
        profile = measure(lambda extra: task.make_guarded({**env_config, **extra}), task.is_vector)
        modes = MODES[:1] if task.is_multi_agent else None  # several agents are stepped in "sync" only
        grid = Grid(profile, task.is_vector, available_cpus(), options.seconds, modes)
        if not options.json:
            print(grid.auto.reason, flush=True)
        code = train_all(task, env_config, grid)
        report = grid.report() | {"versions": versions(task.package)} if grid.measured else {}
        if code == 0:
            draw(report)
            if options.write:
                write_settings(report["best"], root)
                report["written"] = str(root / FILE)
    except EnvironmentFailure as failure:
        raise RunError(str(failure)) from None
    except OSError as error:
        raise RunError(f"{error.filename} can't be written: {error.strerror}") from None
    finally:
        child_log.clean()
    if report and not (code and options.json):
        print(json.dumps(report, indent=2) if options.json else as_text(report), flush=True)
    return code


def train_all(task: Task, env_config: Mapping[str, Any], grid: Grid) -> int:
    """Trains with the settings of the grid, in its order.

    Returns:
        0; as an exit code, what has interrupted it.

    Raises:
        EnvironmentFailure: the environment is at fault.
    """
    from rich.console import Console
    from rich.progress import track

    console, interrupt = Console(stderr=True), Interrupt()
    try:
        with interrupt, closing(grid):
            interrupt.is_at_once = True
            from ..policy.networks import seen_and_chosen  # late: torch

            with closing(task.make_adapted(env_config)) as env:
                policies = seen_and_chosen(env)
            start_ray(None, task)
            from ..rllib.config import algorithm_config  # late: RLlib takes two seconds that --help shouldn't

            interrupt.is_at_once, interrupt.is_patient = False, True  # what is being measured comes to its end
            settings = track(grid.order, "measuring", console=console, transient=True, disable=not console.is_terminal)
            with interrupt.listening():
                for one in settings:
                    if interrupt.reason:
                        break
                    grid.train(one, algorithm_config(task, one, 0, env_config, policies=policies))
    except (Exception, KeyboardInterrupt) as error:
        from ..rllib import failure_report  # late: Ray

        if failure := interrupt.failure or failure_report.read():
            raise EnvironmentFailure(failure) from error
        if not interrupt.reason:
            raise
    return interrupt.exit_code


def as_text(report: dict[str, Any]) -> str:
    """Formats the report for people, the fastest first."""
    best, auto = report["best"], report["auto"]
    lines = [f"{'processes':>9}{'copies':>8}  {'mode':20}{'steps/s':>9}  of the best"]
    for row in report["settings"]:
        runners, copies, mode, speed = row.values()
        mark = "  <- best" * (row is best) + "  <- auto" * (row is auto)
        lines.append(f"{runners:9}{copies:8}  {mode:20}{speed:9,.0f}{speed / best['steps_per_second']:13.0%}{mark}")
    lines.append(
        "processes: 0 is the training process; copies: of each process; steps/s: sampling and learning together"
    )
    if auto:
        lines.append(f'best: {best["steps_per_second"]:,.0f} steps/s; "auto" gets {report["auto_of_best"]:.0%} of it')
    said = {"written": "the best is in", "picture": "picture:"}
    return "\n".join(lines + [f"{words} {report[key]}" for key, words in said.items() if key in report])


def draw(report: dict[str, Any]) -> None:
    """Draws a bar for each setting, the fastest at the top."""
    import matplotlib  # late: takes half a second

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [list(row.values()) for row in reversed(report["settings"])]
    labels = [f"{runners} processes x {copies} copies, {mode}" for runners, copies, mode, _ in rows]
    figure, axes = plt.subplots(figsize=(8, 1 + 0.3 * len(rows)), layout="constrained")
    axes.barh(labels, [speed for *_, speed in rows])
    axes.set_xlabel("environment steps a second, learning included")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    plt.close(figure)
    report["picture"] = str(PICTURE)
