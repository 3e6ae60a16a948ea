"""Rung 3: a baked project is clean as baked: style, format, types, and a wheel that works elsewhere."""

import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PACKAGE, STARTERS, BakedProject

SPACES = [
    ("Discrete(5)", "Discrete(2)"),
    ("Discrete(5)", "Box(0.0, np.inf, (2, 3))"),
    ("gym.spaces.Dict({'image': spaces.Box(0, 255, (84, 84, 3), np.uint8), 'speed': Discrete(9, start=-4)})", "Discrete(2)"),
    (
        "Dict({'position': Box(low=-1.0, high=1.0, shape=(3,), dtype=np.float32), 'lidar': Box(0.0, 30.0, (1080,), "
        "np.float32), 'inventory': Dict({'wood': Discrete(100), 'stone': MultiDiscrete([100, 100, 100]), 'notes': Text(20)})})",
        "MultiDiscrete([3, 3, 2])",
    ),
    ("Tuple((Discrete(2), MultiBinary(3)))", "Box(-1, +1, (1,), np.float64)"),
    ("Box(np.array([-20, -40, 0]), np.array([50, 50, 24]), dtype=np.float32)", "Box([-20, -40, 0], [50, 50, 24])"),
    ("Box(np.float32([-1, -2]), np.full(2, np.inf, np.float32))", "Box(low=-inf, high=float('inf'), shape=(2,), dtype='int32')"),
    ("Box(np.zeros((2, 2)), np.ones((2, 2)), dtype=float)", "MultiDiscrete(np.array([3, 4]), start=[-1, 0])"),
    ("Dict(angle=Box(-np.pi, 2 * np.pi), image=Box(0, 255, (8 * 8, 64, 3), uint8))", "Discrete(3, dtype=uint8, start=1)"),
]  # fmt: skip


@pytest.fixture(params=STARTERS)
def project(request: pytest.FixtureRequest) -> BakedProject:
    """Each starter, installed."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("tool", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=" ".join)
def test_tool_is_clean(project: BakedProject, tool: tuple[str, ...]) -> None:
    project.run("-m", *tool, check=True)


@pytest.mark.parametrize(("observation_space", "action_space"), SPACES)
def test_stub_is_clean_with_any_space(
    bake: Callable[..., BakedProject], observation_space: str, action_space: str
) -> None:
    project = bake(observation_space=observation_space, action_space=action_space)
    project.make_venv()
    assert "\nimport numpy as np\n" in project.read(f"src/{project.package}/env.py")  # used or not
    project.run("-m", "ruff", "check", check=True)
    project.run("-m", "ruff", "format", "--check", check=True)
    project.run("-m", "mypy", check=True)
    names = "from gymnasium.spaces import *; from gymnasium import spaces; import gymnasium as gym, numpy as np"
    answers = [re.sub(r"Box\((\[.*?\]), (\[.*?\])", r"Box(np.array(\1), np.array(\2)", answer)
               for answer in (observation_space, action_space)]  # fmt: skip
    code = f"""
{names}
from numpy import float64, inf, uint8
import {project.package} as p
env = gym.make(p.ENV_ID)
assert env.observation_space == {answers[0]}, env.observation_space
assert env.action_space == {answers[1]}, env.action_space
assert env.observation_space.sample() in env.observation_space and env.action_space.sample() in env.action_space
"""
    project.run("-c", code, check=True, PYTHONPATH="src")


def test_wheel_works_elsewhere(corridor: BakedProject, tmp_path: Path) -> None:
    corridor.run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), check=True)
    (wheel,) = tmp_path.glob("*.whl")
    elsewhere = BakedProject(tmp_path / "elsewhere", corridor.package)
    elsewhere.path.mkdir()
    elsewhere.make_venv()
    elsewhere.run("-m", "pip", "install", "--quiet", "--no-deps", str(wheel), check=True)
    report = elsewhere.command("check", check=True).stdout
    assert "0 errors" in report or "ok" in report.lower()


def test_wheel_holds_the_whole_kit(corridor: BakedProject, tmp_path: Path) -> None:
    corridor.run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith(f"{corridor.package}/kit/")}
        scripts = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt"))).decode()
    kit = PACKAGE / "kit"
    files = [path for path in kit.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert shipped == {f"{corridor.package}/kit/{path.relative_to(kit).as_posix()}" for path in files}
    assert {path.suffix for path in files} >= {".py", ".md", ""}  # README.md and VERSION too
    assert f"corridor-demo = {corridor.package}.__main__:main" in scripts


def test_command_of_the_projects_name_lists_the_commands(corridor: BakedProject) -> None:
    command = corridor.python.parent / "corridor-demo"
    done = subprocess.run([command, "check", "--json"], cwd=corridor.path, capture_output=True, text=True)
    assert json.loads(done.stdout)["ok"], done.stdout + done.stderr


def test_two_projects_in_one_environment_do_not_meet(bake: Callable[..., BakedProject]) -> None:
    first = bake(project_name="First Maze", starter="corridor").install()
    second = bake(project_name="Second Maze", starter="vector")
    arguments = ("--quiet", "--no-deps", "--no-build-isolation", "--editable")
    first.run("-m", "pip", "install", *arguments, str(second.path), check=True)
    code = """
import sys, gymnasium as gym
import first_maze, second_maze
for package in (first_maze, second_maze):
    env = gym.make(package.ENV_ID)
    env.reset(seed=0)
    assert type(env.unwrapped).__module__.startswith(package.__name__), env
    kit = sys.modules[type(package.TASK).__module__]
    assert kit.__name__.startswith(package.__name__ + ".kit"), kit
assert first_maze.TASK.env_class is not second_maze.TASK.env_class
gym.make_vec(second_maze.ENV_ID, num_envs=2).reset(seed=0)
assert "kit" not in sys.modules
"""
    first.run("-c", code, check=True)
    for package in ("first_maze", "second_maze"):
        assert json.loads(first.run("-m", package, "check", "--json", check=True).stdout)["ok"]


def test_environment_is_the_same_wherever_it_is_made(corridor: BakedProject) -> None:
    """By Gymnasium in a fresh process, by env_creator; each copy with the time limit, and a config of its own."""
    code = """
import gymnasium as gym
made = gym.make("corridor_demo:corridor_demo/CorridorDemo-v0")
from corridor_demo import ENV_ID, CorridorDemoEnv, env_creator
from corridor_demo.env import MAX_EPISODE_STEPS, REWARD_THRESHOLD, EnvConfig

class Context(dict):  # as RLlib's EnvContext: a dict with attributes
    worker_index = 2

for env in (made, gym.make(ENV_ID), env_creator(), env_creator({}), env_creator(Context())):
    assert type(env.unwrapped) is CorridorDemoEnv, env
    assert env.unwrapped.config == EnvConfig()
    assert (env.spec.max_episode_steps, env.spec.reward_threshold) == (MAX_EPISODE_STEPS, REWARD_THRESHOLD)

seen = []
gym.make = lambda *_, config, **__: seen.append(config) or made
config = Context(setting=[1])
env_creator(config)
env_creator(config)
seen[0]["setting"].append(2)
assert config["setting"] == seen[1]["setting"] == [1], "copies share their config"
assert seen[1].worker_index == 2
"""
    corridor.run("-c", code, check=True)


def edited(project: BakedProject, folder: Path, env: str, test: str = "") -> BakedProject:
    """Returns a copy of an installed project whose env.py and test_env.py go on with these texts."""
    copy = project.copy(folder)
    for file, more in ((copy.source / "env.py", env), (copy.path / "tests" / "test_env.py", test)):
        file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
    return copy


def lint(project: BakedProject) -> str:
    """Runs the commands of `make lint`, and returns what those say that fail."""
    lines = project.read("Makefile").split("\nlint:")[1].splitlines()[1:]
    commands = [line.removeprefix("\t$(VENV_PYTHON) ").split() for line in lines if line]
    hooks = re.findall(r"entry: \.venv/bin/python (.*)", project.read(".pre-commit-config.yaml"))
    assert [command[:3] for command in commands] == [["-m", "ruff", "check"], ["-m", "ruff", "format"], ["-m", "mypy"]]
    assert hooks[2].split() == commands[2]
    done = [project.run(*command) for command in [*commands, hooks[0].split()]]
    return "".join(one.stdout + one.stderr for one in done if one.returncode)


@pytest.mark.parametrize("starter", ["stub", "corridor"])
def test_lint_finds_errors_and_asks_for_no_annotations(
    request: pytest.FixtureRequest, tmp_path: Path, starter: str
) -> None:
    project: BakedProject = request.getfixturevalue(starter)
    helper = """
    def _obs(self):
        self.seen = None
        self.seen = np.zeros(1)
        self.path = []
        reward = 0
        reward = 0.5
        return self.seen.copy(), reward
"""
    test = "\n\ndef helper(env, steps=3):\n    return [env.step(0) for _ in range(steps)]\n"
    assert lint(edited(project, tmp_path / "helper", helper, test)) == ""
    wrong = helper + "\n    def _wrong(self):\n        return MAX_EPISODE_STEPS()\n"
    assert '"int" not callable' in lint(edited(project, tmp_path / "wrong", wrong))
    assert '"int" not callable' in lint(
        edited(project, tmp_path / "test", "", "\n\ndef wrong():\n    return len([])()\n")
    )


def test_lint_leaves_the_kit_alone(stub: BakedProject, tmp_path: Path) -> None:
    project = edited(stub, tmp_path, "")
    (project.source / "kit" / "extra.py").write_text("import os\ndef f( x ):\n  return 1()\n", encoding="utf-8")
    assert lint(project) == ""


def test_no_two_copies_in_any_env_runner_share_a_seed(corridor: BakedProject) -> None:
    code = """
import ray
from corridor_demo import TASK
from corridor_demo.kit.rllib.config import algorithm_config
from corridor_demo.kit.vectorization.settings import Vectorization

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
group = algorithm_config(TASK, Vectorization(2, 3, "sync"), seed=100).build_algo().env_runner_group
group.foreach_env_runner(lambda runner: runner.sample(num_timesteps=3), local_env_runner=False)
seeds = group.foreach_env_runner(
    lambda runner: [env.unwrapped.np_random_seed for env in runner.env.unwrapped.envs], local_env_runner=False
)
print(len({seed for copies in seeds for seed in copies}))
"""
    assert corridor.run("-c", code, check=True).stdout.split()[-1] == "6"
