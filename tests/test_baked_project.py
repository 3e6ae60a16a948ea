"""A baked project is clean as baked: style, format, types, its own tests, and a wheel that works elsewhere."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BakedProject

SPACES = [
    ("Discrete(5)", "Box(0.0, np.inf, (2, 3))"),
    ("gym.spaces.Dict({'image': spaces.Box(0, 255, (84, 84, 3), np.uint8), 'speed': Discrete(9, start=-4)})", "Discrete(2)"),
    (
        "Dict({'position': Box(low=-1.0, high=1.0, shape=(3,), dtype=np.float32), 'lidar': Box(0.0, 30.0, (1080,), "
        "np.float32), 'inventory': Dict({'wood': Discrete(100), 'stone': MultiDiscrete([100, 100, 100]), 'notes': Text(20)})})",
        "MultiDiscrete([3, 3, 2])",
    ),
    ("Tuple((Discrete(2), MultiBinary(3)))", "Box(-1, +1, (1,), np.float64)"),
]  # fmt: skip


@pytest.fixture(params=["corridor", "stub", "vector"])
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
    project = bake(observation_space=observation_space, action_space=action_space).install()
    project.run("-m", "ruff", "check", check=True)
    project.run("-m", "ruff", "format", "--check", check=True)
    code = f"import gymnasium as gym, {project.package} as p; env = gym.make(p.ENV_ID); print(env.observation_space)"
    shown = project.run("-c", code, check=True).stdout.strip()
    names = "from gymnasium.spaces import *; from gymnasium import spaces; import gymnasium as gym, numpy as np"
    assert shown == project.run("-c", f"{names}; print({observation_space})", check=True).stdout.strip()


def test_own_tests_are_green(project: BakedProject) -> None:
    project.run("-m", "pytest", "-q", check=True)


def test_wheel_works_elsewhere(corridor: BakedProject, tmp_path: Path) -> None:
    corridor.run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), check=True)
    (wheel,) = tmp_path.glob("*.whl")
    elsewhere = BakedProject(tmp_path / "elsewhere", corridor.package)
    elsewhere.path.mkdir()
    elsewhere.make_venv()
    elsewhere.run("-m", "pip", "install", "--quiet", "--no-deps", str(wheel), check=True)
    report = elsewhere.command("check", check=True).stdout
    assert "0 errors" in report or "ok" in report.lower()


def test_git_sees_a_clean_tree_after_a_run(corridor: BakedProject) -> None:
    """What the tools and the commands leave behind is ignored."""
    subprocess.run(["git", "init", "--quiet"], cwd=corridor.path, check=True)
    subprocess.run(["git", "add", "."], cwd=corridor.path, check=True)
    corridor.run("-m", "pytest", "-q", check=True)
    corridor.run("-m", "ruff", "check", check=True)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=corridor.path, capture_output=True, text=True)
    assert all(line.startswith("A  ") for line in status.stdout.splitlines()), status.stdout
