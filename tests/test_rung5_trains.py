"""Rung 5: a baked project trains, keeps checkpoints, resumes, evaluates and exports; the commands are the README's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import BakedProject, clean_environment
from test_rung8_filled_in_stub import STEP, fill_in


def iterations_of(project: BakedProject, name: str) -> list[int]:
    """Returns the iterations that progress.csv has a row of."""
    rows = project.read(f"runs/{name}/progress.csv").splitlines()[1:]
    return [int(row.split(",")[0]) for row in rows]


def test_training_says_what_it_does(trained: BakedProject) -> None:
    lines = trained.read("train.txt").splitlines()
    assert lines[0] == "checking the environment" and lines[2] == "starting Ray", lines
    assert any(line.startswith("iteration 1 | ") for line in lines), lines


def test_run_folder_holds_what_it_promises(trained: BakedProject) -> None:
    run = trained.path / "runs" / "first"
    names = {path.name for path in run.iterdir() if not path.name.startswith("events.out.tfevents")}
    files = {".lock", "progress.csv", "learning_curve.png", "report.html"}
    files |= {"config.json", "summary.json", "evaluation.json"}
    assert names == files | {"checkpoints"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best", "last"}
    assert (run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    summary = trained.summary("first")
    assert iterations_of(trained, "first") == list(range(1, summary["iterations"] + 1))
    promised = {"env_steps", "seconds", "steps_per_second", "iterations", "best_return", "last_return", "stop_return"}
    promised |= {"seconds_to_stop_return", "checkpoint", "seed", "vectorization", "versions", "seconds_total"}
    assert promised <= set(summary)


WHAT_A_RUN_LOADS = """
import glob, os, sys
from corridor_demo.train import main
assert main(["--name", "loads", "--seed", "7", "--num-env-runners", "0", "--max-env-steps", "3000"]) == 0
import ray
logs = glob.glob(f"/tmp/ray/session_*_{os.getpid()}/logs/*")
print(*sys.modules)
print(ray.is_initialized(), *{os.path.basename(log).split("-")[0].split(".")[0] for log in logs})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ray's logs lie elsewhere")
def test_training_loads_and_starts_only_what_it_needs(trained: BakedProject) -> None:
    *_, loaded, left = trained.run("-c", WHAT_A_RUN_LOADS, check=True).stdout.splitlines()
    assert {"torch", "ray.rllib", "matplotlib.figure"} <= set(loaded.split())
    compiler, rooms = {"torch._dynamo", "torch._inductor"}, ("search", "multi_agent", "playing", "serving", "external")
    others = {"matplotlib.pyplot", "onnx", "tensorflow", *(f"corridor_demo.kit.{room}" for room in rooms)}
    assert not (compiler | others) & set(loaded.split())
    is_initialized, *logs = left.split()
    assert is_initialized == "False"  # Ray ends while the results are written
    assert "raylet" in logs and "worker" not in logs  # no process waits for env runners that there are none of


def returns_of(project: BakedProject, name: str, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Returns columns of progress.csv that don't hold times."""
    header, *rows = (line.split(",") for line in project.read(f"runs/{name}/progress.csv").splitlines())
    return [tuple(row[header.index(column)] for column in columns) for row in rows]


def test_same_seed_gives_the_same_returns(trained: BakedProject) -> None:
    trained.command("train", "--name", "again", check=True)
    columns = ("env_steps", "episode_return_mean", "entropy")
    first, again, other = (returns_of(trained, name, columns) for name in ("first", "again", "loads"))
    assert first == again
    assert other and other != first[: len(other)]  # of another seed


def test_second_run_of_a_name_is_refused(trained: BakedProject) -> None:
    before = trained.read("runs/first/progress.csv")
    done = trained.command("train", "--name", "first")
    assert done.returncode == 2
    assert done.stderr == "ERROR: runs/first exists; go on with it by --resume, or choose another --name\n"
    assert trained.read("runs/first/progress.csv") == before


def test_resumed_run_goes_on_where_it_ended(trained: BakedProject) -> None:
    shutil.copytree(trained.path / "runs" / "first", trained.path / "runs" / "resumed")
    before = trained.summary("resumed")
    options = ("--stop-return", "1000", "--max-env-steps", str(before["env_steps"] + 4000))
    trained.command("train", "--name", "resumed", "--resume", *options, check=True)
    after = trained.summary("resumed")
    assert iterations_of(trained, "resumed") == list(range(1, after["iterations"] + 1))
    assert after["iterations"] > before["iterations"]
    assert after["env_steps"] >= before["env_steps"] + 4000
    # It goes on with what it had learned: a run from scratch begins far below zero.
    assert after["last_return"] > -0.5


def test_evaluate_does_not_import_ray(trained: BakedProject) -> None:
    code = (
        "import sys; from corridor_demo import TASK; from corridor_demo.kit.commands.evaluate import main;"
        "main(TASK, ['first', '--episodes', '2']); print(*sys.modules)"
    )
    loaded = set(trained.run("-c", code, check=True).stdout.split())
    assert "torch" in loaded
    assert not {"ray", "matplotlib", "scipy.stats", "moviepy"} & loaded


def test_evaluate_says_at_once_that_a_run_is_misspelt(trained: BakedProject) -> None:
    done = trained.run("-X", "importtime", "-m", "corridor_demo", "evaluate", "frist")
    assert done.returncode == 2
    assert "ERROR: there is no run 'frist'; did you mean 'first'? The runs are: " in done.stderr
    assert "torch" not in {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_help_of_evaluate_fits_a_screen(trained: BakedProject) -> None:
    lines = trained.command("evaluate", "--help", check=True, COLUMNS="80").stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "example: python -m corridor_demo evaluate first --against second --video" in text
    assert "default: 100" in text and "default: 1000000000" in text


def test_evaluate_takes_another_config(trained: BakedProject) -> None:
    command = ("evaluate", "first", "--episodes", "4", "--json")
    longer, as_trained = (
        json.loads(trained.command(*command, *config, check=True).stdout)["random"]["mean"]
        for config in (("--config", '{"length": 30}'), ())
    )
    assert longer != as_trained
    refused = trained.command(*command, "--config", '{"lenght": 30}')
    assert refused.returncode == 1 and "did you mean 'length'?" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_policy_can_be_moved(trained: BakedProject, tmp_path: Path) -> None:
    shutil.copytree(trained.path / "runs/first/checkpoints/best/policy", tmp_path / "sent")
    here, there = (
        json.loads(trained.command("evaluate", where, "--episodes", "4", "--json", check=True).stdout)["policy"]
        for where in ("first", str(tmp_path / "sent"))
    )
    assert here == there


def test_evaluation_does_not_depend_on_the_number_of_workers(trained: BakedProject) -> None:
    command = ("evaluate", "first", "--episodes", "6", "--json")
    alone, shared = (
        json.loads(trained.command(*command, "--workers", workers, check=True).stdout) for workers in ("1", "2")
    )
    assert alone["policy"]["mean"] == pytest.approx(shared["policy"]["mean"])
    assert alone["random"]["max"] == shared["random"]["max"]


def test_video_shows_an_episode(trained: BakedProject) -> None:
    report = json.loads(trained.command("evaluate", "first", "--episodes", "2", "--video", "--json", check=True).stdout)
    assert Path(trained.path, report["videos"]["best"]).stat().st_size > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_ends_in_order(trained: BakedProject, number: signal.Signals, code: int) -> None:
    name = number.name.lower()
    command = [str(trained.python), "-m", "corridor_demo", "train", "--name", name, "--stop-return", "1000"]
    process = subprocess.Popen(
        command, cwd=trained.path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    progress = trained.path / "runs" / name / "progress.csv"
    deadline = time.monotonic() + 120
    while not progress.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert trained.summary(name)["iterations"] == len(iterations_of(trained, name)) > 0
    assert (trained.path / "runs" / name / "learning_curve.png").exists()


def test_error_in_the_environment_ends_the_run_with_the_users_traceback(stub: BakedProject, tmp_path: Path) -> None:
    """In an env runner's process; `test_faults.py` has more, and more places."""
    project = stub.copy(tmp_path)
    # Only once Ray is there, so that the checks before training can't find it.
    fill_in(project, step=STEP.replace("+= 1", '+= 1 // (self._steps < 40 or "ray" not in sys.modules)'))
    env = project.source / "env.py"
    env.write_text(env.read_text(encoding="utf-8").replace("from collections", "import sys\nfrom collections", 1))
    done = project.command("train", "--name", "run", "--num-env-runners", "1")
    assert done.returncode == 1
    assert "ZeroDivisionError: integer division or modulo by zero" in done.stderr
    assert "env.py" in done.stderr and ", in step" in done.stderr
    assert "site-packages" not in done.stderr


def test_debug_keeps_all_in_one_process(trained: BakedProject) -> None:
    code = (
        "import os, corridor_demo.env as e; step = e.CorridorDemoEnv.step; pids = set();"
        "e.CorridorDemoEnv.step = lambda self, action: (pids.add(os.getpid()), step(self, action))[1];"
        "from corridor_demo.train import main;"
        "main(['--debug', '--name', 'debug', '--num-env-runners', '2', '--max-env-steps', '1']);"
        "assert pids == {os.getpid()}, pids"
    )
    trained.run("-c", code, check=True)


# These don't end by themselves, or take what else their own tests have; `typed` gives some of them the README's words.
ELSEWHERE = {"play", "serve", "update", "benchmark", "sweep", "--track"}


def test_readme_commands_work(trained: BakedProject, tmp_path: Path) -> None:
    """The commands of the table in the generated README, as they stand there, in their order."""
    project = trained.copy(tmp_path)
    commands = re.findall(r"(?m)^\| `python (-m .*?)`", project.read("README.md"))
    assert len(commands) >= 15
    for arguments in map(str.split, commands):
        if not ELSEWHERE & set(arguments):
            few = ["--max-env-steps", "3000"] if {"--stop-return", "--set", "--debug"} & set(arguments) else []
            project.run(*arguments, *few, check=True)


@pytest.mark.slow
def test_search_of_the_readme_works(corridor: BakedProject, tmp_path: Path) -> None:
    few = ("--trials", "1", "--seeds", "2", "--max-env-steps", "2100")
    project = corridor.copy(tmp_path)
    project.run(*project.typed("sweep"), *few, check=True)
