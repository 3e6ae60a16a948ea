"""The READMEs: their trees and tables are the real ones."""

import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from conftest import TEMPLATE, BakedProject
from kit.commands import COMMANDS
from kit.contract.judge import checks_of

README = (TEMPLATE / "README.md").read_text(encoding="utf-8")
UNNAMED = ("kit", "contract")  # the kit's own unit tests, beside the promises
FILE = re.compile(r"[\w.\-/]+/|[\w.\-/]*\.[\w\-.]+|Makefile|LICENSE")


def tree(text: str) -> set[str]:
    """Returns the paths in the first indented tree of a README, folders with a slash at the end."""
    (block,) = re.findall(r"```text\n((?:.*\n)*?.*  env\.py (?:.*\n)*?)```", text)
    folders: list[tuple[int, str]] = []
    found = set()
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        folders = [(depth, name) for depth, name in folders if depth < indent]
        words = line.split()
        names = words[: next((i for i, word in enumerate(words) if not FILE.fullmatch(word)), len(words))]
        base = "".join(name for _, name in folders)
        if names[0].endswith("/") and len(names) == 1 and len(words) == 1:
            folders.append((indent, names[0]))
        elif names[0].endswith("/"):
            found |= {base + names[0] + name for name in names[1:]} or {base + names[0]}
        else:
            found |= {base + name for name in names}
    return found


def real(project: BakedProject) -> set[str]:
    """Returns the paths of a project's files, the kit as one folder."""
    kit = f"src/{project.package}/kit/"
    return {kit if path.startswith(kit) else path for path in project.files()}


@pytest.fixture(scope="module")
def baked(bake: Callable[..., BakedProject]) -> BakedProject:
    return bake()


def test_tree_of_the_template_is_the_real_one(baked: BakedProject) -> None:
    assert {str(PurePosixPath(path).relative_to("my-environment")) for path in tree(README)} == {
        path.rstrip("/") for path in real(baked)
    }


def test_tree_of_the_project_is_the_real_one(baked: BakedProject) -> None:
    assert tree(baked.read("README.md")) | {"LICENSE"} == real(baked)


def rows(title: str) -> list[list[str]]:
    """Returns the cells of the template's table whose first cell is `title`."""
    table = README.split(f"\n| {title} |")[1].split("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_questions_and_starters_of_the_table_are_those_that_are_asked() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    named = [name for cell, *_ in rows("question") for name in re.findall(r"\w+", cell)]
    assert named == [name for name in questions if not name.startswith("_")]
    assert [name for name, _ in rows("starter")] == questions["starter"]


def test_ladder_has_ten_rungs_and_every_test_file_is_named() -> None:
    ladder = rows("rung")
    assert [rung for rung, *_ in ladder] == list("0123456789")
    there = {path.name: path for path in (TEMPLATE / "tests").glob("test_*.py")}
    assert [file for *_, file in ladder] == [f"tests/{name}" for name in sorted(there) if "_rung" in name]
    for rung, _, file in ladder:
        assert (TEMPLATE / file).read_text(encoding="utf-8").startswith(f'"""Rung {rung}: ')
    named = set(re.findall(r"`tests/(test_\w+\.py)`", README))
    assert named <= set(there)
    assert {name.split("_")[1].removesuffix(".py") for name in set(there) - named} <= set(UNNAMED)


def test_every_command_and_page_is_in_the_projects_readme(baked: BakedProject) -> None:
    readme = baked.read("README.md")
    pages = {path.stem for path in (baked.source / "kit" / "docs").glob("*.md")}
    assert set(re.findall(r"kit/docs/(\w+)\.md", readme)) == pages
    told = set(re.findall(rf"python -m {baked.package} (\w+)", readme + baked.manual("training")))
    assert told == set(COMMANDS)


def test_every_check_that_the_page_of_errors_names_is_one() -> None:
    silent = (TEMPLATE / "docs" / "errors.md").read_text(encoding="utf-8").partition("## What is silent")[2]
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`(?=[^|]*\|\n)", silent))
    assert len(named) > 10 and named - {"max_episode_steps"} <= set(checks_of(several=False))
