"""How soon PPO learns each environment of a panel: this template untuned, tuned settings, and others' defaults.

    .venv/bin/pip install psutil stable-baselines3 swig Box2D pygame mujoco minigrid MinAtar
    .venv/bin/python benchmarks/panel.py          # what is missing in results/panel.json; hours
    .venv/bin/python benchmarks/panel.py --table

`template` is a baked project's `train`, everything at its default. `zoo` is Stable-Baselines3 with the settings that
rl-baselines3-zoo has tuned for that very environment (zoo.json; those of MuJoCo are for its v4), where it has some:
if its number of steps doesn't suffice, its schedules start anew. `stable-baselines3` and `rllib` are as they come.

Rivals step the same environment. Gymnasium's wrappers make a row of floats of what they can't take: of images, for
which their networks for images are too large, of a Tuple, and for RLlib of Discrete and Dict. They see an action mask
as numbers, and may choose what it forbids. The zoo's constant mission is left out of MiniGrid.

Every run is a process of its own; the contestants take turns on the same machine, with one torch thread each. A return
counts as reached when the mean of the last 50 finished episodes (all, where fewer than 50 and at least 20 have
finished) reaches it. Rivals are looked at after each of their batches, and within one every 2,048 steps. In Blackjack
such a mean is off by 0.13 either way: luck has a part in its row.

Seconds are by the wall, from the first sample on, with all that `train` writes in between; beside them the processors'
seconds of all processes, which a busy machine changes less. A rival ends when it has taken `--most-times` as long as
the template with the same seed, by both (or twice that by the wall), or `--max-seconds` where the template didn't get
there. What isn't solved by then is a lower bound (`>`).
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
from panel_table import table
from panel_worker import RIVALS, ZOO
from process_tree import ProcessTree, run_watched
from results import RESULTS, Result, circumstances, load, save
from tasks import PANEL, BakedProject, Task, clean_environment, panel_project

OURS, CONTESTANTS = "template", ("template", *RIVALS)
PACKAGES = ("ray", "torch", "gymnasium", "stable-baselines3", "mujoco", "minigrid", "MinAtar")
MOST_SEEDS, FEWEST_SEEDS, LONG_SECONDS = 5, 3, 60  # a row that takes us longer is run with the fewest


def find(results: list[Result], row: str, contestant: str, seed: int) -> Result | None:
    """Returns the result of a run, if there is one."""
    key = (row, contestant, seed)
    return next((one for one in results if (one["row"], one["contestant"], one["seed"]) == key), None)


def seeds_of(results: list[Result], row: str) -> int:
    """Returns how many seeds a row is worth: more where a run is short."""
    seconds = [one["seconds"] for one in results if (one["row"], one["contestant"]) == (row, OURS)]
    return MOST_SEEDS if seconds and median(seconds) < LONG_SECONDS else FEWEST_SEEDS


def missing(
    tasks: list[Task], contestants: list[str], seeds: int | None, results: list[Result]
) -> Iterator[tuple[Task, str, int]]:
    """Yields the runs that `results`, which may grow in between, doesn't have yet; the contestants take turns."""
    for task in tasks:
        for seed in range(seeds or MOST_SEEDS):
            if not seeds and seed >= seeds_of(results, task.env_id):
                break
            for contestant in contestants:
                has_settings = contestant != "zoo" or task.env_id in ZOO
                if has_settings and not find(results, task.env_id, contestant, seed):
                    yield task, contestant, seed


def limits(ours: Result | None, max_seconds: float, most_times: float) -> tuple[float, float]:
    """Returns after how many seconds by the wall, and of the processors, a rival is ended."""
    if ours is None or not ours["solved"]:
        return max_seconds, 0.0
    return most_times * ours["seconds"], most_times * ours["cpu_seconds"]


def train(project: BakedProject, name: str, seed: int, max_seconds: float) -> Result:
    """Trains with the project's own command, everything at its default, and watches it."""
    folder = project.path / "runs" / name
    progress, started = folder / "progress.csv", 0.0
    samples: list[tuple[float, float]] = []

    def observe(tree: ProcessTree) -> None:
        nonlocal started
        samples.append((time.time(), tree.cpu_seconds()))
        with suppress(OSError, IndexError, ValueError, TypeError):  # not there yet, or half a line
            if not started:  # an iteration's seconds are from its first sample to its end
                started = progress.stat().st_mtime - float(list(csv.DictReader(progress.open()))[-1]["seconds"])

    limits = ("--seed", str(seed), "--max-seconds", str(max_seconds), "--max-env-steps", "1e9")
    command = [str(project.python), "-m", project.package, "train", "--name", name, *limits]
    run_watched(command, project.path, clean_environment(), observe, every_seconds=0.2)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    ended = progress.stat().st_mtime
    times, cpu_seconds = np.array(samples).T
    cpu = np.interp([started, ended], times, cpu_seconds)
    return {
        "solved": summary["seconds_to_stop_return"] is not None,
        "seconds": round(ended - started, 3),
        "cpu_seconds": round(float(cpu[1] - cpu[0]), 3),
        "env_steps": summary["env_steps"],
        "last_return": summary["last_return"],
        "vectorization": summary["vectorization"],  # as `train` chose it, on a machine that may have been busy
    }


def train_rival(project: BakedProject, rival: str, task: Task, seed: int, most: tuple[float, float]) -> Result:
    """Trains the project's environment with another library."""
    worker = str(Path(__file__).with_name("panel_worker.py"))
    arguments = [rival, f"--row={task.env_id}", f"--stop-return={task.threshold}", f"--seed={seed}"]
    arguments += [f"--max-seconds={most[0]}", f"--max-cpu-seconds={most[1]}"]
    done = subprocess.run(
        [str(project.python), "-W", "ignore", worker, *arguments],
        cwd=project.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=2 * most[0] + 600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{rival} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> int:
    """Runs what is missing, or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [task.env_id for task in PANEL]
    parser.add_argument("--rows", nargs="*", default=names, choices=names, metavar="ROW", help="default: all")
    parser.add_argument("--contestants", nargs="*", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--seeds", type=int, metavar="N", help="0 to N-1; default: 5, or 3 where one takes a minute")
    parser.add_argument("--max-seconds", type=float, default=900.0, help="of a run; default: %(default)g")
    parser.add_argument("--most-times", type=float, default=3.0, metavar="R", help="default: %(default)g")
    parser.add_argument("--again", nargs="*", default=[], choices=names, metavar="ROW", help="forget these results")
    parser.add_argument("--results", type=Path, default=RESULTS / "panel.json", metavar="FILE")
    parser.add_argument("--table", action="store_true", help="print what there is, and run nothing")
    options = parser.parse_args()
    results = load(options.results)
    if options.table:
        print(table(results, names, CONTESTANTS))
        return 0
    stale = [one for one in results if one["row"] in options.again and one["contestant"] in options.contestants]
    results = [one for one in results if one not in stale]
    about, failed = circumstances(*PACKAGES), 0
    tasks = [task for task in PANEL if task.env_id in options.rows]
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        for task, contestant, seed in missing(tasks, options.contestants, options.seeds, results):
            task.write(project)
            key = {"row": task.env_id, "contestant": contestant, "seed": seed, "threshold": task.threshold}
            try:
                if contestant == OURS:
                    name = f"{names.index(task.env_id)}-{seed}"
                    result = train(project, name, seed, options.max_seconds)
                else:
                    ours = find(results, task.env_id, OURS, seed)
                    most = limits(ours, options.max_seconds, options.most_times)
                    result = train_rival(project, contestant, task, seed, most)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{task.env_id}, {contestant}, seed {seed}: {error}", file=sys.stderr, flush=True)
                failed += 1
                continue
            results.append(key | result | about)
            save(options.results, results)
            print(time.strftime("%H:%M:%S"), *key.values(), result, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
