"""How long a user waits: bake, check, fast tests, training of the worked example phase by phase, evaluation.

    .venv/bin/python benchmarks/end_to_end.py --runs 5

Prints for each the median, the fastest and the slowest of some runs in seconds, and the median of the CPU seconds that its
processes have taken, Ray's among them (Linux): these depend less on what else the machine does. `--against FOLDER`
does the same with another checkout of the template, in turns. `make demo` contains the installation of Ray and torch
besides; time it as a whole.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import conftest
from conftest import BakedProject, bake_project, clean_environment

TICKS = os.sysconf("SC_CLK_TCK")
# What `train` prints, and what it has done by then.
PHASES = {
    "vectorization: ": "train: start, imports, contract, measurement",
    "policy and value network": "train: Ray, torch and RLlib",
    "sampling the first steps": "train: networks and env runners",
    "iteration 1 ": "train: first iteration",
    "solved": "train: to the threshold",
    "next: ": "train: evaluation, curve, report",
}
Times = dict[str, list[tuple[float, float]]]  # seconds and CPU seconds


class Watched:
    """A command under way, and what its processes have computed; a process that lives under 0.05 s may be missed."""

    def __init__(self, project: BakedProject, *arguments: str) -> None:
        self.start, self._command = time.perf_counter(), " ".join(arguments)
        self._cpu = defaultdict[str, float](float)
        self.process = subprocess.Popen(
            [str(project.python), "-u", *arguments],
            cwd=project.path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._watch = threading.Thread(target=self._look_until_its_end)
        self._watch.start()

    def now(self) -> tuple[float, float]:
        """Returns the seconds since the start, and the CPU seconds."""
        return time.perf_counter() - self.start, sum(self._cpu.values())

    def end(self) -> tuple[float, float]:
        """Waits for the end; returns the same. Raises SystemExit where the command has failed."""
        code = self.process.wait()
        seconds = time.perf_counter() - self.start
        self._watch.join()
        if code:
            raise SystemExit(f"{self._command} has failed")
        return seconds, self.now()[1]

    def _look_until_its_end(self) -> None:
        while self.process.poll() is None:
            for stat in Path("/proc").glob("[0-9]*/stat"):
                try:
                    fields = stat.read_text().rpartition(") ")[2].split()
                except OSError:  # it has ended
                    continue
                if int(fields[3]) == self.process.pid:  # its session
                    self._cpu[stat.parent.name] = (int(fields[11]) + int(fields[12])) / TICKS
            time.sleep(0.05)


def whole(project: BakedProject, *arguments: str) -> tuple[float, float]:
    """Runs a command to its end, and throws away what it prints."""
    watched = Watched(project, *arguments)
    assert watched.process.stdout is not None
    threading.Thread(target=watched.process.stdout.read).start()
    return watched.end()


def train(project: BakedProject, name: str, times: Times) -> None:
    """Trains to the threshold; notes what each phase takes, and the sums that a user waits for."""
    watched = Watched(project, "-m", project.package, "train", "--name", name)
    assert watched.process.stdout is not None
    before = (0.0, 0.0)

    def note(phase: str, now: tuple[float, float]) -> tuple[float, float]:
        times[phase].append((now[0] - before[0], now[1] - before[1]))
        return now

    for line in watched.process.stdout:
        if not times["train: first words"][int(name) :]:
            times["train: first words"].append(watched.now())
        for start, phase in PHASES.items():
            if line.startswith(start):
                before = note(phase, watched.now())
                if start in ("iteration 1 ", "solved"):
                    times[f"train, from its start: {phase.removeprefix('train: ')}"].append(before)
        if line.startswith("next: "):
            break  # Ray's last processes keep the pipe open for longer than the command takes
    ended = watched.end()
    note("train: closing", ended)
    times["train, from its start: to the prompt"].append(ended)


def measure(template: Path, folder: Path, times: Times) -> Callable[[int], None]:
    """Bakes the projects of a template; returns a function that measures everything for the i-th time."""

    def timed(action: Callable[[], object]) -> tuple[float, float]:
        start, cpu = time.perf_counter(), sum(os.times()[:4])
        action()
        return time.perf_counter() - start, sum(os.times()[:4]) - cpu  # children included

    conftest.TEMPLATE = template
    for name in ("stub", "corridor"):
        (folder / name).mkdir(parents=True)
    times["bake"].append(timed(lambda: bake_project(folder / "stub")))
    stub = BakedProject(folder / "stub" / "my-environment", "my_environment").install()
    corridor = bake_project(folder / "corridor", project_name="Corridor Demo", starter="corridor").install()

    def once(i: int) -> None:
        times["check"].append(whole(corridor, "-m", corridor.package, "check"))
        times["fast tests"].append(whole(corridor, "-m", "pytest", "-q"))
        times["train refuses the stub"].append(timed(lambda: stub.command("train")))
        times["(import torch, ray.rllib alone)"].append(whole(corridor, "-c", "import torch, ray.rllib"))
        train(corridor, str(i), times)
        times["evaluate"].append(whole(corridor, "-m", corridor.package, "evaluate", "0"))

    return once


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    templates = [Path(__file__).parents[1], *([options.against.resolve()] if options.against else [])]
    tables: list[Times] = [defaultdict(list) for _ in templates]
    with tempfile.TemporaryDirectory() as folder:
        turns = [measure(one, Path(folder, str(i)), tables[i]) for i, one in enumerate(templates)]
        for i in range(options.runs):
            for once in turns:
                once(i)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "gymnasium", "torch"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {platform.python_version()}, {versions}, {cores} cores, {options.runs} runs; seconds")
    for template, times in zip(templates, tables, strict=True):
        print(f"\n{template.name:48}{'median':>8}{'fastest':>9}{'slowest':>9}{'CPU':>8}")
        for name, found in times.items():
            seconds, cpu = zip(*found, strict=True)
            print(f"{name:48}{median(seconds):8.2f}{min(seconds):9.2f}{max(seconds):9.2f}{median(cpu):8.2f}")


if __name__ == "__main__":
    main()
