"""Rung 1: every starter and every choice bakes exactly these files, whole and parseable, with nothing left over."""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomlkit
import yaml
from conftest import PACKAGE, STARTERS, TEMPLATE, BakedProject, clean_environment

LICENSES = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["license"]
# Starters and licences don't interact: every starter once, the licences ride along.
CHOICES = [(STARTERS[i % len(STARTERS)], LICENSES[i % len(LICENSES)]) for i in range(max(len(STARTERS), len(LICENSES)))]

COMMON = {
    ".github/workflows/ci.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".template.json",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "vectorization.toml",
    "cluster/kuberay.yaml",
    "cluster/ray-up.yaml",
    "tests/test_contract.py",
    "tests/test_env.py",
    "tests/test_training.py",
}
OWN = "__init__ __main__ check env ppo registration train".split()  # modules of the package beside the kit
ADDED = {"external": ("simulator.py",), "multi_agent": ("policies.py",)}  # to the package, by starters
MOST_OWN_LINES = 350  # of the stub's package and tests together, without the kit
PAGE = 66  # lines of code, comments and docstrings; env.py's class docstring, the specification, doesn't count
# What tools leave behind wherever they run.
LITTER = ("__pycache__/env.cpython-311.pyc", ".mypy_cache/3.11/a.json", ".pytest_cache/v/b", ".ruff_cache/0/c", "d.pyc")


@pytest.fixture(params=CHOICES, ids="-".join)
def baked(request: pytest.FixtureRequest, bake: Callable[..., BakedProject]) -> BakedProject:
    """A project with each starter and each licence."""
    starter, license_name = request.param
    return bake(starter=starter, license=license_name, project_name=f"{starter} {license_name}")


def kit_files(package: Path) -> dict[str, str]:
    """Returns the kit's files, with the hash of what is in them."""
    paths = [path for path in (package / "kit").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def promised_files(package: str) -> set[str]:
    """Returns the files of a project with a licence."""
    source = {f"src/{package}/{name}" for name in (*(f"{name}.py" for name in OWN), *kit_files(PACKAGE))}
    return COMMON | source | {"LICENSE"}


def test_files_are_exactly_these(baked: BakedProject, request: pytest.FixtureRequest) -> None:
    starter, _ = request.node.callspec.params["baked"]
    license_file = {"LICENSE"} if "none" in baked.package else set()
    added = {f"src/{baked.package}/{name}" for name in ADDED.get(starter, ())}
    assert baked.files() == promised_files(baked.package) - license_file | added


def test_kit_is_the_same_in_every_project(baked: BakedProject) -> None:
    """Whatever the answers and the starter; and the same as in the template, where its own tests run."""
    assert kit_files(baked.source) == kit_files(PACKAGE)


def test_kit_is_linted_where_it_lies() -> None:
    """`make lint` of the template itself has ruff and mypy look at every module of the kit."""
    shown = subprocess.run(
        ["make", "-n", "lint", "VENV_PYTHON=python"],
        cwd=TEMPLATE,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    (command,) = [shlex.split(line) for line in shown.stdout.splitlines() if "ruff check --config" in line]
    line = [sys.executable, *command[1:], "--show-files"]
    seen = subprocess.run(line, cwd=TEMPLATE, capture_output=True, text=True, check=True).stdout
    assert {Path(name) for name in seen.splitlines()} == set((PACKAGE / "kit").rglob("*.py"))
    mypy = tomlkit.parse((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8")).unwrap()["tool"]["mypy"]
    assert mypy["disallow_untyped_defs"]
    assert any((TEMPLATE / name).samefile(PACKAGE / "kit") for name in mypy["files"])


def test_litter_of_tools_in_the_template_is_not_baked(tmp_path: Path) -> None:
    template = tmp_path / "template"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
    shutil.copytree(TEMPLATE, template, ignore=ignored)
    project = template / "{{cookiecutter.project_slug}}"
    for folder in [path for path in project.rglob("*") if path.is_dir()] + [project, template / "hooks"]:
        for name in LITTER:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"\xcb\r\r\n\x00{{ nothing.at_all }} {% \xff")
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "--output-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert BakedProject(tmp_path / "my-environment", "").files() == promised_files("my_environment")


def test_own_room_of_a_stub_is_a_few_pages(bake: Callable[..., BakedProject]) -> None:
    project = bake(starter="stub")
    files = [*project.source.glob("*.py"), *project.path.glob("tests/*.py")]
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert sum(lines.values()) <= MOST_OWN_LINES, lines
    (environment,) = [node for node in ast.walk(ast.parse(project.read(f"src/{project.package}/env.py")))
                      if isinstance(node, ast.ClassDef) and node.name.endswith("Environment")]  # fmt: skip
    lines["env.py"] -= len((ast.get_docstring(environment, clean=False) or "").splitlines())
    assert max(lines.values()) <= PAGE, lines


def test_nothing_of_the_template_is_left(baked: BakedProject) -> None:
    for name in baked.files():
        text = baked.read(name)
        assert "cookiecutter." not in (name + text).replace("cookiecutter.json", ""), name
        assert "{%" not in text, name
        assert str(TEMPLATE) not in text, name
        assert text.endswith("\n") and not text.endswith("\n\n"), name


def test_every_file_parses(baked: BakedProject) -> None:
    parsers = {".py": ast.parse, ".toml": tomlkit.parse, ".yml": yaml.safe_load, ".yaml": yaml.safe_load}
    for name in baked.files():
        suffix = "." + name.rpartition(".")[2]
        if suffix in parsers:
            assert parsers[suffix](baked.read(name)) is not None, name


def test_template_files_parse_unrendered() -> None:
    project = TEMPLATE / "{{cookiecutter.project_slug}}"
    tomlkit.parse((project / "pyproject.toml").read_text(encoding="utf-8"))
    for hook in (TEMPLATE / "hooks").glob("*.py"):
        ast.parse(hook.read_text(encoding="utf-8"))
    for source in project.rglob("*.py"):
        assert "{%" not in source.read_text(encoding="utf-8"), source


def test_source_has_only_names_of_the_template() -> None:
    """Jinja in source is a name or an answer: no filters, no logic."""
    source = TEMPLATE / "{{cookiecutter.project_slug}}"
    for path in source.rglob("*.py"):
        if "kit" in path.parts:
            continue  # copied as it is
        for part in path.read_text(encoding="utf-8").split("{{")[1:]:
            assert part.split("}}")[0].strip().removeprefix("cookiecutter.").replace("_", "a").isalnum(), path


def test_files_and_functions_are_short(baked: BakedProject) -> None:
    """The numbers of the README: no file of the package over 200 lines, no function over 40."""
    for path in baked.source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 200, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{path}: {node.name}"


def test_targets_of_the_makefile_pass_options_on(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Maze")
    for target, command in {
        "test": "-m pytest",
        "check": "-m maze check",
        "train": "-m maze train",
        "evaluate": "-m maze evaluate",
        "tensorboard": ".venv/bin/tensorboard --logdir runs",
    }.items():
        line = ["make", "-n", target, "ARGS=--name x"]
        shown = subprocess.run(
            line, cwd=project.path, capture_output=True, text=True, check=True, env=clean_environment()
        ).stdout
        assert shown.splitlines()[-1].endswith(f"{command} --name x")
    assert "`make tensorboard`" in project.read("README.md")
    extras = tomlkit.parse(project.read("pyproject.toml")).unwrap()["project"]["optional-dependencies"]
    assert any(name.startswith("tensorboard>") for name in extras["dev"])
    assert '".[dev]"' in project.read("Makefile")


def test_cluster_files_say_commands_that_exist(bake: Callable[..., BakedProject]) -> None:
    """Ray's own, this project's, and files that are there."""
    from ray.scripts.scripts import cli

    project = bake(project_name="Maze")
    text = project.read("cluster/ray-up.yaml") + project.read("cluster/kuberay.yaml") + project.manual("training")
    commands = set(re.findall(r"(?m)^(?:# +|  - |    )?ray ([a-z][a-z-]*)", text))
    assert {"up", "exec", "rsync-down", "down", "start", "job"} <= commands <= set(cli.commands)
    for name in re.findall(r"cluster/[\w-]+\.yaml", text):
        assert (project.path / name).exists()
    for command in re.findall(r"python -m (\S+) train", text):
        assert command == "maze"
    assert "README" not in project.read("cluster/ray-up.yaml") + project.read("cluster/kuberay.yaml")
