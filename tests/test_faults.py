"""What goes wrong in a night of training: the user's mistakes end it at once, the machine's don't, and nothing is lost.

At the end it prints a table: the fault, the seconds to the message or to recovery, the steps that were lost.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from conftest import BakedProject, clean_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as Unix has them")

DEADLINE_SECONDS = 10.0  # from a mistake of the environment to the end of the run, on an idle machine
SLACK = 3.0  # this machine is busy with other tests

# What is added to the worked example's env.py: FAULT=kind:step:runner makes it fail in training, and only there.
FAULT = '''

import logging
import os
import resource
import sys
import time


def fail(env: Any, step: int) -> Any:
    """Does what FAULT asks for, from the given step of a copy's life on; returns a replacement for its result."""
    kind, at, runner = os.environ.get("FAULT", ":0:0").split(":")
    if "ray" not in sys.modules or not kind or step != int(at) or env.config.worker_index != int(runner):
        return None
    if not os.path.exists(os.environ["FAULT_FILE"]):
        with open(os.environ["FAULT_FILE"], "w") as file:
            file.write(str(time.time()))
    if kind == "raise":
        raise ZeroDivisionError("the simulator has divided by zero")
    if kind == "exit":
        sys.exit(0)
    if kind == "hang":
        time.sleep(3600)
    if kind == "full":  # a disk on which a checkpoint no longer fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    if kind == "log":
        logging.getLogger(__name__).info("the lights went out in step %d", step)
    return kind
'''


@dataclass
class Ended:
    """A run that has ended: its exit code, what it printed, and the seconds since the fault."""

    code: int
    output: str
    seconds: float


TABLE: list[tuple[str, float, str]] = []


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Prints the table, past pytest's capture."""
    yield
    lines = [f"{'fault':62} {'seconds':>8}  lost"] + [f"{name:62} {s:8.1f}  {lost}" for name, s, lost in TABLE]
    print("\n" + "\n".join(lines), file=sys.__stderr__)


@pytest.fixture(scope="module")
def project(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example, made to fail on demand."""
    project = bake(project_name="Corridor Demo", starter="corridor").install()
    file = project.source / "env.py"
    text = file.read_text(encoding="utf-8")
    edits = {
        "    length: int = 10": "    worker_index: int = 0\n    num_workers: int = 0\n    length: int = 10",
        "        self._position = 0  # cells": "        self._life = 0\n        self._position = 0  # cells",
        "        super().reset(seed=seed)\n": "        super().reset(seed=seed)\n        fail(self, -1 if self._life else -2)\n",
        "        # Move, but": "        time.sleep(float(os.environ.get('STEP_SECONDS', '0')))\n"
        "        self._life += 1\n        fault = fail(self, self._life)\n        # Move, but",
        "        return self._observation(), reward, terminated": "        if fault == 'nan':\n            reward = float('nan')\n"
        "        if fault == 'outside':\n            self._position = 99\n"
        "        return self._observation(), reward, terminated",
    }
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text + FAULT, encoding="utf-8")
    return project


def start(project: BakedProject, name: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Starts training; the output goes to a file, so that no pipe is ever full."""
    command = [str(project.python), "-m", "corridor_demo.train", "--name", name, "--stop-return", "1000", *options]
    environment = {"FAULT_FILE": str(project.path / f"{name}.fault"), **environment}
    with (project.path / f"{name}.txt").open("a") as output:
        return subprocess.Popen(
            command,
            cwd=project.path,
            env=clean_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def end(project: BakedProject, name: str, process: subprocess.Popen[str], since: float | None = None) -> Ended:
    """Waits for the end of a run, and sees to it that it leaves no process behind."""
    try:
        code = process.wait(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"still running:\n{project.read(f'{name}.txt')}")
    now, file = time.time(), project.path / f"{name}.fault"
    began = since or (float(file.read_text()) if file.exists() else now)
    return Ended(code, project.read(f"{name}.txt"), now - began)


def iterations(project: BakedProject, name: str) -> list[int]:
    """Returns the iterations that progress.csv has a row of."""
    path = project.path / "runs" / name / "progress.csv"
    return [int(row.split(",")[0]) for row in path.read_text().splitlines()[1:]] if path.exists() else []


def wait_for_iteration(project: BakedProject, name: str, number: int) -> None:
    """Waits until a run has written so many rows."""
    deadline = time.monotonic() + 120
    while len(iterations(project, name)) < number:
        assert time.monotonic() < deadline, project.read(f"{name}.txt")
        time.sleep(0.05)


MISTAKES = {
    "raise in the first reset": ("raise:-2:{runner}", "ZeroDivisionError: the simulator has divided by zero"),
    "raise in a later reset": ("raise:-1:{runner}", "ZeroDivisionError: the simulator has divided by zero"),
    "raise in step 1": ("raise:1:{runner}", "ZeroDivisionError: the simulator has divided by zero"),
    "raise in step 500": ("raise:500:{runner}", "ZeroDivisionError: the simulator has divided by zero"),
    "sys.exit in a step": ("exit:20:{runner}", "SystemExit: 0"),
    "NaN reward": ("nan:20:{runner}", "the reward is nan, not a finite number"),
    "observation outside its space": ("outside:20:{runner}", "observation[0] is 9.9"),
}
HERE = ("this process", "0", "--num-env-runners", "0")
RUNNER = ("a runner of two", "2", "--num-env-runners", "2")
CHILD = ("an async copy", "0", "--num-env-runners", "0", "--num-envs-per-env-runner", "2", "--vectorize-mode", "async")
QUICK = [("raise in step 500", HERE)]


@pytest.mark.parametrize(
    ("mistake", "where"),
    [
        pytest.param(
            mistake, where, marks=[] if (mistake, where) in QUICK else [pytest.mark.slow], id=f"{mistake}, {where[0]}"
        )
        for mistake in MISTAKES
        for where in (HERE, RUNNER, CHILD)
    ],
)
def test_mistake_of_the_environment_ends_the_run(project: BakedProject, mistake: str, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    fault, message = MISTAKES[mistake]
    name = f"{mistake} {place}".replace(" ", "-")
    done = end(project, name, start(project, name, *options, FAULT=fault.format(runner=runner)))
    TABLE.append((f"{mistake}, {place}", done.seconds, "-"))
    assert done.code == 1, done.output
    assert message in done.output
    assert "site-packages" not in done.output
    if fault.startswith(("raise", "exit")):
        assert "env.py" in done.output and ", in fail" in done.output
    assert done.seconds < DEADLINE_SECONDS * SLACK
    replayed = project.command("replay", f"runs/{name}/failure.json", FAULT="")
    assert replayed.returncode in (0, 1)  # the fault itself is not in the environment's rules, but its file is read


@pytest.mark.slow
@pytest.mark.parametrize("where", [HERE, RUNNER, CHILD], ids=lambda where: where[0])
def test_hang_is_reported_with_its_stack(project: BakedProject, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    name = f"hang-{place}".replace(" ", "-")
    done = end(project, name, start(project, name, *options, "--hang-seconds", "3", FAULT=f"hang:300:{runner}"))
    TABLE.append((f"hang, {place} (--hang-seconds 3)", done.seconds, "-"))
    assert done.code == 1, done.output
    assert "the environment hangs: a reset or step has not returned for 3 s" in done.output
    assert "time.sleep(3600)" in done.output
    assert done.seconds < (3 + DEADLINE_SECONDS) * SLACK


@pytest.mark.slow
def test_one_failed_runner_ends_the_run_while_the_other_is_slow(project: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "1")
    done = end(project, "slow", start(project, "slow", *options, FAULT="raise:5:2", STEP_SECONDS="0.3"))
    TABLE.append(("raise in one runner, the other takes minutes to sample", done.seconds, "-"))
    assert done.code == 1, done.output
    assert "ZeroDivisionError" in done.output
    assert done.seconds < DEADLINE_SECONDS * SLACK


def processes() -> dict[int, tuple[int, str, str]]:
    """Returns parent, state and command line of every process."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return {
        int(p): (int(parent), state, args) for p, parent, state, args in (x.split(None, 3) for x in lines.splitlines())
    }


def children(process_id: int) -> list[int]:
    """Returns a process's descendants."""
    table, found = processes(), [process_id]
    for parent in found:
        found += [p for p, (of, _, _) in table.items() if of == parent]
    return found[1:]


def env_runners(process_id: int) -> list[int]:
    """Returns the processes of a run's env runners."""
    table = processes()
    return [p for p in children(process_id) if p in table and "EnvRunner" in table[p][2]]


@pytest.mark.slow
def test_killed_env_runner_is_replaced(project: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--max-env-steps", "30000")
    process = start(project, "killed", *options)
    wait_for_iteration(project, "killed", 3)
    os.kill(env_runners(process.pid)[0], signal.SIGKILL)
    killed, before = time.time(), len(iterations(project, "killed"))
    wait_for_iteration(project, "killed", before + 2)
    seconds = time.time() - killed
    done = end(project, "killed", process)
    assert done.code == 0, done.output
    assert "a process that trains was lost (ActorDiedError)" in done.output
    assert iterations(project, "killed") == list(range(1, len(iterations(project, "killed")) + 1))
    TABLE.append(("SIGKILL of an env runner", seconds, "at most one iteration"))


@pytest.mark.slow
def test_killed_copy_is_replaced(project: BakedProject) -> None:
    process = start(project, "child", *CHILD[2:], "--max-env-steps", "12000")
    wait_for_iteration(project, "child", 2)
    table = processes()
    copies = [p for p, (parent, _, args) in table.items() if parent == process.pid and "corridor_demo.train" in args]
    os.kill(copies[-1], signal.SIGKILL)
    killed, before = time.time(), len(iterations(project, "child"))
    wait_for_iteration(project, "child", before + 1)
    TABLE.append(("SIGKILL of an async copy", time.time() - killed, "at most one iteration"))
    done = end(project, "child", process)
    assert done.code == 0, done.output


SLOW = {
    "this process": ("--num-env-runners", "0", "--num-envs-per-env-runner", "1"),
    "two runners": ("--num-env-runners", "2", "--num-envs-per-env-runner", "1"),
    "async copies": ("--num-env-runners", "0", "--num-envs-per-env-runner", "2", "--vectorize-mode", "async"),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", SLOW)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_of_slow_steps(project: BakedProject, place: str, number: signal.Signals, code: int) -> None:
    name = f"{number.name}-{place}".replace(" ", "-")
    process = start(project, name, *SLOW[place], STEP_SECONDS="0.2", FAULT="mark:3:0")
    deadline = time.monotonic() + 120
    while "sampling" not in project.read(f"{name}.txt") and not (project.path / f"{name}.fault").exists():
        if place == "two runners" and len(env_runners(process.pid)) == 2:
            time.sleep(5)
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    family = children(process.pid)
    sent = time.time()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        os.kill(process.pid, number)
    done = end(project, name, process, since=sent)
    TABLE.append((f"{number.name} during slow steps, {place}", done.seconds, "the iteration under way"))
    assert done.code == code, done.output
    assert "Traceback" not in done.output
    assert (project.path / "runs" / name / "summary.json").exists()
    assert done.seconds < 15 * SLACK
    time.sleep(3)
    assert not {p: entry for p, entry in processes().items() if p in family and not entry[1].startswith("Z")}


@pytest.mark.slow
def test_killed_driver_goes_on_from_the_last_checkpoint(project: BakedProject) -> None:
    dice, lost = random.Random(0), 0
    for _ in range(20):
        before = len(iterations(project, "killed20"))
        process = start(project, "killed20", *(["--resume"] if before else []), "--num-env-runners", "0")
        deadline = time.monotonic() + 120
        while iterations(project, "killed20")[-1:] in ([], [before]) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(dice.uniform(0.0, 0.7))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        rows = iterations(project, "killed20")
        last = json.loads((project.path / "runs/killed20/checkpoints/last/checkpoint.json").read_text())["iteration"]
        lost = max(lost, len(rows) - last)
        assert rows == list(range(1, len(rows) + 1))
    done = end(project, "killed20", start(project, "killed20", "--resume", "--max-env-steps", "1"))
    assert done.code == 0, done.output
    rows = iterations(project, "killed20")
    assert rows == list(range(1, len(rows) + 1))
    assert len(rows) > 20
    assert lost <= 1
    TABLE.append(("SIGKILL of the driver, 20 times, then --resume", 0.0, f"at most {lost} iteration each"))


@pytest.mark.slow
def test_full_disk_is_one_line_and_the_checkpoints_stay_whole(project: BakedProject) -> None:
    done = end(project, "full", start(project, "full", "--num-env-runners", "0", FAULT="full:400:0"))
    TABLE.append(("full disk (RLIMIT_FSIZE)", done.seconds, "at most one iteration"))
    assert done.code == 1, done.output
    assert "ERROR: runs/full can't be written: [Errno 27] File too large" in done.output
    assert "Traceback" not in done.output
    run = project.path / "runs" / "full"
    assert not [path for path in run.rglob("*") if path.name.endswith((".new", ".old"))]
    resumed = end(project, "full", start(project, "full", "--resume", "--max-env-steps", "12000"))
    assert resumed.code == 0, resumed.output
    rows = iterations(project, "full")
    assert rows == list(range(1, len(rows) + 1))


@pytest.mark.slow
def test_truncated_checkpoint_is_one_line(project: BakedProject) -> None:
    name, options = "truncated", ("--max-env-steps", "4000", "--num-env-runners", "0")
    assert end(project, name, start(project, name, *options)).code == 0
    last = project.path / "runs" / name / "checkpoints" / "last"
    files = sorted(path for path in last.rglob("*.pkl") if path.stat().st_size > 1000)
    assert files
    damaged = 0
    for file in files:
        whole = project.path / "whole"
        shutil.copytree(project.path / "runs" / name, whole)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        (project.path / f"{name}.txt").unlink()
        done = end(project, name, start(project, name, "--resume", "--max-env-steps", "5000"))
        assert "Traceback" not in done.output
        assert done.code == 0 or (done.code == 1 and "is damaged" in done.output), done.output
        damaged += done.code  # not every file matters to training
        shutil.rmtree(project.path / "runs" / name)
        whole.rename(project.path / "runs" / name)
    assert damaged
    (last / "checkpoint.json").write_text('{"env_id"')
    done = end(project, name, start(project, name, "--resume"))
    assert done.code == 2
    assert "checkpoint.json can't be read" in done.output
    TABLE.append(("truncated checkpoint files", 0.0, "-"))


@pytest.mark.slow
@pytest.mark.parametrize("where", [HERE, RUNNER, CHILD], ids=lambda where: where[0])
def test_log_of_the_environment_is_shown_and_kept(project: BakedProject, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    name = f"log-{place}".replace(" ", "-")
    done = end(project, name, start(project, name, *options, "--max-env-steps", "4000", FAULT=f"log:7:{runner}"))
    assert done.code == 0, done.output
    kept = project.read(f"runs/{name}/environment.log")
    assert "INFO corridor_demo.env: the lights went out in step 7" in kept
    assert ("[env runner 2]" in kept) == (runner == "2")
    assert "the lights went out in step 7" in done.output


@pytest.mark.slow
def test_keep_going_goes_on_after_a_failure(project: BakedProject) -> None:
    options = ("--keep-going", "--num-env-runners", "1", "--max-env-steps", "12000")
    process = start(project, "keep", *options, FAULT="raise:500:1")
    done = end(project, "keep", process)
    assert done.code == 0, done.output
    assert done.output.count("ZeroDivisionError: the simulator") >= 1
    assert "going on after iteration" in done.output
    rows = iterations(project, "keep")
    assert rows == list(range(1, len(rows) + 1))


@pytest.mark.slow
def test_resumed_env_runners_go_on_with_the_trained_policy(project: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "8")
    for more in (("--max-env-steps", "22000"), ("--resume", "--max-env-steps", "24000")):
        done = end(project, "trained", start(project, "trained", *options, *more))
        assert done.code == 0, done.output
    header, *rows = (line.split(",") for line in project.read("runs/trained/progress.csv").splitlines())
    assert float(rows[-1][header.index("episode_return_mean")]) > -0.5  # a new policy begins below -3
