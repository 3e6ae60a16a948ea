"""Systems, Pythons and versions: what the workflows try, what is pinned, and what goes without make."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from conftest import TEMPLATE, BakedProject, clean_environment

OWN = TEMPLATE / ".github" / "workflows"
WORKFLOWS = [*OWN.glob("*.yml"), TEMPLATE / "{{cookiecutter.project_slug}}" / ".github" / "workflows" / "ci.yml"]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def baked(bake: Callable[..., BakedProject]) -> BakedProject:
    return bake()


def test_workflows_are_pinned_end_in_time_and_may_only_read() -> None:
    actions = set()
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        workflow = yaml.safe_load(text)
        actions |= set(re.findall(r"uses: (.*)", text))
        assert workflow["permissions"] == {"contents": "read"} and workflow["concurrency"]["cancel-in-progress"], path
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"] <= 180 and "permissions" not in job, path
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in actions), actions
    assert len({action.partition("@")[0] for action in actions}) == len(actions), "one action in two versions"


def test_each_python_that_ray_supports_is_tried_the_outermost_on_each_system(baked: BakedProject) -> None:
    python = tomlkit.parse(baked.read("pyproject.toml")).unwrap()["project"]["requires-python"]
    low, end = map(int, re.findall(r"3\.(\d+)", python))
    text = (OWN / "ci.yml").read_text(encoding="utf-8")
    assert {int(minor) for minor in re.findall(r'"3\.(\d+)"', text)} == set(range(low, end))
    matrix = yaml.safe_load(text)["jobs"]["project"]["strategy"]["matrix"]
    assert matrix["python-version"] == [f"3.{low}", f"3.{end - 1}"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert {"python-version": f"3.{low}", "resolution": "lowest-direct"}.items() <= matrix["include"][0].items()


def made(project: BakedProject, *arguments: str) -> list[str]:
    """Returns the commands that make would run, as one types them in the project's environment."""
    line = ["make", "--dry-run", "PYTHON=python", *arguments]
    shown = subprocess.run(
        line, cwd=project.path, capture_output=True, text=True, check=True, env=clean_environment()
    ).stdout
    lines = shown.replace(".venv/bin/", "").replace(" --quiet", "").splitlines()
    return [line.strip() for line in lines if not line.startswith("touch")]


def test_each_target_of_make_is_a_line_to_type(baked: BakedProject) -> None:
    """The table in the project's README names all targets, and what each of them runs."""
    typed = dict(re.findall(r"(?m)^\| `make ([\w-]+)` \| (.*) \|$", baked.read("README.md")))
    assert list(typed) == re.findall(r"(?m)^([\w-]+):(?!=)", baked.read("Makefile"))
    for target, line in typed.items():
        commands = made(baked, target, *(() if target == "setup" else ("--old-file=.venv/.ready",)))
        assert commands and all(f"`{command}`" in line for command in commands), (target, commands)


def test_setup_installs_what_is_locked(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Locked")
    (project.path / "uv.lock").touch()
    assert made(project, "setup") == ["uv sync"]


def locked(project: BakedProject, *options: str) -> dict[str, list[dict[str, Any]]]:
    """Returns what uv locks for a project, by name; asks PyPI."""
    done = subprocess.run([UV, "lock", *options], cwd=project.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomlkit.parse(project.read("uv.lock")).unwrap()["package"]:
        packages.setdefault(package["name"], []).append(package)
    return packages


@pytest.mark.slow
def test_one_lock_with_hashes_serves_each_system_and_python(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Locked")
    packages = locked(project)
    wheels = [wheel for versions in packages.values() for package in versions for wheel in package.get("wheels", ())]
    assert len(wheels) > 1000 and all(wheel["hash"].startswith("sha256:") for wheel in wheels)
    names = " ".join(wheel["url"] for wheel in packages["ray"][0]["wheels"])
    for system in ("manylinux", "macosx", "win_amd64"):
        found = re.findall(rf"-cp3(\d+)-\w+-{system}", names)
        assert sorted(set(map(int, found))) == [10, 11, 12, 13, 14], system
    line = [str(UV), "export", "--frozen"]
    shown = subprocess.run(line, cwd=project.path, capture_output=True, text=True, check=True).stdout
    assert "ray==2.60.0" in shown and "pytest==9.2" in shown  # the tools that `make setup` installs, too


@pytest.mark.slow
def test_lowest_versions_go_together(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Lowest")
    packages = locked(project, "--resolution", "lowest-direct")
    named = tomlkit.parse(project.read("pyproject.toml")).unwrap()["project"]["dependencies"]
    for name, low in (re.findall(r"[\w.-]+", one) for one in named if ">=" in one):
        assert any(package["version"].startswith(low) for package in packages[name.lower()]), name
