"""Training for a moment: what a run leaves on disk, that it can be evaluated, and that it goes on where it ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from {{cookiecutter.__package_name}} import TASK
from {{cookiecutter.__package_name}}.kit.tasks import names_of, task_named

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=names_of(TASK.package))
def env(request: pytest.FixtureRequest) -> str:
    """Each environment of the project; one that isn't filled in yet is skipped."""
    if todo := task_named(TASK.package, request.param).check(quick=True).todo:
        pytest.skip(todo)
    return str(request.param)


@pytest.fixture(scope="module")
def folder(env: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains for two iterations, and returns the folder that `runs` lies in."""
    path = tmp_path_factory.mktemp("training")
    command(path, "train", "--env", env, "--name", "first", "--max-env-steps", "4000", "--stop-return", "1e9")
    return path


def command(folder: Path, name: str, *arguments: str) -> str:
    """Runs a command of the project in `folder` and returns what it prints."""
    line = [sys.executable, "-m", "{{cookiecutter.__package_name}}", name, *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_run_leaves_everything_it_promises(folder: Path) -> None:
    run = folder / "runs" / "first"
    names = {path.name for path in run.iterdir()}
    assert {"progress.csv", "checkpoints", "learning_curve.png", "config.json", "summary.json", "report.html"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["env_steps"] >= 4000
    assert summary["iterations"] == len((run / "progress.csv").read_text().splitlines()) - 1


def test_evaluate_reads_the_checkpoint(env: str, folder: Path) -> None:
    report = json.loads(command(folder, "evaluate", "--env", env, "first", "--episodes", "2", "--json"))
    low, high = report["policy"]["interval"]
    assert low <= report["policy"]["mean"] <= high


def test_resume_goes_on_where_the_run_ended(env: str, folder: Path) -> None:
    progress = folder / "runs" / "first" / "progress.csv"
    before = progress.read_text().splitlines()
    command(folder, "train", "--env", env, "--name", "first", "--resume", "--max-env-steps", "6000")
    after = progress.read_text().splitlines()
    assert after[: len(before)] == before
    assert [int(line.split(",")[0]) for line in after[1:]] == list(range(1, len(after)))
