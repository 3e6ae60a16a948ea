"""The commands used wrongly: one line that says what is wrong and what to do, exit code 2, nothing overwritten."""

from pathlib import Path

import pytest
from conftest import BakedProject

COMMANDS = ("check", "train", "evaluate", "play", "export", "serve", "benchmark", "sweep", "add")


@pytest.fixture(scope="module")
def corridor(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The worked example, in which nobody has trained yet."""
    return corridor.copy(tmp_path_factory.mktemp("commands"))


def assert_refused(project: BakedProject, message: str, *command: str, code: int = 2) -> None:
    """Runs a command, and asserts that it ends with `code` and one line that has `message` in it."""
    done = project.command(*command)
    assert done.returncode == code, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


@pytest.mark.parametrize("name", COMMANDS)
def test_help_starts_at_once_and_without_ray(corridor: BakedProject, name: str) -> None:
    code = (
        f"import runpy, sys; sys.argv = ['', '{name}', '--help'];"
        f"runpy.run_module('{corridor.package}', run_name='__main__')"
    )
    done = corridor.run("-X", "importtime", "-c", code, check=True)
    assert "usage: " in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"ray", "torch", "matplotlib", "scipy"}


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ("unrecognized arguments: --sed 3", ("train", "--sed", "3")),
        ("argument --seed: expected a whole number of at least 0, got 'x'", ("train", "--seed", "x")),
        ("argument --max-env-steps: expected a whole number of at least 1", ("train", "--max-env-steps", "0")),
        ("argument --max-seconds: expected a number of seconds above 0", ("train", "--max-seconds", "-1")),
        ("argument --stop-return: expected a number, got 'nan'", ("train", "--stop-return", "nan")),
        ("write one without a slash", ("train", "--name", "../elsewhere")),
        ("num_env_runners = 1000, but there are", ("train", "--num-env-runners", "1000")),
        ("--num-envs-per-env-runner: num_envs_per_env_runner = 0 is not", ("train", "--num-envs-per-env-runner", "0")),
        ('write "sync", "async"', ("train", "--vectorize-mode", "SYNC")),
        ("its class is no VectorEnv; write", ("train", "--vectorize-mode", "vector_entry_point")),
        ("argument --seconds: expected a number of seconds above 0, got '0'", ("benchmark", "--seconds", "0")),
        ("unrecognized arguments: --fast", ("benchmark", "--fast")),
        ("there is no run", ("train", "--resume", "--name", "nothing-here")),
        ("there is no run", ("evaluate",)),
        ("there is no run 'nothing-here', nor any other", ("export", "nothing-here")),
        ("there is no run 'nothing-here', nor any other", ("evaluate", "nothing-here")),
        ("argument --episodes: expected a whole number of at least 2", ("evaluate", "--episodes", "1")),
    ],
)
def test_wrong_use_is_refused(corridor: BakedProject, message: str, command: tuple[str, ...]) -> None:
    assert_refused(corridor, message, *command)
    assert not (corridor.path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_env_runners = -1", "vectorization.toml: num_env_runners = -1 is not allowed; write a whole number"),
        ("num_workers = 2", "vectorization.toml: unknown key 'num_workers'"),
        ("num_env_runners: 2", "vectorization.toml is not valid TOML"),
    ],
)
def test_wrong_toml_is_refused(corridor: BakedProject, tmp_path: Path, text: str, message: str) -> None:
    project = corridor.copy(tmp_path)
    (project.path / "vectorization.toml").write_text(text)
    for command in ("train", "benchmark"):
        assert_refused(project, message, command)
