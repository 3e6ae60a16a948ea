"""How soon PPO learns each environment of a panel: a baked project, Stable-Baselines3 and RLlib, each as it comes.

    .venv/bin/pip install stable-baselines3 swig Box2D pygame
    .venv/bin/python benchmarks/panel.py --seeds 3 --max-seconds 300 --json panel.json

Every run is a process of its own; the three libraries take turns on the same machine. A return counts as reached when
the mean of the last 50 finished episodes (all, where fewer than 50 and at least 20 have finished) reaches it. Seconds
count from the first sample on. What isn't solved counts as the limit, so its ratio is a lower bound (`>`). Nobody waits
longer than `--most-times` the seconds in which the template has solved the row with the same seed.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from tasks import PANEL, BakedProject, Task, clean_environment, panel_project

OURS, OTHERS = "template", ("stable-baselines3", "rllib")
Result = dict[str, Any]  # solved, seconds, env_steps, last_return


def train(project: BakedProject, name: str, seed: int, max_seconds: float) -> Result:
    """Trains with the project's own command, everything at its default."""
    limits = ("--seed", str(seed), "--max-seconds", str(max_seconds), "--max-env-steps", "1e9")
    done = project.command("train", "--name", name, *limits, timeout=max_seconds + 300)
    if done.returncode != 0:
        raise SystemExit(f"train ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    summary = json.loads(project.read(f"runs/{name}/summary.json"))
    seconds = summary["seconds_to_stop_return"]
    return {
        "solved": seconds is not None,
        "seconds": summary["seconds"] if seconds is None else seconds,
        "env_steps": summary["env_steps"],
        "last_return": summary["last_return"],
    }


def train_other(project: BakedProject, library: str, task: Task, seed: int, max_seconds: float, copies: int) -> Result:
    """Trains the project's environment with another library."""
    worker = str(Path(__file__).with_name("panel_worker.py"))
    arguments = [library, f"--stop-return={task.stop_return}", f"--seed={seed}", f"--max-seconds={max_seconds}"]
    done = subprocess.run(
        [str(project.python), "-W", "ignore", worker, *arguments, f"--copies={copies}"],
        cwd=project.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=max_seconds + 300,
    )
    if done.returncode != 0:
        raise SystemExit(f"{library} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def chosen_tasks(rows: list[str], scales: list[float], scaled_rows: list[str]) -> list[Task]:
    """Returns the panel's rows, then those of `scaled_rows` with their rewards multiplied."""
    plain = [task for task in PANEL if not rows or task.env_id in rows]
    return plain + [replace(task, scale=scale) for task in PANEL if task.env_id in scaled_rows for scale in scales]


def print_table(results: dict[str, dict[str, list[Result]]], libraries: list[str]) -> None:
    """Prints medians over the seeds and how many times longer the other libraries take."""
    print("\n| environment |" + "".join(f" {library}: s, steps, solved |" for library in libraries) + " times longer |")
    print("|---|" + "---|" * (len(libraries) + 1))
    ratios: dict[str, list[float]] = {library: [] for library in libraries[1:]}
    for row, runs in results.items():
        cells, times = [], []
        for library in libraries:
            seconds = median(run["seconds"] for run in runs[library])
            steps = median(run["env_steps"] for run in runs[library])
            solved = sum(run["solved"] for run in runs[library])
            cells.append(f"{seconds:.1f}, {steps:,.0f}, {solved}/{len(runs[library])}")
            if library != libraries[0]:
                ratio = seconds / median(run["seconds"] for run in runs[libraries[0]])
                ratios[library].append(ratio)
                times.append(("" if 2 * solved > len(runs[library]) else ">") + f"{ratio:.1f}")
        print(f"| {row} | " + " | ".join([*cells, ", ".join(times)]) + " |")
    for library, values in ratios.items():
        if values:
            print(f"geometric mean, {library}: {geometric_mean(values):.1f} times longer")


def main() -> None:
    """Runs the panel and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [task.env_id for task in PANEL]
    parser.add_argument("--rows", nargs="*", default=[], choices=names, help="default: all")
    parser.add_argument("--scaled-rows", nargs="*", default=["CartPole-v1", "Pendulum-v1"], choices=names)
    parser.add_argument("--scales", nargs="*", type=float, default=[1e-3, 1e3], help="of the rewards of --scaled-rows")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N-1; default: %(default)s")
    parser.add_argument("--max-seconds", type=float, default=300.0, help="of a run; default: %(default)s")
    parser.add_argument("--most-times", type=float, default=20.0, metavar="R", help="default: %(default)g")
    parser.add_argument("--libraries", nargs="*", default=[OURS, *OTHERS], choices=[OURS, *OTHERS])
    parser.add_argument("--copies", type=int, default=1, help="of Stable-Baselines3; default: 1, as it has it")
    parser.add_argument("--json", type=Path, help="keep all results in this file")
    options = parser.parse_args()
    tasks = chosen_tasks(options.rows, options.scales, options.scaled_rows)
    packages = ("ray", "gymnasium", "torch", "stable-baselines3")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {platform.python_version()}, {versions}; {cores} cores, seeds 0 to {options.seeds - 1}, medians")
    results: dict[str, dict[str, list[Result]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        for task in tasks:
            task.write(project)
            runs = results.setdefault(task.name, {library: [] for library in options.libraries})
            for seed in range(options.seeds):
                limit = options.max_seconds
                for library in options.libraries:
                    if library == OURS:
                        result = train(project, f"{len(results)}-{seed}", seed, limit)
                        if result["solved"]:
                            limit = min(limit, options.most_times * result["seconds"])
                    else:
                        result = train_other(project, library, task, seed, limit, options.copies)
                    runs[library].append(result)
                    print(time.strftime("%H:%M:%S"), task.name, library, f"seed {seed}", result, flush=True)
                    if options.json:
                        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print_table(results, options.libraries)


if __name__ == "__main__":
    main()
