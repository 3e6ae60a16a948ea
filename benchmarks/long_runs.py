"""Whether a long run stays as it was: memory, speed, what was learned, and the size of checkpoints. Linux only.

    .venv/bin/pip install psutil MinAtar
    .venv/bin/python benchmarks/long_runs.py --seeds 5       # hours; what is missing in results/long_runs.json
    .venv/bin/python benchmarks/long_runs.py --table

A baked project trains CartPole and MinAtar's Breakout for `--steps` steps, whatever the return. Memory is that of all
its processes, a page that n of them share counting 1/n for each. Speeds are those of the last tenth of the steps over
the first's. A run has collapsed where the mean of the last 50 episodes, having reached the threshold, falls below half
way between the untrained policy's (the first iteration's) and the threshold; it may do so again once it is back.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
from clock import FEWEST_EPISODES
from process_tree import ProcessTree, run_watched
from results import RESULTS, Result, circumstances, load, save
from tasks import PANEL, BakedProject, Task, clean_environment, panel_project

ROWS = ("CartPole-v1", "MinAtar/Breakout-v1")
PACKAGES = ("ray", "torch", "gymnasium", "MinAtar")
EVERY_SECONDS = 1.0
MEGABYTE = 2**20


def rows_of(progress: Path) -> list[dict[str, str]]:
    """Returns the iterations so far, but for one that is just being written."""
    with progress.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def collapses(returns: Sequence[float], threshold: float) -> tuple[int, float | None]:
    """Returns how often a solved run collapsed, and the lowest mean return after it was solved first.

    Args:
        returns: the mean return of the last episodes, an iteration each; the first is the untrained policy's.
        threshold: at which the run is solved.
    """
    fallen = (returns[0] + threshold) / 2
    count, is_solved, lowest = 0, False, None
    for value in returns:
        if value >= threshold:
            is_solved, lowest = True, value if lowest is None else lowest
        elif is_solved and value < fallen:
            count, is_solved = count + 1, False
        lowest = lowest if lowest is None else min(lowest, value)
    return count, lowest


def of_tenths(steps: np.ndarray, spent: np.ndarray) -> float:
    """Returns the speed of the last tenth of the steps over that of the first tenth.

    Args:
        steps: done so far, a sample each, each more than the last.
        spent: seconds so far.
    """
    first, last = steps[0], steps[-1]
    at = np.interp([first, 0.9 * first + 0.1 * last, 0.1 * first + 0.9 * last, last], steps, spent)
    return float((at[1] - at[0]) / (at[3] - at[2]))


def measure(project: BakedProject, task: Task, seed: int, steps: int) -> Result:
    """Trains for so many steps, and returns what became of it."""
    folder = project.path / "runs" / f"{task.env_id.replace('/', '-')}-{seed}"
    progress = folder / "progress.csv"
    marks: list[tuple[float, float]] = []  # the end of an iteration and the steps until then
    samples: list[tuple[float, ...]] = []  # time, seconds of processors, bytes of memory and of the last checkpoint

    def observe(tree: ProcessTree) -> None:
        with suppress(OSError, IndexError):  # before the first iteration, or between two checkpoints
            done = float(rows_of(progress)[-1]["env_steps"])
            if not marks or done > marks[-1][1]:
                marks.append((progress.stat().st_mtime, done))
                size = sum(path.stat().st_size for path in (folder / "checkpoints" / "last").rglob("*"))
                samples.append((time.time(), tree.cpu_seconds(), tree.memory(), size))

    limits = ("--seed", str(seed), "--stop-return", "1e9", "--max-env-steps", str(steps))
    command = [str(project.python), "-m", project.package, "train", "--name", folder.name, *limits]
    run_watched(command, project.path, clean_environment(), observe, every_seconds=EVERY_SECONDS)
    rows = [row for row in rows_of(progress) if int(row["episodes"]) >= FEWEST_EPISODES]
    returns = [float(row["episode_return_mean"]) for row in rows]
    ends, done = np.array(marks).T
    times, cpu_seconds, memory, sizes = np.array(samples).T
    sizes = sizes[sizes > 0]  # none before the first checkpoint
    tenth = np.interp(times, ends, done) * 9.999 // done[-1]
    held = [memory[tenth == number] for number in range(10)]
    count, lowest = collapses(returns, task.threshold)
    solved_at = (int(row["env_steps"]) for row in rows if float(row["episode_return_mean"]) >= task.threshold)
    return {
        "env_steps": int(rows[-1]["env_steps"]),
        "cpu_seconds": round(cpu_seconds[-1], 1),
        "megabytes_of_tenths": [round(median(one) / MEGABYTE, 1) if len(one) else None for one in held],
        "speed_last_over_first": round(of_tenths(done, ends), 3),
        "cpu_speed_last_over_first": round(of_tenths(done, np.interp(ends, times, cpu_seconds)), 3),
        "solved_at_steps": next(solved_at, None),
        "collapses": count,
        "lowest_return_after": lowest,
        "last_return": returns[-1],
        "checkpoint_bytes": [int(sizes[0]), int(sizes[-1])],
    }


def table(results: list[Result]) -> str:
    """Returns a Markdown table of all runs."""
    lines = [
        "| run | MB, second to last tenth | steps/s, last tenth over first | by processors | solved at | collapses, "
        "lowest return after, last | checkpoint KB, first to last |",
        "|---" * 7 + "|",
    ]
    for one in results:
        memory = [size for size in one["megabytes_of_tenths"] if size is not None]
        early = memory[1] if len(memory) > 1 else memory[0]  # the first loads code and fills what is bounded
        solved = "-" if one["solved_at_steps"] is None else f"{one['solved_at_steps']:,}"
        lowest = "-" if one["lowest_return_after"] is None else f"{one['lowest_return_after']:.4g}"
        sizes = " to ".join(f"{size / 1024:.0f}" for size in one["checkpoint_bytes"])
        lines.append(
            f"| {one['row']}, seed {one['seed']}, {one['env_steps']:,} steps | {early:.0f} to {memory[-1]:.0f} "
            f"({100 * (memory[-1] / early - 1):+.1f} %) | {one['speed_last_over_first']:.2f} "
            f"| {one['cpu_speed_last_over_first']:.2f} | {solved} "
            f"| {one['collapses']}, {lowest}, {one['last_return']:.4g} | {sizes} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Runs what is missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", nargs="*", default=ROWS, choices=ROWS)
    parser.add_argument("--steps", type=int, default=2_000_000, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1; default: %(default)s")
    parser.add_argument("--results", type=Path, default=RESULTS / "long_runs.json", metavar="FILE")
    parser.add_argument("--again", action="store_true", help="forget the results so far")
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    options = parser.parse_args()
    results = [] if options.again else load(options.results)
    if options.table:
        print(table(results))
        return 0
    done = {(one["row"], one["seed"], one["steps"]) for one in results}
    about, failed = circumstances(*PACKAGES), 0
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        for task in (task for task in PANEL if task.env_id in options.rows):
            task.write(project)
            for seed in range(options.seeds):
                key = {"row": task.env_id, "seed": seed, "steps": options.steps}
                if tuple(key.values()) in done:
                    continue
                try:
                    results.append(key | measure(project, task, seed, options.steps) | about)
                except RuntimeError as error:
                    print(f"{task.env_id}, seed {seed}: {error}", file=sys.stderr, flush=True)
                    failed += 1
                    continue
                save(options.results, results)
                print(time.strftime("%H:%M:%S"), results[-1], flush=True)
    print(table(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
