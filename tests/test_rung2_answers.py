"""Rung 2: a bad answer is refused with a line that says what to write, and leaves nothing; any text survives as text."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from conftest import TEMPLATE, BakedProject, bake_project
from cookiecutter.exceptions import CookiecutterException, FailedHookException


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
        ({"project_slug": "pygame"}, "Try pygame-env."),
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
        (
            {"observation_space": "Box(0, 1, (4,), np.float31)"},
            "has np.float31, which is no dtype (did you mean float32?)",
        ),
        ({"observation_space": "Box(0, 1, (n,))"}, "has n, which is no dtype"),
        ({"observation_space": "Box(0, 1, (2 ** 3,))"}, "has '2 ** 3'; it may hold spaces, numbers, strings"),
        (
            {"observation_space": "Box(-20, 50, 3)"},
            "has Box(shape=3); shape has to be a tuple of whole numbers above 0",
        ),
        ({"observation_space": "Box(1, 0, (3,))"}, "has low 1 above high 0"),
        ({"observation_space": "Box(-1, 255, (3,), uint8)"}, "has low -1; uint8 holds whole numbers from 0 to 255"),
        (
            {"observation_space": "Box([0, 0, 0], 1, (2,))"},
            "has bounds of shape (3,) for a Box of shape (2,), not the same",
        ),
        ({"observation_space": "Box(0, 1, dtyp=int)"}, "gives Box dtyp (did you mean dtype?)"),
        ({"observation_space": "Box(0)"}, "calls Box without high"),
        (
            {"observation_space": "Box(0, 1, (2,), int, 0, 0)"},
            "gives Box 6 arguments in a row; it takes low, high, shape",
        ),
        ({"observation_space": "Dict({'a': MultiBinary(0)})"}, "n has to be a whole number above 0 or a tuple of them"),
        ({"action_space": "Discrete(0)"}, "has Discrete(n=0); n has to be a whole number above 0"),
        ({"action_space": "Discrete(3.5)"}, "has Discrete(n=3.5); n has to be a whole number above 0"),
        ({"action_space": "Discrete(3, 1)"}, "seed has to be left out"),
        ({"action_space": "MultiDiscrete([])"}, "nvec has to be a list of whole numbers above 0"),
        ({"action_space": "MultiDiscrete([2, 0])"}, "nvec has to be a list of whole numbers above 0"),
        ({"action_space": "Tuple(Discrete(2), Discrete(3))"}, "spaces has to be a tuple of spaces"),
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
    tmp_path: Path, answers: dict[str, str], message: str
) -> None:
    with pytest.raises(FailedHookException) as caught:
        bake_project(tmp_path, **answers)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("ERROR: ")
    assert message in line
    assert re.search(r"\. Try .+\.$", line)
    assert list(tmp_path.iterdir()) == []


def test_all_bad_answers_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FailedHookException) as caught:
        bake_project(tmp_path, project_slug="3d", max_episode_steps="x", action_space="Discret(2)")
    assert [line.split()[:2] for line in str(caught.value).splitlines()] == [
        ["ERROR:", "project_slug"],
        ["ERROR:", "max_episode_steps"],
        ["ERROR:", "action_space"],
    ]


def test_refused_without_a_terminal_prints_its_line_only(tmp_path: Path) -> None:
    done = cookiecutter_command(tmp_path, "--no-input", "action_space=Discrete(0)")
    assert done.returncode == 1
    assert done.stdout + done.stderr == (
        "ERROR: action_space 'Discrete(0)' has Discrete(n=0); n has to be a whole number above 0. Try Discrete(2).\n"
    )
    assert not (tmp_path / "my-environment").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_only_bad_answers_are_asked_again(tmp_path: Path) -> None:
    """In a terminal, as a person types: each bad answer again, until it is good, and no other."""
    import pty

    typed = ["Maze", "3d", "", "", "", "", "Box(-20, 50, 3)", "Discrete(0)", ""]
    again = ["", "Box([-20, 0], [50, 24])", "Discrete(0.5)", "Discrete(3)"]
    ours, theirs = pty.openpty()
    os.write(ours, "".join(f"{line}\n" for line in typed + again).encode())
    done = cookiecutter_command(tmp_path, stdin=theirs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ERROR: ") == 4
    assert "Traceback" not in done.stdout + done.stderr
    env = (tmp_path / "env-3d" / "src" / "env_3d" / "env.py").read_text(encoding="utf-8")
    assert "spaces.Box(np.array([-20, 0], np.float32), np.array([50, 24], np.float32))" in env
    assert "spaces.Discrete(3)" in env


def test_hook_refuses_what_a_replay_file_holds(tmp_path: Path) -> None:
    """Replayed answers are rendered no more: the hook looks at them."""
    cookiecutter_command(tmp_path, "--no-input", check=True)
    (file,) = tmp_path.glob(".cookiecutter_replay/*.json")
    file.write_text(file.read_text().replace("Discrete(2)", "Discrete(0)").replace("my-environment", "other"))
    done = cookiecutter_command(tmp_path, "--replay-file", str(file))
    assert done.returncode == 1
    assert "n has to be a whole number above 0" in done.stderr
    assert not (tmp_path / "other").exists()


def cookiecutter_command(
    folder: Path, *arguments: str, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs `cookiecutter TEMPLATE` into `folder`, with no settings of the user's."""
    line = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--output-dir", str(folder), *arguments]
    environment = os.environ | {"HOME": str(folder), "COLUMNS": "200"}
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=check, **options)


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
    done = cookiecutter_command(tmp_path, input="\n".join([*typed, ""]))
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
