"""The READMEs: their trees are the real ones."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from conftest import TEMPLATE, BakedProject
from kit.contract.judge import checks_of

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
    text = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    assert {str(PurePosixPath(path).relative_to("my-environment")) for path in tree(text)} == {
        path.rstrip("/") for path in real(baked)
    }


def test_tree_of_the_project_is_the_real_one(baked: BakedProject) -> None:
    assert tree(baked.read("README.md")) | {"LICENSE"} == real(baked)


def test_every_check_that_the_page_of_errors_names_is_one() -> None:
    silent = (TEMPLATE / "docs" / "errors.md").read_text(encoding="utf-8").partition("## What is silent")[2]
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`(?=[^|]*\|\n)", silent))
    assert len(named) > 10 and named - {"max_episode_steps"} <= set(checks_of(several=False))
