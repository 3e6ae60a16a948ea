"""The worked example, made to fail on demand, and what tells how a run of it has ended."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

import pytest
from conftest import BakedProject, clean_environment

# (fault, seconds to the message or to recovery, steps of the environment that were taken and are not in the run)
TABLE: list[tuple[str, float | None, int | None]] = []

# What is added to the worked example's env.py. FAULT=kind:when:runner makes it fail in one env runner: in the given step
# of a copy's life; in its first (-2) or a later (-1) reset; or in step 3 of one episode in a hundred, by its seed.
FAULT = '''

import ctypes
import logging
import os
import resource
import sys
import time


def note(name: str, text: str) -> None:
    """Adds to a file that all processes add to, if there is one."""
    if name in os.environ:
        file = os.open(os.environ[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, text.encode())
        os.close(file)


def fail(env: Any, when: str) -> Any:
    """Does what FAULT asks for, if it is time to; returns a replacement for the step's result."""
    is_training = "corridor_demo.kit.rllib.env_runner" in sys.modules and not env._is_evaluated
    if is_training and int(when) > 0:
        note("COUNT_FILE", ".")
    if is_training and when == "-1":
        note("SEED_FILE", f"{env.config.worker_index} {env._first_seed} {env.np_random_seed}\\n")
    kind, at, runner = os.environ.get("FAULT", "::0").split(":")
    is_time = is_training and when == at
    if at == "seed":
        is_time = env._is_bad and env._steps == 3
    if not kind or not is_time or env.config.worker_index != int(runner):
        return None
    if "FAULT_FILE" in os.environ and not os.path.exists(os.environ["FAULT_FILE"]):
        with open(os.environ["FAULT_FILE"], "w") as file:
            file.write(str(time.time()))
    if kind == "raise":
        raise ZeroDivisionError("the simulator has divided by zero")
    if kind == "exit":
        sys.exit(0)
    if kind == "hang":
        time.sleep(3600)
    if kind == "gil":
        ctypes.PyDLL(None).sleep(3600)  # C code that keeps Python's lock
    if kind == "full":  # a disk on which a checkpoint no longer fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    if kind == "log":
        facts = env.config.worker_index, env.config.num_workers
        logging.getLogger(__name__).info("the lights went out at worker %d of %d", *facts)
    return kind
'''
_EDITS = {
    "    length: int = 10": "    worker_index: int = 0\n    num_workers: int = 0\n    length: int = 10",
    "MAX_EPISODE_STEPS = 60": "import os\n\nENDLESS = 'ENDLESS' in os.environ\nMAX_EPISODE_STEPS = None if ENDLESS else 60",
    "        self._position = 0  # cells": "        self._life = self._steps = 0\n        self._position = 0  # cells",
    "        super().reset(seed=seed)\n": "        super().reset(seed=seed)\n        self._steps = 0\n"
    "        self._first_seed = getattr(self, '_first_seed', self.np_random_seed)\n"
    "        self._is_bad = self.np_random.uniform() < 0.01\n"
    "        self._is_evaluated = 0 <= (seed or 0) - 10**9 < 20  # by `train`, when it has ended\n"
    "        fail(self, '-1' if self._life else '-2')\n",
    "        # Move, but": "        if 'STEP_SECONDS' in os.environ:\n"
    "            time.sleep(float(os.environ['STEP_SECONDS']))\n"
    "        self._life += 1\n        self._steps += 1\n        fault = fail(self, str(self._life))\n        # Move, but",
    "        terminated = self._position ==": "        terminated = not ENDLESS and self._position ==",
    "        return self._observation(), reward, terminated": "        if fault in ('nan', 'inf'):\n"
    "            reward = float(fault)\n        if fault in ('outside', 'infinite'):\n"
    "            self._position = 99 if fault == 'outside' else float('inf')\n"
    "        if self._position > self.config.length and not self._is_evaluated:\n            note('OUTSIDE_FILE', '.')\n"
    "        if ENDLESS:\n            self._position %= 10\n"
    "        return self._observation(), reward, terminated",
}


def make_faulty(project: BakedProject) -> BakedProject:
    """Installs the worked example, and makes it fail on demand."""
    file = project.source / "env.py"
    text = file.read_text(encoding="utf-8")
    for old, new in _EDITS.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text + FAULT, encoding="utf-8")
    guard = project.source / "kit" / "guard" / "calls.py"
    text = guard.read_text(encoding="utf-8")
    assert "LONG_EPISODE_STEPS = 50_000" in text
    guard.write_text(text.replace("LONG_EPISODE_STEPS = 50_000", "LONG_EPISODE_STEPS = 300"), encoding="utf-8")
    return project.install()


@dataclass
class Ended:
    """A run that has ended.

    Attributes:
        code: its exit code.
        output: what it printed.
        seconds: since the fault.
        lost: steps of the environment that were taken, but are not in the run's last checkpoint.
    """

    code: int
    output: str
    seconds: float
    lost: int


def start(project: BakedProject, name: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Starts training; the output goes to a file, so that no pipe is ever full."""
    command = [str(project.python), "-m", "corridor_demo", "train", "--name", name, "--stop-return", "1000", *options]
    files = {f"{kind.upper()}_FILE": str(project.path / f"{name}.{kind}") for kind in ("fault", "count", "outside")}
    with (project.path / f"{name}.txt").open("a") as output:
        return subprocess.Popen(
            command,
            cwd=project.path,
            env=clean_environment() | files | {"TESTED_RUN": mark_of(project, name)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def end(
    project: BakedProject, name: str, process: subprocess.Popen[str], since: float | None = None, linger: float = 20.0
) -> Ended:
    """Waits for the end of a run, and asserts that it leaves no process behind for longer than `linger` seconds."""
    try:
        code = process.wait(timeout=240)
    except subprocess.TimeoutExpired:
        kill(mark_of(project, name))
        pytest.fail(f"still running:\n{project.read(f'{name}.txt')}")
    now, file = time.time(), project.path / f"{name}.fault"
    began = since or (float(file.read_text()) if file.exists() else now)
    output = project.read(f"{name}.txt")
    deadline = time.monotonic() + linger
    while left := family(mark_of(project, name)):
        assert time.monotonic() < deadline, f"left behind: {[command_line(process) for process in left]}\n{output}"
        time.sleep(0.2)
    return Ended(code, output, now - began, lost_steps(project, name))


def mark_of(project: BakedProject, name: str) -> str:
    """Returns what the processes of a run have in their environment as TESTED_RUN."""
    return f"{project.path}/{name}"


def family(mark: str) -> list[int]:
    """Returns the processes that were started with TESTED_RUN=mark in their environment, and what they started."""
    line, found = f"TESTED_RUN={mark}\0".encode(), []
    for number in (int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
        try:
            with open(f"/proc/{number}/environ", "rb") as file:
                if line in file.read():  # empty for a zombie
                    found.append(number)
        except OSError:  # it has ended
            continue
    return found


def command_line(process: int) -> str:
    """Returns the command of a process, as its title is now; empty if it has ended."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def env_runners(mark: str) -> list[int]:
    """Returns those of the processes that are env runners."""
    return [process for process in family(mark) if "EnvRunner" in command_line(process)]


def kill(mark: str) -> None:
    """Ends all of the processes at once, as a power failure does."""
    for process in family(mark):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def iterations(project: BakedProject, name: str) -> list[int]:
    """Returns the iterations that progress.csv has a row of."""
    path = project.path / "runs" / name / "progress.csv"
    return [int(row.split(",")[0]) for row in path.read_text().splitlines()[1:]] if path.exists() else []


def assert_whole(project: BakedProject, name: str) -> None:
    """Asserts that progress.csv has every iteration once."""
    rows = iterations(project, name)
    assert rows == list(range(1, len(rows) + 1))


def wait_for_iteration(project: BakedProject, name: str, number: int) -> None:
    """Waits until a run has written so many rows."""
    deadline = time.monotonic() + 120
    while len(iterations(project, name)) < number:
        assert time.monotonic() < deadline, project.read(f"{name}.txt")
        time.sleep(0.05)


def checkpoint_facts(project: BakedProject, name: str) -> dict[str, int]:
    """Returns what the last checkpoint says of itself; empty if there is none."""
    for folder in ("last", "last.old"):
        path = project.path / "runs" / name / "checkpoints" / folder / "policy" / "policy.json"
        if path.exists():
            return json.loads(path.read_text())
    return {}


def lost_steps(project: BakedProject, name: str) -> int:
    """Returns how many steps were taken in training, but are not in the last checkpoint."""
    file = project.path / f"{name}.count"
    return (file.stat().st_size if file.exists() else 0) - checkpoint_facts(project, name).get("env_steps", 0)
