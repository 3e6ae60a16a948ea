"""One configuration learns hard tasks, whatever the scale of rewards and observations, and acts on the same scale."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TEMPLATE, BakedProject

sys.path.insert(0, str(TEMPLATE / "benchmarks"))

import tasks

THRESHOLD = 0.1  # of the corridor; the best possible is 0.2


def rescale(project: BakedProject, reward: float, observation: float) -> None:
    """Multiplies the corridor's rewards and observations."""
    file = project.source / "env.py"
    text = file.read_text(encoding="utf-8")
    for old, new in (
        ("return self._observation(), reward,", f"return self._observation(), {reward!r} * reward,"),
        ("spaces.Box(0.0, 1.0, (1,), np.float32)", f"spaces.Box(0.0, {observation!r}, (1,), np.float32)"),
        ("[self._position / self.config.length]", f"[{observation!r} * self._position / self.config.length]"),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("reward", "observation"), [(1e-3, 1.0), (1e4, 1.0), (1.0, 1e-3), (1.0, 1e4)])
def test_scale_does_not_matter(bake: Callable[..., BakedProject], reward: float, observation: float) -> None:
    project = bake(project_name="Corridor Demo", starter="corridor").install()
    rescale(project, reward, observation)
    threshold = str(THRESHOLD * reward)
    project.command("train", "--name", "run", "--stop-return", threshold, "--max-env-steps", "60_000", check=True)
    assert json.loads(project.read("runs/run/summary.json"))["seconds_to_stop_return"] is not None
    report = project.command("evaluate", "run", "--json", check=True).stdout
    assert json.loads(report)["policy"]["mean"] > THRESHOLD / 2 * reward  # the statistics lie in the checkpoint


def test_rewards_times_1024_make_the_same_run(corridor: BakedProject, tmp_path: Path) -> None:
    """A power of two changes no digit of a number: every action, and every return but for the factor, is the same."""
    runs = []
    for scale in (1.0, 1024.0):
        project = corridor.copy(tmp_path / str(scale))
        rescale(project, scale, 1.0)
        limits = ("--stop-return", "1e9", "--max-env-steps", "8_000", "--num-env-runners", "0")
        project.command("train", "--name", "run", *limits, "--num-envs-per-env-runner", "32", check=True)
        with (project.path / "runs/run/progress.csv").open(encoding="utf-8") as file:
            rows = [(int(row["env_steps"]), float(row["episode_return_mean"]) / scale) for row in csv.DictReader(file)]
        runs.append(rows)
    assert runs[0] == runs[1]
    assert len({returned for _, returned in runs[0]}) >= 4


MATCH = """
    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(6)
        self.action_space = spaces.Discrete(6)
        self._shown = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._shown = int(self.np_random.integers(6))
        return np.int64(self._shown), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == (self._shown + 1) % 6)
        self._shown = int(self.np_random.integers(6))
        return np.int64(self._shown), reward, False, False, {}
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 3000])
def test_length_of_episodes_does_not_matter(bake: Callable[..., BakedProject], steps: int) -> None:
    project = bake(project_name="Match", max_episode_steps=str(steps)).install()
    file = project.source / "env.py"
    head = file.read_text(encoding="utf-8").split("    def __init__")[0]
    file.write_text(head + MATCH, encoding="utf-8")
    done = project.command("train", "--name", "run", "--stop-return", str(0.9 * steps), "--max-env-steps", "200_000")
    assert done.returncode == 0, done.stderr
    assert json.loads(project.read("runs/run/summary.json"))["seconds_to_stop_return"] is not None, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "most_steps"), [("LunarLander-v3", 300_000), ("MountainCarContinuous-v0", 100_000)])
def test_hard_tasks_are_learnt(bake: Callable[..., BakedProject], env_id: str, most_steps: int) -> None:
    if env_id.startswith("LunarLander"):
        pytest.importorskip("Box2D")
    project = bake(project_name=tasks.PROJECT_NAME).install()
    task = next(task for task in tasks.PANEL if task.env_id == env_id)
    task.write(project)
    limits = ("--seed", "0", "--max-env-steps", str(most_steps))
    project.command("train", "--name", "run", *limits, timeout=1800, check=True)
    assert json.loads(project.read("runs/run/summary.json"))["seconds_to_stop_return"] is not None
    report = json.loads(project.command("evaluate", "run", "--episodes", "20", "--json", check=True).stdout)
    assert report["policy"]["mean"] > 0.8 * task.threshold  # greedy actions keep what was learnt with noise
