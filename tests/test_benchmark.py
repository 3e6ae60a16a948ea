"""The command `benchmark`: what it measures, prints, draws and writes, and how it ends when something is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from conftest import BakedProject, clean_environment

KEYS = ("num_env_runners", "num_envs_per_env_runner", "gym_env_vectorize_mode")


@pytest.fixture(scope="module")
def project(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The worked example, whose vectorization.toml the tests may change."""
    return corridor.copy(tmp_path_factory.mktemp("measured"))


def setting(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of a row that can stand in vectorization.toml."""
    return {key: row[key] for key in KEYS}


def test_json_is_one_object_and_write_keeps_the_comments(project: BakedProject) -> None:
    before = project.read("vectorization.toml")
    options = ("--json", "--seconds", "0.05", "--config", '{"length": 6}')
    done = project.run(*project.typed("benchmark --write"), *options, check=True)
    report = json.loads(done.stdout)
    assert done.stderr == ""
    rows = report["settings"]
    modes = {(row["num_env_runners"] > 0, row["gym_env_vectorize_mode"]) for row in rows}
    assert {(False, "sync"), (False, "async")} <= modes
    assert len(modes) == (4 if report["cpus"] > 1 else 2)
    speeds = [row["steps_per_second"] for row in rows]
    assert speeds == sorted(speeds, reverse=True) and speeds[-1] > 0
    assert all(row["num_envs_per_env_runner"] * max(1, row["num_env_runners"]) <= 64 for row in rows)
    assert report["best"] in rows and report["auto"] in rows
    assert report["auto_of_best"] == pytest.approx(
        report["auto"]["steps_per_second"] / report["best"]["steps_per_second"], abs=1e-3
    )
    assert Path(project.path, report["picture"]).read_bytes().startswith(b"\x89PNG")
    after = project.read("vectorization.toml")
    assert tomlkit.parse(after).unwrap() == setting(report["best"])
    for old, new in zip(before.splitlines(), after.splitlines(), strict=True):
        assert old.partition("#")[2] == new.partition("#")[2]


def test_wrong_config_is_one_line(corridor: BakedProject) -> None:
    done = corridor.command("benchmark", "--config", '{"lenght": 8}')
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "did you mean 'length'?" in line


def test_stub_is_not_measured(stub: BakedProject) -> None:
    done = stub.command("benchmark")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "reset() is still to be written" in line
    assert not (stub.path / "runs").exists()


@pytest.mark.parametrize("where", ["step", pytest.param("__init__", marks=pytest.mark.slow)])
def test_mistake_of_the_environment_ends_it_with_the_users_traceback(
    corridor: BakedProject, tmp_path: Path, where: str
) -> None:
    """The mistake comes only once Ray is there, so that the checks before the measurement can't find it."""
    project = corridor.copy(tmp_path)
    file = project.source / "env.py"
    text = file.read_text(encoding="utf-8").replace("from collections", "import sys\nfrom collections", 1)
    first = {"step": "        # Move, but not", "__init__": "        self.config = read_config"}[where]
    assert first in text
    file.write_text(text.replace(first, f'        1 // ("ray" not in sys.modules)\n{first}', 1), encoding="utf-8")
    done = project.command("benchmark", "--seconds", "0.05")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("ERROR: the environment ")
    assert f"in {where}\n" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: integer division or modulo by zero")
    assert "ray" not in done.stderr.replace('"ray"', "")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("wait_seconds", [0.0, *(pytest.param(wait, marks=pytest.mark.slow) for wait in (3.0, 8.0))])
def test_interrupted_it_prints_what_it_has_and_leaves_no_process(project: BakedProject, wait_seconds: float) -> None:
    mark = f"BENCHMARK_TEST={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    process = subprocess.Popen(
        [str(project.python), "-m", project.package, "benchmark", "--seconds", "2"],
        cwd=project.path,
        env=clean_environment() | {name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("vectorization: ")  # the measurement begins
    time.sleep(wait_seconds)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == ""
    assert output == "" or output.startswith("processes  copies"), output
    deadline = time.monotonic() + 20
    while (left := processes_with(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def processes_with(mark: str) -> list[str]:
    """Returns the processes that have an environment variable."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:  # it has ended, or is another user's
            continue
    return found
