"""How long a user waits: bake, check, fast tests, first line of progress, training of the worked example, evaluation.

    .venv/bin/python benchmarks/end_to_end.py --runs 5

Prints the median, the fastest and the slowest of some runs of each whole command, in seconds. `make demo` contains the
installation of Ray and torch besides; time it as a whole.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import BakedProject, bake_project, clean_environment


def seconds_of(action: Callable[[], object]) -> float:
    """Returns how long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def train(project: BakedProject, name: str) -> tuple[float, float]:
    """Trains to the threshold; returns the seconds to the first line of progress and to the end of the command."""
    command = [str(project.python), "-m", project.package, "train", "--name", name]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=project.path, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = next(time.perf_counter() - start for line in process.stdout if line.startswith("iteration "))
    process.stdout.read()
    if process.wait() != 0:
        raise SystemExit("the training failed")
    return first, time.perf_counter() - start


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs = range(parser.parse_args().runs)
    with tempfile.TemporaryDirectory() as folder:
        times: dict[str, list[float]] = {"bake": []}
        for i in runs:
            place = Path(folder, str(i))
            place.mkdir()
            times["bake"].append(seconds_of(lambda place=place: bake_project(place)))  # type: ignore[misc]
        (place := Path(folder, "corridor")).mkdir()
        corridor = bake_project(place, project_name="Corridor Demo", starter="corridor").install()
        stub = BakedProject(Path(folder, "0", "my-environment"), "my_environment").install()
        times["check"] = [seconds_of(lambda: corridor.command("check", check=True)) for _ in runs]
        times["fast tests"] = [seconds_of(lambda: corridor.run("-m", "pytest", "-q", check=True)) for _ in runs]
        times["train refuses the stub"] = [seconds_of(lambda: stub.command("train")) for _ in runs]
        trainings = [train(corridor, str(i)) for i in runs]
        times["train: first line of progress"] = [first for first, _ in trainings]
        times["train: to the threshold and out"] = [last for _, last in trainings]
        times["evaluate"] = [seconds_of(lambda: corridor.command("evaluate", "0", check=True)) for _ in runs]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "gymnasium", "torch"))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores, {len(runs)} runs; seconds")
    print(f"{'':34}{'median':>8}{'fastest':>9}{'slowest':>9}")
    for name, seconds in times.items():
        print(f"{name:34}{median(seconds):8.2f}{min(seconds):9.2f}{max(seconds):9.2f}")


if __name__ == "__main__":
    main()
