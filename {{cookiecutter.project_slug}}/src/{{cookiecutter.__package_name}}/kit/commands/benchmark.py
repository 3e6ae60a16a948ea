"""Measures copies x processes x mode."""

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cli import Parser, RunError, positive_seconds
from ..contract import run_checks
from ..guard import spool, watchdog
from ..guard.failure import EnvironmentFailure
from ..task import Task
from ..training.run_folder import RUNS
from ..vectorization.grid import Grid
from ..vectorization.settings import FILE, read_settings, write_settings

PICTURE = RUNS / "benchmark.png"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Measures the settings, prints them, and returns the exit code."""
    parser = Parser(prog=f"python -m {task.package} benchmark", description="Measures copies x processes x mode.")
    parser.add_argument("--write", action="store_true", help=f"put the fastest into {FILE}")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--seconds", type=positive_seconds, default=1.0, metavar="S", help="a setting; default: 1")
    options = parser.parse_args(arguments)
    read_settings()  # a mistake in the file is said before the measurement
    report = run_checks(task.target, quick=True)
    if report.todo or not report.ok:
        raise RunError(report.todo or "the environment breaks its contract; the command `check` says how")
    os.environ[watchdog.SECONDS] = "300"
    os.environ[spool.RUN] = secrets.token_hex(8)
    try:
        grid = Grid(task, options.seconds)
        if not options.json:
            print(grid.auto.reason, flush=True)
        if code := grid.run():
            if grid.measured and not options.json:
                print(as_table(grid.report()))
            return code
        report = grid.report()
        if options.write:
            write_settings(grid.best)
            report["written"] = str(FILE)
        report["picture"] = str(draw(report))
    except EnvironmentFailure as failure:
        raise RunError(str(failure)) from None
    except OSError as error:
        raise RunError(f"{error.filename} can't be written: {error.strerror}") from None
    finally:
        spool.clean()
    print(json.dumps(report, indent=2) if options.json else as_text(report), flush=True)
    return 0


def as_table(report: dict[str, Any]) -> str:
    """Formats the settings for people, the fastest first."""
    lines = [f"{'processes':>9}{'copies':>8}  {'mode':20}{'steps/s':>9}{'sampling':>10}  of the best"]
    for row in report["settings"]:
        share = row["steps_per_second"] / report["best"]["steps_per_second"]
        mark = "".join(f"  <- {name}" for name in ("best", "auto") if row is report[name])
        lines.append(
            f"{row['num_env_runners']:9}{row['num_envs_per_env_runner']:8}  {row['gym_env_vectorize_mode']:20}"
            f"{row['steps_per_second']:9,.0f}{row['sampling_steps_per_second']:10,.0f}{share:11.0%}{mark}"
        )
    return "\n".join(lines)


def as_text(report: dict[str, Any]) -> str:
    """Formats the report for people."""
    best = report["best"]
    lines = [
        as_table(report),
        "processes: 0 steps the copies in the training process; copies: of each process; "
        "steps/s: sampling and learning together",
        f'best: {best["steps_per_second"]:,.0f} steps/s; "auto" reaches {report["auto_of_best"]:.0%} of it',
    ]
    if "written" in report:
        lines.append(f"the best is in {report['written']} now")
    return "\n".join([*lines, f"picture: {report['picture']}"])


def draw(report: dict[str, Any]) -> Path:
    """Draws the speed over the number of copies, a line for each number of processes and mode."""
    import matplotlib  # late: takes half a second

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in report["settings"]:
        processes, mode = row["num_env_runners"], row["gym_env_vectorize_mode"]
        copies = row["num_envs_per_env_runner"] * max(1, processes)
        lines.setdefault(f"{processes} processes, {mode}", []).append((copies, row["steps_per_second"]))
    for name, points in sorted(lines.items()):
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axes.set(xscale="log", xlabel="copies in all processes", ylabel="environment steps a second, learning included")
    ticks = sorted({copies for points in lines.values() for copies, _ in points})
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    plt.close(figure)
    return PICTURE
