"""Rung 8: a script fills in `reset` and `step` of the stub as a user would, and everything that is promised holds."""

import json
import time
from collections.abc import Callable

import pytest
from conftest import BakedProject

# What a user would write: the agent is to tell whether the first of four random numbers is positive.
RESET = """\
        self._steps = 0
        return self._observation(), {}
"""
STEP = """\
        correct = bool(self._state[0] > 0) == bool(action)
        self._steps += 1
        return self._observation(), float(correct), self._steps >= 50, False, {}

    def _observation(self) -> np.ndarray:
        self._state = self.np_random.uniform(-1.0, 1.0, 4).astype(np.float32)
        return self._state.copy()
"""


def fill_in(project: BakedProject, reset: str = RESET, step: str = STEP) -> None:
    """Writes `reset` and `step` in place of the two lines that raise NotImplementedError."""
    file = project.source / "env.py"
    before, between, after = file.read_text(encoding="utf-8").split("        raise NotImplementedError(")
    between, after = between.split("\n", 1)[1], after.split("\n", 1)[1]
    file.write_text(before + reset + between + step + after, encoding="utf-8")


@pytest.fixture(scope="module")
def filled_in(bake: Callable[..., BakedProject]) -> BakedProject:
    """A stub with the default answers, filled in as a user would."""
    project = bake(project_name="Sign Reader").install()
    fill_in(project)
    return project


@pytest.fixture(scope="module")
def solved(filled_in: BakedProject) -> BakedProject:
    """The filled-in stub with the run `first`, trained to a return of 45 of 50."""
    filled_in.command("train", "--name", "first", "--stop-return", "45", "--max-env-steps", "200000", check=True)
    return filled_in


def test_stub_says_what_is_to_do_and_train_refuses_it_before_ray_starts(stub: BakedProject) -> None:
    tests = stub.run("-m", "pytest", "-q", "-rs", check=True)
    assert "env.py:" in tests.stdout and "reset() is still to be written" in tests.stdout
    start = time.monotonic()
    done = stub.command("train")
    assert time.monotonic() - start < 60  # three seconds at rest, see benchmarks; here the machine may be busy
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "env.py:" in line and "reset() is still to be written" in line
    assert not (stub.path / "runs").exists()
    report = json.loads(stub.command("check", "--json").stdout)
    assert not report["ok"]
    assert "reset() is still to be written" in json.dumps(report["failures"])


def test_filled_in_stub_is_clean_and_nothing_is_left_to_write(filled_in: BakedProject) -> None:
    tests = filled_in.run("-m", "pytest", "-q", "-rs", check=True).stdout
    assert "still to be written" not in tests
    for tool in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)):
        filled_in.run("-m", *tool, check=True)


def test_filled_in_stub_is_trained(solved: BakedProject) -> None:
    summary = solved.summary("first")
    assert summary["ended_by"].startswith("solved")
    assert summary["best_return"] >= 45
    report = json.loads(solved.command("evaluate", "first", "--json", check=True).stdout)
    assert report["policy"]["interval"][0] > report["random"]["interval"][1]
    assert report["policy"]["mean"] > 45


def test_checkpoint_of_another_space_is_refused(solved: BakedProject, corridor: BakedProject) -> None:
    done = corridor.command("evaluate", str(solved.path / "runs" / "first"))
    assert done.returncode == 2
    assert "is a policy for sign_reader/SignReader-v0, not for corridor_demo/CorridorDemo-v0" in done.stderr


def test_video_of_an_environment_that_does_not_draw_is_refused(solved: BakedProject) -> None:
    done = solved.command("evaluate", "first", "--video")
    assert done.returncode == 2
    assert done.stderr.startswith('ERROR: --video needs "rgb_array" in SignReaderEnv.metadata["render_modes"]')
