"""Learners in processes of their own: two of them share each batch, stay the same, and are resumed."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BakedProject

# The state of each learner after some iterations, and what env runners act with.
STATES = """
import numpy as np, ray
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
from {package} import TASK
from {package}.kit.rllib.config import algorithm_config
from {package}.kit.vectorization.settings import Vectorization

algorithm = algorithm_config(TASK, Vectorization(1, 8, "sync"), seed=1).build_algo()
for _ in range(2):
    result = algorithm.train()

def state(learner):
    (group,) = learner.get_optimizer("default_policy").param_groups
    return learner.module.get_state()["default_policy"] | {{"lr": group["lr"]}}

one, other = (found.get() for found in algorithm.learner_group.foreach_learner(state))
for name, value in one.items():
    np.testing.assert_array_equal(value, other[name], err_msg=name)
steps = result["env_runners"]["num_env_steps_sampled_lifetime"]
assert one["return_statistics.count"] == steps, (one["return_statistics.count"], steps)
assert one["lr"] != 3e-4, "the step size hasn't moved"
acts = algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.module.get_state(), local_env_runner=False)
for name, value in acts[0].items():
    np.testing.assert_array_equal(value, one[name], err_msg=name)
print("the same")
"""


@pytest.fixture
def two_learners(corridor: BakedProject) -> Iterator[BakedProject]:
    """The worked example with one more line in ppo.py."""
    file = corridor.source / "ppo.py"
    before = file.read_text(encoding="utf-8")
    end = '"image_features": image_features})'
    assert before.count(end) == 1
    file.write_text(before.replace(end, f"{end}.learners(num_learners=2)"), encoding="utf-8")
    yield corridor
    file.write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_two_learners_stay_the_same_and_see_all_returns(two_learners: BakedProject) -> None:
    code = STATES.format(package=two_learners.package)
    assert "the same" in two_learners.run("-W", "ignore", "-c", code, check=True).stdout


@pytest.mark.slow
def test_two_learners_solve_the_worked_example_and_are_resumed(two_learners: BakedProject) -> None:
    name = "two-learners"
    begun = two_learners.command(
        "train", "--name", name, "--num-env-runners", "1", "--max-env-steps", "4000", check=True
    )
    done = two_learners.command("train", "--name", name, "--resume", "--max-env-steps", "200000", check=True)
    assert "solved" in done.stdout and "Setting up process group" not in done.stdout + done.stderr
    run = Path(two_learners.path, "runs", name)
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert config["ppo"]["num_learners"] == 2
    runners = config["vectorization"]["num_env_runners"]  # 0 where there are two CPUs
    assert (f"vectorization: {runners} processes instead of 1: num_learners=2 take 2" in begun.stdout) is (runners < 1)
    with (run / "progress.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    assert int(rows[0]["env_steps"]) >= 2 * 2_048  # each of them learns from a batch of its own
    assert all(row["policy_loss"] and row["kl_divergence"] for row in rows)
    shutil.rmtree(run)


def test_gpu_that_is_not_there_is_one_line(corridor: BakedProject) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    file = corridor.source / "ppo.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("image_features})", "image_features}).learners(num_gpus_per_learner=1)"), "utf-8")
    try:
        done = corridor.command("train", "--name", "gpu")
    finally:
        file.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("num_gpus_per_learner=1, but this machine has none; write 0")
    assert "Traceback" not in done.stderr and not Path(corridor.path, "runs", "gpu").exists()
