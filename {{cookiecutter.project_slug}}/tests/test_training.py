"""Training for a moment: what a run leaves on disk, that it goes on where it ended, and that seeds differ."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from {{cookiecutter.__package_name}}.checks import run_checks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def filled_in() -> None:
    """Skips all of this as long as there is nothing to train."""
    if todo := run_checks(quick=True).todo:
        pytest.skip(todo)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains for two iterations, and returns the folder that `runs` lies in."""
    path = tmp_path_factory.mktemp("training")
    command(path, "train", "--name", "first", "--max-env-steps", "4000", "--stop-return", "1e9")
    return path


def command(folder: Path, name: str, *arguments: str) -> str:
    """Runs a command of the project in `folder` and returns what it prints."""
    line = [sys.executable, "-m", f"{{cookiecutter.__package_name}}.{name}", *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_run_leaves_everything_it_promises(folder: Path) -> None:
    run = folder / "runs" / "first"
    names = {path.name for path in run.iterdir()}
    assert {"progress.csv", "checkpoints", "learning_curve.png", "config.json", "summary.json"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["env_steps"] >= 4000
    assert summary["iterations"] == len((run / "progress.csv").read_text().splitlines()) - 1


def test_evaluate_reads_the_checkpoint(folder: Path) -> None:
    report = json.loads(command(folder, "evaluate", "first", "--episodes", "2", "--json"))
    low, high = report["policy"]["interval"]
    assert low <= report["policy"]["mean"] <= high


def test_resume_goes_on_where_the_run_ended(folder: Path) -> None:
    progress = folder / "runs" / "first" / "progress.csv"
    before = progress.read_text().splitlines()
    command(folder, "train", "--name", "first", "--resume", "--max-env-steps", "6000")
    after = progress.read_text().splitlines()
    assert after[: len(before)] == before
    assert [int(line.split(",")[0]) for line in after[1:]] == list(range(1, len(after)))


@pytest.fixture
def ray() -> Iterator[None]:
    """Starts Ray for one test."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


def test_no_two_copies_in_any_env_runner_share_a_seed(ray: None) -> None:
    from {{cookiecutter.__package_name}}.ppo import ppo_config
    from {{cookiecutter.__package_name}}.registration import is_vector_env
    from {{cookiecutter.__package_name}}.vectorization import Vectorization

    if is_vector_env():
        pytest.skip("a VectorEnv gives its copies their seeds itself; the contract looks at them")
    algorithm = ppo_config(Vectorization(2, 3, "sync", ""), seed=100).build_algo()
    group = algorithm.env_runner_group
    group.foreach_env_runner(lambda runner: runner.sample(num_timesteps=3), local_env_runner=False)
    seeds = group.foreach_env_runner(
        lambda runner: [env.unwrapped.np_random_seed for env in runner.env.unwrapped.envs], local_env_runner=False
    )
    algorithm.stop()
    assert len({seed for copies in seeds for seed in copies}) == 6
