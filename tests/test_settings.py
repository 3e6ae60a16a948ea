"""What decides a run: given on the command line, kept in config.json, done again, resumed, compared."""

import csv
import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import BakedProject

slow = partial(pytest.param, marks=pytest.mark.slow)  # each loads RLlib before it can tell
SHORT = ("--max-env-steps", "4000", "--stop-return", "100")


@pytest.fixture(scope="module")
def project(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The worked example with one run, `first`, which its own config, numbers and seed were given to."""
    project = corridor.copy(tmp_path_factory.mktemp("set"))
    (project.path / "config.json").write_text('{"length": 6}')
    given = ("--config-file", "config.json", "--set", "lr=1e-3", "--set", "hidden_units=[16]", "--seed", "5")
    project.command("train", "--name", "first", *SHORT, *given, check=True)
    return project


@pytest.fixture(scope="module")
def kept(project: BakedProject) -> BakedProject:
    """The same with another run, `kept`, of other settings."""
    options = ("--set", "hidden_units=[16]", "--num-env-runners", "0")
    project.command("train", "--name", "kept", *SHORT, *options, check=True)
    return project


def saved(project: BakedProject, name: str) -> dict[str, Any]:
    """Returns what a run's config.json holds."""
    return dict(json.loads(project.read(f"runs/{name}/config.json")))


def rows(project: BakedProject, name: str) -> list[dict[str, str]]:
    """Returns the rows of progress.csv without what the clock says."""
    with Path(project.path, "runs", name, "progress.csv").open(newline="") as file:
        return [
            {k: v for k, v in row.items() if not k.startswith(("seconds", "steps_per"))} for row in csv.DictReader(file)
        ]


def test_config_json_holds_all_that_decides_a_run(project: BakedProject) -> None:
    config = saved(project, "first")
    assert config["env_config"] == {"length": 6}
    assert (config["ppo"]["lr"], config["ppo"]["hidden_units"], config["ppo"]["gamma"]) == (1e-3, [16], 0.995)
    assert config["options"]["config"] == {"length": 6}
    assert config["vectorization"]["num_envs_per_env_runner"] == 32
    assert {"ray", "gymnasium", "torch", "numpy", "corridor_demo"} <= config["versions"].keys()


def test_command_of_config_json_does_the_same_run_again(project: BakedProject) -> None:
    words = shlex.split(saved(project, "first")["command"])
    assert words[:4] == ["python", "-m", "corridor_demo", "train"]
    project.command(*words[3:], "--name", "again", check=True)
    assert rows(project, "again") == rows(project, "first")
    again, first = saved(project, "again"), saved(project, "first")
    assert again["ppo"] == first["ppo"] and again["env_config"] == first["env_config"]


def test_report_names_what_differs(kept: BakedProject) -> None:
    lines = kept.command("report", "first", "kept", check=True).stdout.splitlines()
    found = {line.split("  ")[0]: line.split()[1:] for line in lines[1:]}
    assert found["ppo.lr"] == ["0.001", "0.0003"]
    assert found["env_config.length"] == ["6", "10"]
    assert found["options.seed"] == ["5", "0"]
    assert "ppo.gamma" not in found and "options.stop_return" not in found


def test_resumed_run_keeps_its_settings_and_says_what_is_new(kept: BakedProject) -> None:
    options = ("--resume", "--set", "lr=1e-4", "--max-env-steps", "6000")
    done = kept.command("train", "--name", "kept", *options, check=True)
    assert "lr is 0.0001 now, the run was started with 0.0003" in done.stdout
    config = saved(kept, "kept")
    assert config["options"]["set"] == {"hidden_units": [16], "lr": 1e-4}
    assert config["options"]["stop_return"] == 100
    assert config["vectorization"]["num_env_runners"] == 0


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (
            "was trained with hidden_units = [16], now it is [8]: the weights don't fit. Go on with",
            ("hidden_units=[8]",),
        ),
        ("has 4,", ("lr=1e-4", "--max-env-steps", "1000")),
    ],
)
def test_resume_refuses_what_can_not_go_on(project: BakedProject, message: str, options: tuple[str, ...]) -> None:
    done = project.command("train", "--name", "first", "--resume", "--set", *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("--config: unknown key 'lenght' in config; did you mean 'length'?", ("--config", '{"lenght": 3}')),
        ("--config: length must be a whole number of at least 2 cells, got 1", ("--config", '{"length": 1}')),
        ("--config [1 can't be read as JSON", ("--config", "[1")),
        ("--config must be a JSON object", ("--config", "[1]")),
        ("--config-file nothing.json can't be read", ("--config-file", "nothing.json")),
        ("--set lrr: PPO has no such number; did you mean 'lr'?", ("--set", "lrr=3")),
        slow("--set: lr is 'fast'; write a number", ("--set", "lr='fast'")),
        slow("--set: hidden_units is 128; write a list", ("--set", "hidden_units=128")),
        ("expected NAME=VALUE such as lr=1e-4, got 'lr'", ("--set", "lr")),
    ],
)
def test_wrong_settings_are_refused_in_one_line(project: BakedProject, message: str, options: tuple[str, ...]) -> None:
    done = project.command("train", "--name", "wrong", *options)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not (project.path / "runs" / "wrong").exists()


BROKEN = [
    ("env.py", "    def step(self", "    def step(self,,", "env.py:79: SyntaxError: invalid syntax"),
    ("env.py", "import numpy as np", "import nmpy as np", "env.py:8: ModuleNotFoundError: No module named 'nmpy'"),
    ("env.py", "class CorridorDemoEnv", "class RenamedEnv", "cannot import name 'CorridorDemoEnv'"),
    ("env.py", "_CELL_PIXELS = 32", "_CELL_PIXELS = 32 / 0", "env.py:17: ZeroDivisionError: division by zero"),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), BROKEN)
def test_broken_module_is_said_once_in_one_line(
    bake: Callable[..., BakedProject], corridor: BakedProject, file: str, old: str, new: str, message: str
) -> None:
    project = bake(project_name="Corridor Demo", starter="corridor")
    path = project.source / file
    path.write_text(path.read_text().replace(old, new, 1))
    here = str(project.source.parent)
    for command in ("check", "train", "evaluate"):
        done = BakedProject.run(_with_python_of(project, corridor), "-m", project.package, command, PYTHONPATH=here)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("ERROR: src/corridor_demo/") and message in line
    tests = BakedProject.run(_with_python_of(project, corridor), "-m", "pytest", "-q", PYTHONPATH=here)
    assert tests.returncode == 2
    assert tests.stdout.count("ERROR collecting") == 1 and "Traceback" not in tests.stdout
    assert message in tests.stdout


def _with_python_of(project: BakedProject, other: BakedProject) -> BakedProject:
    """Gives a project that isn't installed the virtual environment of another one."""
    if not (project.path / ".venv").exists():
        (project.path / ".venv").symlink_to(other.path / ".venv")
    return project


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        slow("HIDDEN_UNITS = [64, 64]", "HIDDEN_UNITS = 128", "ppo.py: hidden_units is 128; write a list"),
        ("HIDDEN_UNITS = [64, 64]", "HIDDEN_UNITS = [64, 64", "ppo.py:5: SyntaxError: '[' was never closed"),
        slow("lr=3e-4", "lr='3e-4'", "ppo.py: lr is '3e-4'; write a number"),
        ("minibatch_size=512", "minibatch_size=4096", "ppo.py: `minibatch_size` (4096) must be <="),
        slow("gamma=0.995", "gama=0.995", "unexpected keyword argument 'gama'"),
    ],
)
def test_wrong_value_in_ppo_is_said_in_one_line(project: BakedProject, old: str, new: str, message: str) -> None:
    path = project.source / "ppo.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        done = project.command("train", "--name", "wrong")
    finally:
        path.write_text(text)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: src/corridor_demo/") and message in line
    assert not (project.path / "runs" / "wrong").exists()


def test_commands_are_listed_and_guessed(project: BakedProject) -> None:
    listed = project.run("-m", project.package, check=True).stdout
    for name in ("check", "train", "evaluate", "benchmark", "report", "replay", "sweep"):
        assert f"\n  {name} " in listed
    done = project.command("trian")
    assert (done.returncode, done.stderr) == (2, "ERROR: there is no command 'trian'; did you mean 'train'?\n")
