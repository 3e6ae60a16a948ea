"""What Ray says in a riddle is said in a line, with what to type."""

import shutil

import pytest
from conftest import BakedProject
from kit.training.known_errors import explained


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/tmp/ray/session_1"), "export RAY_TMPDIR=$HOME/.ray"),
        (RuntimeError("1 worker(s) were killed due to the node running low on memory.\nMemory"), "num_env_runners"),
        (OSError(28, "No space left on device"), "the disk is full"),
        (OSError(24, "Too many open files"), "ulimit -n"),
        (RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.1"), "the same Ray"),
        (ValueError("Package size (700.00MiB) exceeds the maximum size of 500.00MiB."), "keep large files out"),
    ],
)
def test_riddles_of_ray_are_explained(error: Exception, line: str) -> None:
    told = explained(error)
    assert told and line in told and type(error).__name__ in told and "\n" not in told


def test_other_errors_stay_what_they_are() -> None:
    assert explained(ValueError("operands could not be broadcast together")) is None


@pytest.mark.slow
def test_a_long_name_of_the_temporary_folder_is_told_in_a_line(corridor: BakedProject) -> None:
    folder, runs = corridor.path / ("long" * 25), corridor.path / "runs"
    folder.mkdir()
    done = corridor.command("train", "--name", "long", TMPDIR=str(folder))
    assert done.returncode == 1
    assert "type: export RAY_TMPDIR=/tmp" in done.stderr and len(done.stderr.splitlines()) == 1
    done = corridor.command("train", "--name", "long", "--max-env-steps", "1", TMPDIR=str(folder), RAY_TMPDIR="/tmp")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(runs)  # others' tests look for it
