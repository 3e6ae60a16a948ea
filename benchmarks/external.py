"""Milliseconds that a step of the starter `external` takes: from the environment to its simulator and back.

python benchmarks/external.py [COMMAND ...]

COMMAND starts a simulator of the tank, e.g. one in C (`cc -O2 -o /tmp/tank tests/tank.c -lm`); "{port}" is appended.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gymnasium import spaces

PROJECT = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT / "src/{{cookiecutter.__package_name}}"))

from kit.external import Simulator  # noqa: E402

TANK = PROJECT / "starters/external/src/{{cookiecutter.__package_name}}/simulator.py"
STEPS = 20_000


def milliseconds(call: Callable[[], object]) -> str:
    """Returns the median and the 99th percentile of many calls."""
    taken = []
    for _ in range(STEPS):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return f"median {statistics.median(taken):.3f} ms, 99th percentile {sorted(taken)[-STEPS // 100]:.3f} ms"


def main() -> int:
    """Prints the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", nargs="*", default=[sys.executable, str(TANK)], help="default: the starter's own")
    command = [*parser.parse_args().command, "{port}"]
    simulator = Simulator(spaces.Box(0.0, 1.0, (3,), np.float32), spaces.Discrete(3), command, settings={"leak": 0.05})
    start = time.perf_counter()
    simulator.reset(1)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"start, handshake and first reset: {(time.perf_counter() - start) * 1e3:.0f} ms")
    print("reset:", milliseconds(lambda: simulator.reset(1)))
    print("step: ", milliseconds(lambda: simulator.step(1)))  # beyond the episode's end, too: the tank goes on
    simulator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
