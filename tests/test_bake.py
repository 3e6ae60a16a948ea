"""What is baked: exactly these files, whole and parseable, for every starter and every choice."""

import ast
import itertools
import json
from collections.abc import Callable

import pytest
import tomlkit
import yaml
from conftest import TEMPLATE, BakedProject

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
STARTERS, LICENSES = QUESTIONS["starter"], QUESTIONS["license"]
# Starters and licences don't interact: every starter once, the licences ride along.
CHOICES = [(STARTERS[i % len(STARTERS)], LICENSES[i % len(LICENSES)]) for i in range(max(len(STARTERS), len(LICENSES)))]

COMMON = {
    ".github/workflows/ci.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "vectorization.toml",
    "cluster/kuberay.yaml",
    "cluster/ray-up.yaml",
    "tests/test_contract.py",
    "tests/test_env.py",
    "tests/test_registration.py",
    "tests/test_training.py",
    "tests/test_vectorization.py",
}
MODULES = {
    "": "benchmark check cli config env evaluate policy ppo registration replay train vectorization",
    "adapters/": "actions encodings observations",
    "guard/": "failure mailbox spool vector watchdog",
    "rllib/": "env_runner learner networks normalization sampling",
    "run/": "cluster curve files interrupt loop options progress recovery run_folder status storage summary",
    "speed/": "fit grid measure pace",
}


@pytest.fixture(params=CHOICES, ids="-".join)
def baked(request: pytest.FixtureRequest, bake: Callable[..., BakedProject]) -> BakedProject:
    """A project with each starter and each licence."""
    starter, license_name = request.param
    return bake(starter=starter, license=license_name, project_name=f"Maze {license_name}")


def test_files_are_exactly_these(baked: BakedProject) -> None:
    checks = (TEMPLATE / "{{cookiecutter.project_slug}}/src/{{cookiecutter.__package_name}}/checks").glob("*.py")
    modules = {folder + name for folder, names in MODULES.items() for name in ("__init__", *names.split())}
    source = {f"src/{baked.package}/{name}.py" for name in modules}
    source |= {f"src/{baked.package}/checks/{path.name}" for path in checks}
    license_file = set() if "none" in baked.package else {"LICENSE"}
    assert baked.files() == COMMON | source | license_file


def test_nothing_of_the_template_is_left(baked: BakedProject) -> None:
    for name in baked.files():
        text = baked.read(name)
        assert "cookiecutter." not in name + text, name
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
    for path in itertools.chain(source.glob("src/**/*.py"), source.glob("starters/**/*.py"), source.glob("tests/*.py")):
        if "checks" in path.parts:
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


def test_readme_names_every_module(baked: BakedProject) -> None:
    readme = baked.read("README.md")
    for folder, names in MODULES.items():
        assert folder in readme
        for name in names.split():
            assert f"{name}.py" in readme, name
    for path in baked.path.glob("tests/*.py"):
        assert path.name in readme
