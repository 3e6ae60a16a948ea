"""Median wall time of the whole `check` process, from the start of Python to its end.

python benchmarks/check_time.py PACKAGE [TARGET] [--python PYTHON] [--runs N]

PACKAGE is the import name of a generated project that PYTHON can import.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", help="import name of the generated project")
    parser.add_argument("target", nargs="?", help="as for `check` (default: the project's environment)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that can import it")
    parser.add_argument("--runs", type=int, default=9)
    return parser.parse_args()


def main() -> int:
    """Prints the median and the extremes of all runs."""
    options = parse()
    command = [options.python, "-m", f"{options.package}.check", *([options.target] if options.target else [])]
    seconds = []
    for _ in range(options.runs):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        if done.returncode == 2:
            print(done.stderr.strip(), file=sys.stderr)
            return 2
    versions = "import gymnasium, numpy; print('gymnasium', gymnasium.__version__, 'numpy', numpy.__version__)"
    installed = subprocess.run([options.python, "-c", versions], capture_output=True, text=True).stdout.strip()
    print(f"Python {platform.python_version()} {installed}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(done.stdout.strip().splitlines()[-1])
    print(
        f"median {statistics.median(seconds):.2f} s, least {min(seconds):.2f} s, most {max(seconds):.2f} s "
        f"of {len(seconds)} runs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
