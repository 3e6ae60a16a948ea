"""Microseconds that a trained policy takes for an action, one observation at a time and in batches of 64.

python benchmarks/policy_time.py PACKAGE [POLICY] [--python PYTHON]

Work in the folder of a generated project with a run; PYTHON is the interpreter that can import it.
"""

import argparse
import subprocess
import sys

CODE = """
import os, platform, statistics, sys, time
import torch
from {package} import load_policy

torch.set_num_threads(1)
policy = load_policy(sys.argv[1] if len(sys.argv) > 1 else None)
observations = [policy.observation_space.sample() for _ in range(64)]


def microseconds(call, runs):
    for _ in range(runs // 10):
        call()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e6)
    return f"median {{statistics.median(taken):.0f}}, of 100 the slowest {{sorted(taken)[-runs // 100]:.0f}}"


print(f"Python {{platform.python_version()}}, torch {{torch.__version__}}, {{os.cpu_count()}} cores, one thread, "
      f"load {{os.getloadavg()[0]:.1f}}")
print(policy.facts["run"], policy.observation_space, "->", policy.action_space)
print("one observation:", microseconds(lambda: policy(observations[0]), 5000))
print("drawn:          ", microseconds(lambda: policy(observations[0], deterministic=False), 5000))
print("64 observations:", microseconds(lambda: policy.batch(observations), 500))
"""


def main() -> int:
    """Runs the measurement in the project's interpreter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", help="import name of the generated project")
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that can import it")
    options = parser.parse_args()
    code = CODE.format(package=options.package)
    return subprocess.run([options.python, "-c", code, *([options.policy] if options.policy else [])]).returncode


if __name__ == "__main__":
    sys.exit(main())
