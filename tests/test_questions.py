"""The questions: asked in words, refused with a line that says what to write, and safe with any text."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomlkit
from conftest import TEMPLATE, BakedProject, bake_project
from cookiecutter.exceptions import CookiecutterException, FailedHookException

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
ASKED = [name for name in QUESTIONS if not name.startswith("_")]


@pytest.mark.parametrize("name", ASKED)
def test_every_question_is_asked_in_words_documented_and_used(name: str) -> None:
    prompt = QUESTIONS["__prompts__"][name]
    if isinstance(QUESTIONS[name], list):
        assert set(prompt) == {"__prompt__", *QUESTIONS[name]}
    assert f"`{name}`" in (TEMPLATE / "README.md").read_text(encoding="utf-8")
    sources = [p for p in TEMPLATE.rglob("*") if p.is_file() and ("hooks" in p.parts or "{{" in str(p.parent))]
    assert any(name in source.read_text(encoding="utf-8", errors="ignore") for source in sources)


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name.startswith("__") and name != "__prompts__"])
def test_every_derived_name_is_used(name: str) -> None:
    files = [path for path in (TEMPLATE / "{{cookiecutter.project_slug}}").rglob("*") if path.is_file()]
    texts = [str(path) + path.read_text(encoding="utf-8", errors="ignore") for path in files]
    derived = [str(value) for key, value in QUESTIONS.items() if key.startswith("__") and key != name]
    assert any(f"cookiecutter.{name}" in text for text in texts + derived)


def test_every_starter_and_license_is_a_folder() -> None:
    project = TEMPLATE / "{{cookiecutter.project_slug}}"
    assert {path.name for path in (project / "starters").iterdir()} == set(QUESTIONS["starter"])
    assert {path.name for path in (project / "licenses").iterdir()} | {"None"} == set(QUESTIONS["license"])


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"project_slug": "3d-maze"}, "project_slug '3d-maze' can't name a Python package"),
        ({"project_slug": "3d-maze"}, "Try env-3d-maze."),
        ({"project_slug": "My Env"}, "Try my-env."),
        ({"project_slug": "maze_"}, "Try maze."),
        ({"project_slug": "class"}, "'class' is the name of another Python module or a keyword. Try class-env."),
        ({"project_slug": "random"}, "Try random-env."),
        ({"project_slug": "torch"}, "Try torch-env."),
        ({"project_name": "  ", "project_slug": "maze"}, "project_name is empty"),
        ({"description": ""}, "description is empty"),
        ({"description": "two\nlines"}, "description 'two\\nlines' has a character that can't be printed"),
        ({"author_name": "\x1b[31m"}, "author_name"),
        ({"max_episode_steps": "0"}, "max_episode_steps '0' is not a whole number above 0. Try 200."),
        ({"max_episode_steps": "-5"}, "max_episode_steps '-5'"),
        ({"max_episode_steps": "1e3"}, "max_episode_steps '1e3'"),
        ({"max_episode_steps": "many"}, "max_episode_steps 'many'"),
        ({"observation_space": "Bx(0, 1, (4,))"}, "calls Bx, which is not a Gymnasium space (did you mean Box?)"),
        ({"observation_space": "Box(0, 1, (4,)"}, "is not a Python expression"),
        ({"observation_space": "Box(0, 1, (4,), np.float31)"}, "has np.float31, not a dtype (did you mean float32?)"),
        ({"observation_space": "Box(0, 1, (n,))"}, "has 'n'; it may hold spaces, numbers, strings"),
        ({"observation_space": "Box(0, 1, (2 * 3,))"}, "has '2 * 3'"),
        ({"observation_space": "Dict({**{}})"}, "unpacks a dict"),
        ({"observation_space": 'Text(5, charset="it\'s")'}, "has a quote or a backslash inside a string"),
        ({"action_space": "4"}, "is not a space; it has to be a call such as Discrete(2). Try Discrete(2)."),
        ({"action_space": "Discrete()"}, "calls Discrete without arguments"),
        ({"action_space": "__import__('os').system('touch hacked')"}, "which is not a Gymnasium space"),
        ({"action_space": "Discrete(exit())"}, "calls exit, which is not a Gymnasium space"),
        ({"action_space": "(lambda: Discrete(2))()"}, "which is not a Gymnasium space"),
        ({"action_space": ""}, "is not a Python expression"),
    ],
)
def test_bad_answer_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], answers: dict[str, str], message: str
) -> None:
    with pytest.raises(FailedHookException):
        bake_project(tmp_path, **answers)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("ERROR: ")]
    assert message in line
    assert re.search(r"\. Try .+\.$", line)
    assert list(tmp_path.iterdir()) == []


def test_all_bad_answers_are_named_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FailedHookException):
        bake_project(tmp_path, project_slug="3d", max_episode_steps="x", action_space="Discret(2)")
    assert capfd.readouterr().err.count("ERROR: ") == 3


def test_empty_slug_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CookiecutterException):
        bake_project(tmp_path, project_name="!!!")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "my-environment" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")
    with pytest.raises(CookiecutterException):
        bake_project(tmp_path)
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]


NASTY = [
    'It says "hello", it\'s 100 % \\fun\\ & <b>bold</b>',
    "Café Robot für Größe, 機械学習",
    '"""; import os; os.system("touch hacked"); """',
    "${HOME} $(touch hacked) `touch hacked`",
    "trailing backslash \\",
    'ends with a quote "',
]


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_survives_as_text(bake: Callable[..., BakedProject], text: str) -> None:
    project = bake(description=text, author_name=text)
    described = tomlkit.parse(project.read("pyproject.toml")).unwrap()["project"]
    assert described["description"] == text
    assert described["authors"] == [{"name": text}]
    assert text in project.read("README.md")
    assert text in project.read("LICENSE")
    namespace: dict[str, str] = {}
    first = project.read(f"src/{project.package}/__init__.py").split("\n\n")[0]
    exec(compile(first, "docstring", "exec"), namespace)
    assert namespace["__doc__"] == text
    assert not list(project.path.parent.rglob("hacked"))


def test_typed_answers_are_text_even_if_they_look_like_jinja(tmp_path: Path) -> None:
    """At the prompts, as a person types; an answer that is given as a default is rendered by cookiecutter itself."""
    typed = ["Maze", "", "{{ 7 * 7 }} {% raw %}", "{{ cookiecutter }}", "4", "1", "", "", "50"]
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--output-dir", str(tmp_path)],
        input="\n".join([*typed, ""]),
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pyproject = tomlkit.parse((tmp_path / "maze" / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    assert pyproject["project"]["description"] == "{{ 7 * 7 }} {% raw %}"
    assert pyproject["project"]["authors"] == [{"name": "{{ cookiecutter }}"}]
    assert not (tmp_path / "maze" / "LICENSE").exists()
    assert "What do you start from?" in done.stdout
    assert "make setup" in done.stdout


@pytest.mark.parametrize(
    ("name", "slug", "class_name", "env_id"),
    [
        ("My Environment", "my-environment", "MyEnvironment", "my_environment/MyEnvironment-v0"),
        ("Cart Pole", "cart-pole", "CartPoleEnv", "cart_pole/CartPole-v0"),
        ("Warehouse Env", "warehouse-env", "WarehouseEnv", "warehouse_env/WarehouseEnv-v0"),
        ("Café Robot 2", "cafe-robot-2", "CafeRobot2Env", "cafe_robot_2/CafeRobot2-v0"),
    ],
)
def test_names_derive_from_the_name(
    bake: Callable[..., BakedProject], name: str, slug: str, class_name: str, env_id: str
) -> None:
    project = bake(project_name=name)
    assert project.path.name == slug
    assert f"class {class_name}(gym.Env" in project.read(f"src/{project.package}/env.py")
    assert f'ENV_ID = "{env_id}"' in project.read(f"src/{project.package}/registration.py")
