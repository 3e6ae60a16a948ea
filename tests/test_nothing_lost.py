"""What a run leaves behind when it is ended: by a signal, by a full disk, by the loss of its machine."""

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import BakedProject
from faults import (
    TABLE,
    assert_whole,
    checkpoint_facts,
    end,
    family,
    iterations,
    kill,
    lost_steps,
    mark_of,
    start,
    wait_for_iteration,
)
from test_faults import CHILD, HERE, ITERATION_STEPS, SLACK, SYNC

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as Unix has them")

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
SLOW = {
    "this process": ("--num-env-runners", "0", "--num-envs-per-env-runner", "1", *SYNC),
    "two runners": ("--num-env-runners", "2", "--num-envs-per-env-runner", "1", *SYNC),
    "async copies": CHILD[2:],
}


@pytest.mark.slow
@pytest.mark.parametrize("place", SLOW)
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_interrupt_of_slow_steps(faulty: BakedProject, place: str, number: signal.Signals, code: int) -> None:
    name = f"{number.name}-{place}".replace(" ", "-")
    runner = "1" if place == "two runners" else "0"
    process = start(faulty, name, *SLOW[place], STEP_SECONDS="0.2", FAULT=f"mark:3:{runner}")
    deadline = time.monotonic() + 120
    while not (faulty.path / f"{name}.fault").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    sent = time.time()
    send(process.pid, number)
    done = end(faulty, name, process, since=sent)
    TABLE.append((f"{number.name} during slow steps, {place}", done.seconds, done.lost))
    assert done.code == code, done.output
    assert "Traceback" not in done.output
    assert (faulty.path / "runs" / name / "summary.json").exists()
    assert done.seconds < 15 * SLACK


def send(process: int, number: signal.Signals) -> None:
    """Sends a signal as a terminal does, to all of the process's group, or as `kill` does."""
    os.killpg(process, number) if number == signal.SIGINT else os.kill(process, number)


@pytest.mark.slow
@pytest.mark.parametrize("runners", ["0", "2"])
def test_sigterm_to_the_whole_group_ends_the_run_in_order(faulty: BakedProject, runners: str) -> None:
    """As `timeout` and batch systems send it: Ray's processes must not die of it before the run has ended."""
    name = f"group{runners}"
    process = start(faulty, name, "--num-env-runners", runners)
    wait_for_iteration(faulty, name, 3)
    sent = time.time()
    os.killpg(process.pid, signal.SIGTERM)
    done = end(faulty, name, process, since=sent)
    TABLE.append((f"SIGTERM to the whole group, {runners} env runners", done.seconds, done.lost))
    assert done.code == 143, done.output
    assert done.output.count("ended by SIGTERM") == 1
    assert not re.search("Traceback|GCS|core_worker", done.output), done.output
    assert_whole(faulty, name)
    run = faulty.path / "runs" / name
    summary = json.loads((run / "summary.json").read_text())
    assert summary["iterations"] == len(iterations(faulty, name)) == checkpoint_facts(faulty, name)["iteration"]
    assert (run / "learning_curve.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("delay", [2.0, 3.0, 4.0, 6.0, 8.0])
def test_sigterm_to_the_whole_group_before_the_training(faulty: BakedProject, delay: float) -> None:
    """While Ray starts and while the env runners are built."""
    name = f"early-group{delay:g}"
    process = start(faulty, name, "--num-env-runners", "2")
    wait_until_handled(process.pid)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGTERM)
    done = end(faulty, name, process)
    assert done.code == 143, done.output
    assert not re.search("Traceback|GCS|core_worker|received at", done.output), done.output


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_interrupt_before_the_training(faulty: BakedProject, number: signal.Signals, code: int) -> None:
    """While the environment is checked, while Ray starts, while the algorithm is built."""
    name, longest = f"early-{number.name}", 0.0
    for delay in (0.0, 0.5, 1.0, 1.7, 2.4, 3.1, 4.0, 5.0, 6.0):
        output = faulty.path / f"{name}.txt"
        output.unlink(missing_ok=True)
        process = start(faulty, name, "--num-env-runners", "2", "--num-envs-per-env-runner", "1", STEP_SECONDS="0.2")
        wait_until_handled(process.pid)
        time.sleep(delay)
        sent = time.time()
        send(process.pid, number)
        done = end(faulty, name, process, since=sent)
        longest = max(longest, done.seconds)
        assert done.code == code, f"after {delay} s: {done.output}"
        assert "Traceback" not in done.output, f"after {delay} s: {done.output}"
        assert not iterations(faulty, name)
    TABLE.append((f"{number.name} before the training, 9 moments, the longest", longest, 0))
    assert longest < 15 * SLACK
    again = end(faulty, name, start(faulty, name, "--max-env-steps", "2000"))  # the name is not taken
    assert again.code == 0, again.output


def test_signal_while_ray_starts_is_no_exception_there(faulty: BakedProject) -> None:
    """Torch's C++ aborts the process where its imports meet one."""
    code = (
        "import signal; from corridor_demo.kit.training import run as module; from corridor_demo.kit.cli import run;"
        "from corridor_demo.train import main\n"
        "def start(*_, **__):\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    except BaseException as error:\n"
        "        print(repr(error))\n"
        "module.start_ray = start\n"
        "run(lambda: main(['--name', 'unborn', '--num-env-runners', '0', '--num-envs-per-env-runner', '1']))"
    )
    done = faulty.run("-c", code)
    assert done.returncode == 130, done.stderr
    assert done.stdout.splitlines()[-2:] == ["starting Ray", "interrupted by Ctrl-C"]
    assert not (faulty.path / "runs" / "unborn").exists()


def wait_until_handled(process: int) -> None:
    """Waits until a process has a handler for SIGTERM: before that, Python is still starting."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        caught = next(line for line in open(f"/proc/{process}/status") if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_driver_goes_on_from_the_last_checkpoint(faulty: BakedProject) -> None:
    """20 times, at random moments: also before the first checkpoint, and while one is written."""
    dice, name, total, most, before = random.Random(0), "killed20", 0, 0, 0
    run, seconds = faulty.path / "runs" / name, []
    for i in range(20):
        process = start(faulty, name, *(["--resume"] if run.is_dir() else []), *HERE[2:])
        if i % 2 == 0:
            time.sleep(dice.uniform(0.5, 9.0))
        else:
            resumed = wait_for_progress(faulty, name, rows=2)
            seconds += [resumed] if before else []
            time.sleep(dice.uniform(0.0, 0.5))
        if i % 4 == 1:
            wait_for_half_a_checkpoint(faulty, name)
        kill(mark_of(faulty, name))
        process.wait()
        assert process.returncode == -signal.SIGKILL, faulty.read(f"{name}.txt")
        lost = lost_steps(faulty, name) - total
        total += lost
        most = max(most, lost)
        saved = checkpoint_facts(faulty, name).get("iteration", 0)
        assert saved >= before  # what was there stays
        before = saved
        while family(mark_of(faulty, name)):
            time.sleep(0.1)
    assert before >= 10
    facts = checkpoint_facts(faulty, name)
    done = end(faulty, name, start(faulty, name, "--resume", "--max-env-steps", str(facts["env_steps"] + 3000)))
    assert done.code == 0, done.output
    assert_whole(faulty, name)
    assert iterations(faulty, name)[-1] > before
    assert json.loads(faulty.read(f"runs/{name}/summary.json"))["best_return"] >= facts["best_return"]
    TABLE.append(("SIGKILL of the driver, 20 times, then --resume: slowest, most", max(seconds), most))
    assert most <= ITERATION_STEPS


def wait_for_progress(project: BakedProject, name: str, rows: int) -> float:
    """Waits for so many iterations of a run that was just started; returns the seconds to the first."""
    began, first = time.monotonic(), 0.0
    # A resumed run may first drop a row that came after its checkpoint.
    goal = checkpoint_facts(project, name).get("iteration", 0) + rows
    while len(done := iterations(project, name)) < goal:
        if not first and len(done) > goal - rows:
            first = time.monotonic() - began
        assert time.monotonic() < began + 120, project.read(f"{name}.txt")
        time.sleep(0.02)
    return first


def wait_for_half_a_checkpoint(project: BakedProject, name: str) -> None:
    """Waits until a checkpoint is being written."""
    half = project.path / "runs" / name / "checkpoints" / "last.new"
    deadline = time.monotonic() + 60
    while not half.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.slow
def test_resumed_run_has_all_that_it_had(faulty: BakedProject) -> None:
    """Optimizer, step size, normalisation, lifetime counters, and the next seeds."""
    options = ("--num-env-runners", "1", "--num-envs-per-env-runner", "8", "--max-env-steps", "6000")
    assert end(faulty, "state", start(faulty, "state", *options)).code == 0
    code = (
        "import json, os, pathlib, pickle; from corridor_demo import TASK;"
        "from corridor_demo.kit.guard import child_log, watchdog;"
        "from corridor_demo.kit.training.start import start_ray;"
        "from corridor_demo.kit.training.algorithm import RestartableAlgorithm;"
        "from corridor_demo.kit.rllib.config import algorithm_config;"
        "from corridor_demo.kit.vectorization.settings import Vectorization;"
        "from corridor_demo.kit.training.run_folder import RunFolder;"
        "os.environ.update({watchdog.SECONDS: 'inf', child_log.RUN: 'x'}); start_ray(None, TASK);"
        "folder = RunFolder.earlier('state');"
        "fitted = Vectorization(1, 8, 'sync', '');"
        "trainee = RestartableAlgorithm(folder, lambda v: algorithm_config(TASK, v, 0), fitted); trainee.build(1, from_checkpoint=True);"
        "now = trainee.algorithm.learner_group.get_state()['learner'];"
        "saved = pickle.loads((folder.checkpoint('last') / 'learner_group/learner/state.pkl').read_bytes());"
        "import tree, numpy as np, torch;"
        "flat = lambda s: {str(k): np.asarray(v) for k, v in tree.flatten_with_path(s) if not isinstance(v, str)};"
        "a, b = flat(now['optimizer']), flat(saved['optimizer']);"
        "assert a.keys() == b.keys() and len(a) > 10;"
        "assert all(np.array_equal(a[k], b[k]) for k in a);"
        "group = trainee.algorithm.env_runner_group;"
        "weights = group.foreach_env_runner(lambda r: r.module.get_state(), local_env_runner=False)[0];"
        "mine = now['rl_module']['default_policy'];"
        "assert weights and all(np.array_equal(np.asarray(weights[k]), np.asarray(mine[k])) for k in weights);"
        "print(group.foreach_env_runner(lambda r: r._seed, local_env_runner=False));"
        "print(trainee.algorithm.train()['num_env_steps_sampled_lifetime'])"
    )
    seeds, steps = faulty.run("-c", code, check=True).stdout.splitlines()[-2:]
    assert seeds == "[1000008]"  # the run's seed, of its second part, of runner 1 with 8 copies
    assert float(steps) > 6000


@pytest.mark.slow
@pytest.mark.parametrize("step", [400, 5])
def test_full_disk_is_one_line_and_the_checkpoints_stay_whole(faulty: BakedProject, step: int) -> None:
    """After some checkpoints, and before the first."""
    name = f"full{step}"
    done = end(faulty, name, start(faulty, name, *HERE[2:], FAULT=f"full:{step}:0"))
    TABLE.append((f"full disk (RLIMIT_FSIZE) in step {step} of each copy", done.seconds, done.lost))
    assert done.code == 1, done.output
    assert re.search(rf"^ERROR: runs/{name} can't be written: \[Errno 27\] .*File too large", done.output, re.MULTILINE)
    assert "Traceback" not in done.output
    assert done.lost <= ITERATION_STEPS
    run = faulty.path / "runs" / name
    assert not [path for path in run.rglob("*") if path.name.endswith((".new", ".old"))]
    assert json.loads((run / "summary.json").read_text())["ended_by"] == "an error"
    again = end(faulty, name, start(faulty, name, "--resume", "--max-env-steps", "16000"))
    assert again.code == 0, again.output
    assert_whole(faulty, name)


@pytest.mark.slow
def test_truncated_checkpoint_is_one_line(faulty: BakedProject) -> None:
    name, options = "truncated", ("--max-env-steps", "4000", "--num-env-runners", "0")
    assert end(faulty, name, start(faulty, name, *options)).code == 0
    last = faulty.path / "runs" / name / "checkpoints" / "last"
    files = sorted(path for path in last.rglob("*.pkl") if path.stat().st_size > 1000)
    assert files
    damaged = 0
    for file in files:
        whole = faulty.path / "whole"
        shutil.copytree(faulty.path / "runs" / name, whole)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        (faulty.path / f"{name}.txt").unlink()
        done = end(faulty, name, start(faulty, name, "--resume", "--max-env-steps", "5000"))
        assert "Traceback" not in done.output
        assert done.code == 0 or (done.code == 1 and "is damaged" in done.output), done.output
        damaged += done.code  # not every file matters to training
        shutil.rmtree(faulty.path / "runs" / name)
        whole.rename(faulty.path / "runs" / name)
    assert damaged
    (last / "policy" / "policy.json").write_text('{"env_id"')
    refused = faulty.command("train", "--name", name, "--resume")
    assert refused.returncode == 2
    assert "policy.json can't be read" in refused.stderr


@pytest.mark.slow
def test_run_that_failed_before_its_first_checkpoint_can_be_started_again(faulty: BakedProject) -> None:
    failed = end(faulty, "first", start(faulty, "first", "--num-env-runners", "0", FAULT="raise:5:0"))
    assert failed.code == 1
    assert (faulty.path / "runs" / "first" / "failure.json").exists()
    done = end(faulty, "first", start(faulty, "first", "--num-env-runners", "0", "--max-env-steps", "2000"))
    assert done.code == 0, done.output
    assert not (faulty.path / "runs" / "first" / "failure.json").exists()


@pytest.mark.slow
def test_two_processes_do_not_train_in_one_folder(faulty: BakedProject) -> None:
    process = start(faulty, "shared", "--num-env-runners", "0", "--max-env-steps", "1000000")
    wait_for_iteration(faulty, "shared", 1)
    done = faulty.command("train", "--name", "shared", "--resume")
    process.send_signal(signal.SIGTERM)
    assert end(faulty, "shared", process).code == 143
    assert done.returncode == 2
    assert "another process trains in runs/shared" in done.stderr


@pytest.mark.slow
def test_resumed_env_runners_go_on_with_the_trained_policy(faulty: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "8")
    for more in (("--max-env-steps", "22000"), ("--resume", "--max-env-steps", "24000")):
        done = end(faulty, "trained", start(faulty, "trained", *options, *more))
        assert done.code == 0, done.output
    header, *rows = (line.split(",") for line in faulty.read("runs/trained/progress.csv").splitlines())
    assert float(rows[-1][header.index("episode_return_mean")]) > -0.5  # a new policy begins below -3


@pytest.mark.slow
def test_storage_keeps_a_whole_copy(faulty: BakedProject) -> None:
    storage = (faulty.path / "bucket").as_uri()
    options = ("--storage", storage, "--num-env-runners", "0")
    done = end(faulty, "kept", start(faulty, "kept", *options, "--max-env-steps", "6000"))
    assert done.code == 0, done.output
    rows = faulty.read("runs/kept/progress.csv")
    shutil.rmtree(faulty.path / "runs" / "kept")
    again = faulty.command("train", "--name", "kept", *options)
    assert again.returncode == 2 and "bucket/kept exists; go on with it by --resume" in again.stderr
    half = faulty.path / "bucket" / "kept" / "99-half"  # of a machine that went while it copied
    shutil.copytree(next(path for path in half.parent.iterdir() if path.is_dir()), half)
    (half / "progress.csv").unlink()
    done = end(faulty, "kept", start(faulty, "kept", "--resume", *options, "--max-env-steps", "9000"))
    assert done.code == 0, done.output
    assert faulty.read("runs/kept/progress.csv").startswith(rows)
    assert_whole(faulty, "kept")
    assert not half.exists()
    (copy,) = (path for path in half.parent.iterdir() if path.is_dir())
    assert json.loads((copy / "summary.json").read_text())["env_steps"] >= 9000
    for policy in (str(copy), "kept"):
        assert not faulty.command("evaluate", policy, "--episodes", "2", check=True).stderr


@pytest.mark.slow
def test_storage_that_fails_does_not_end_the_run(faulty: BakedProject) -> None:
    options = ("--storage", "unreliable", "--num-env-runners", "0", "--max-env-steps", "20000")
    process = start(faulty, "lonely", *options)
    wait_for_iteration(faulty, "lonely", 2)  # the copy of the first is whole
    shutil.rmtree(faulty.path / "unreliable", ignore_errors=True)
    (faulty.path / "unreliable").write_text("a file where the folder was")
    done = end(faulty, "lonely", process)
    assert done.code == 1, done.output
    assert "ERROR: runs/lonely is whole, but unreliable/lonely could not be written" in done.output
    assert json.loads(faulty.read("runs/lonely/summary.json"))["env_steps"] >= 20000


@pytest.mark.slow
def test_same_seed_gives_each_copy_in_env_runners_the_same_seeds(faulty: BakedProject) -> None:
    runs = []
    for name in ("seeds1", "seeds2"):
        seeds = faulty.path / f"{name}.seeds"
        options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "4", "--max-env-steps", "6000", "--seed", "3")
        done = end(faulty, name, start(faulty, name, *options, SEED_FILE=str(seeds)))
        assert done.code == 0, done.output
        copies: dict[tuple[str, ...], list[str]] = {}
        for line in seeds.read_text().splitlines():
            worker, first, seed = line.split()
            copies.setdefault((worker, first), []).append(seed)
        runs.append(copies)
    one, other = runs
    assert one.keys() == other.keys() and len(one) == 8
    for copy, seeds_of_one in one.items():
        count = min(len(seeds_of_one), len(other[copy]))
        assert count > 3
        assert seeds_of_one[:count] == other[copy][:count]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("env_id", "other/Env-v0", "is a policy for other/Env-v0, not for corridor_demo/CorridorDemo-v0"),
        (
            "spaces",
            {"observation": {"environment": "Box(2,)"}, "action": {"environment": "Discrete(2)"}},
            "was trained with the observation space {'environment': 'Box(2,)'}",
        ),
        ("versions", {"ray": "2.40.0"}, "was trained with Ray 2.40.0, not 2.60.0, and can't go on with another"),
    ],
)
def test_checkpoint_of_something_else_is_refused(faulty: BakedProject, key: str, value: object, message: str) -> None:
    run = faulty.path / "runs" / "other"
    if not run.exists():
        options = ("--num-env-runners", "0", "--max-env-steps", "2000")
        assert end(faulty, "other", start(faulty, "other", *options)).code == 0
    file = run / "checkpoints" / "last" / "policy" / "policy.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {key: value}))
    done = faulty.command("train", "--name", "other", "--resume", "--max-env-steps", "4000")
    file.write_text(before)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert_whole(faulty, "other")


def test_folder_that_cannot_be_made_is_one_line(corridor: BakedProject, tmp_path: Path) -> None:
    project = corridor.copy(tmp_path)
    (project.path / "runs").write_text("a file where the folder should be")
    done = project.command("train", "--name", "nowhere", "--num-env-runners", "0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: runs/nowhere can't be made: ")
