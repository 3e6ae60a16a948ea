"""Rung 4: a baked project's own tests pass, for every starter and under new names, and leave a clean tree."""

import re
import subprocess
from collections.abc import Callable

import pytest
from conftest import STARTERS, BakedProject


@pytest.mark.parametrize("starter", STARTERS)
def test_own_tests_are_green_and_git_sees_a_clean_tree(request: pytest.FixtureRequest, starter: str) -> None:
    """What the tests and ruff leave behind is ignored."""
    project: BakedProject = request.getfixturevalue(starter)
    subprocess.run(["git", "init", "--quiet"], cwd=project.path, check=True)
    subprocess.run(["git", "add", "."], cwd=project.path, check=True)
    project.run("-m", "pytest", "-q", check=True)
    project.run("-m", "ruff", "check", check=True)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=project.path, capture_output=True, text=True)
    assert all(line.startswith("A  ") for line in status.stdout.splitlines()), status.stdout


def test_renaming_as_the_readme_says_works(bake: Callable[..., BakedProject]) -> None:
    """The three lines of the README, done by a script: what each names is replaced in all files but the kit's."""
    project = bake(project_name="Old Maze", starter="corridor")
    section = project.read("README.md").split("**How do I rename things?**")[1].split("\n\n")[0]
    (name, env_id), (package,), (slug, pyproject) = (
        [word for word in re.findall(r"`(.*?)`", line) if " " not in word and not word.endswith("/")]
        for line in section.splitlines()[1:]
    )
    assert (name, env_id, package, slug, pyproject) == (
        "OldMazeEnv", "old_maze/OldMaze-v0", "old_maze", "old-maze", "pyproject.toml"
    )  # fmt: skip
    new = {env_id: "new_maze/Harder-v1", name: "HarderEnv", package: "new_maze"}
    for file in project.path.rglob("*"):
        if file.is_file() and "kit" not in file.parts:
            text = file.read_text(encoding="utf-8")
            for old, word in new.items():
                text = text.replace(old, word)
            file.write_text(text.replace(slug, "new-maze") if file.name == pyproject else text, encoding="utf-8")
    (project.path / "src" / package).rename(project.path / "src" / "new_maze")
    renamed = BakedProject(project.path, "new_maze").install()
    renamed.run("-m", "pytest", "-q", check=True)
    code = "import gymnasium as gym; print(gym.make('new_maze:new_maze/Harder-v1').unwrapped)"
    assert "HarderEnv" in renamed.run("-c", code, check=True).stdout
    assert (renamed.python.parent / "new-maze").exists()
