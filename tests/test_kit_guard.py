"""The Guard: what it ends a run on, what it only counts, and what its watchdog takes for a hang."""

import json
import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from kit.guard import Guard, VectorGuard, calls
from kit.guard.child_log import ChildLog, pop_hang_report
from kit.guard.failure import EnvironmentFailure
from kit.spaces.membership import problems
from kit.spaces.predicate import predicate

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
DOUBLES = spaces.Box(-np.inf, np.inf, (1,), np.float64)
PIXELS = spaces.Box(0, 200, (2,), np.uint8)
CELL: Any = spaces.Discrete(3)
MIXED = spaces.Dict(speed=BOX, cell=CELL)
ZEROS = np.zeros(2, np.float32)
BEYOND = np.array([0.0, 1.0023], np.float32)


class Given(gym.Env[Any, Any]):
    """Returns the observations that it is given, one after the other."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: gym.Space[Any], *observations: Any) -> None:
        self.observation_space, self.observations = space, iter(observations)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return next(self.observations), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return next(self.observations), 0.0, False, False, {}


class GivenMany(gym.vector.VectorEnv[Any, Any, Any]):
    """Three copies, likewise."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    num_envs = 3
    single_action_space, action_space = CELL, spaces.MultiDiscrete([3, 3, 3])

    def __init__(self, space: gym.Space[Any], *observations: Any) -> None:
        self.single_observation_space, self.observations = space, iter(observations)
        self.observation_space = gym.vector.utils.batch_space(space, 3)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return next(self.observations), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        return next(self.observations), np.zeros(3), np.zeros(3, bool), np.zeros(3, bool), {}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ChildLog]:
    """The reading end of what a Guard leaves for the run."""
    monkeypatch.setattr(calls, "_logged", set())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child_log = ChildLog()
    yield child_log
    child_log.close()


def play(guard: Any) -> int:
    """Resets once and steps until the observations are at an end; returns the steps."""
    guard.reset(seed=1)
    steps = 0
    while True:
        try:
            guard.step(0)
        except EnvironmentFailure as failure:
            if "StopIteration" in str(failure):
                return steps
            raise
        steps += 1


def test_floats_beyond_their_bounds_are_counted_and_warned_of_once(log: ChildLog) -> None:
    far = np.array([-1e6, 0.0], np.float32)
    assert play(Guard(Given(BOX, ZEROS, BEYOND, ZEROS, BEYOND, far))) == 4
    assert log.new_out_of_bounds() == 3
    assert log.new_out_of_bounds() == 0
    (line,) = log.new_lines()
    assert "WARNING" in line and calls.OUT_OF_BOUNDS in line
    assert "observation[1] is 1.0023, outside its bounds [-1.0, 1.0], in step 1 of episode 1 of its copy, seed" in line
    assert play(Guard(Given(BOX, BEYOND, BEYOND))) == 1
    assert log.new_out_of_bounds() == 2 and log.new_lines() == []


def test_rounding_is_not_counted(log: ChildLog) -> None:
    assert play(Guard(Given(BOX, ZEROS, np.array([1.0000001, -1.0001], np.float64)))) == 1
    assert log.new_out_of_bounds() == 0 and log.new_lines() == []


def test_strict_ends_at_floats_beyond_their_bounds(log: ChildLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentFailure, match=re.escape("observation[1] is 1.0023, outside its bounds [-1.0, 1.0]")):
        play(Guard(Given(BOX, ZEROS, BEYOND), strict=True))
    monkeypatch.setenv(calls.STRICT, "1")
    with pytest.raises(EnvironmentFailure, match="1.0023") as failure:
        play(Guard(Given(BOX, ZEROS, BEYOND)))
    assert failure.value.facts["strict"] is True
    assert play(Guard(Given(BOX, ZEROS, BEYOND), strict=False)) == 1


@pytest.mark.parametrize(
    ("space", "good", "bad", "message"),
    [
        (BOX, ZEROS, np.array([np.nan, 5], np.float32), "observation[0] is nan: NaN or infinite"),
        (BOX, ZEROS, np.array([5, np.inf], np.float32), "observation[1] is inf: NaN or infinite"),
        (DOUBLES, np.zeros(1), np.array([1e300]), "observation[0] is 1e+300: NaN or infinite in float32"),
        (BOX, ZEROS, np.zeros(3, np.float32), "expected shape (2,), got shape (3,)"),
        (BOX, ZEROS, [0.0, 0.0], "got list of length 2"),
        (BOX, ZEROS, None, "got None"),
        (PIXELS, np.zeros(2, np.uint8), np.array([0, 201], np.uint8), "observation[1] is 201, outside its bounds"),
        (CELL, 0, 3, "observation is 3, outside the range 0..2"),
        (CELL, 0, 1.0, "expected an int"),
        (spaces.MultiDiscrete([2, 3]), np.zeros(2, int), np.array([0, 3]), "outside the range"),
        (spaces.MultiBinary(2), np.zeros(2, np.int8), np.array([0, 2], np.int8), "outside the range"),
        (MIXED, {"speed": ZEROS, "cell": 0}, {"speed": BEYOND, "cell": 3}, "observation['speed'][1] is 1.0023"),
        (MIXED, {"speed": ZEROS, "cell": 0}, {"speed": ZEROS}, "key 'cell' is missing"),
        (spaces.Tuple((BOX, CELL)), (ZEROS, 0), (ZEROS, 7), "observation[1] is 7"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_all_that_is_worse_ends_the_run(log: ChildLog, space: Any, good: Any, bad: Any, message: str) -> None:
    with pytest.raises(EnvironmentFailure, match=re.escape(message)):
        play(Guard(Given(space, good, bad)))
    assert log.new_out_of_bounds() == 0


@pytest.mark.parametrize(
    ("space", "beyond"),
    [
        (MIXED, {"speed": BEYOND, "cell": 2}),
        (spaces.Tuple((BOX, CELL)), (BEYOND, 2)),
        (spaces.Sequence(BOX), (BEYOND, ZEROS)),
        (spaces.Sequence(BOX, stack=True), np.stack([BEYOND, ZEROS])),
        (spaces.OneOf((CELL, BOX)), (np.int64(1), BEYOND)),
        (spaces.Graph(BOX, None), spaces.GraphInstance(np.stack([BEYOND]), None, None)),
        (spaces.Box(-1, 1, (1,), np.float16), np.array([3], np.float16)),
        (DOUBLES, np.array([1e30])),
    ],
    ids=lambda value: str(value)[:30],
)
def test_floats_may_leave_their_bounds_in_every_space(log: ChildLog, space: Any, beyond: Any) -> None:
    assert play(Guard(Given(space, beyond, beyond))) == 1
    assert log.new_out_of_bounds() == (0 if space is DOUBLES else 2)


def test_copies_out_of_bounds_are_counted_one_by_one(log: ChildLog) -> None:
    two_of_three = np.stack([BEYOND, ZEROS, -BEYOND])
    assert play(VectorGuard(GivenMany(BOX, two_of_three, two_of_three, np.stack([ZEROS] * 3)))) == 2
    assert log.new_out_of_bounds() == 4
    assert "observations[0, 1] is 1.0023, outside its bounds" in log.new_lines()[0]
    with pytest.raises(EnvironmentFailure, match=re.escape("observations[0, 1] is 1.0023")):
        play(VectorGuard(GivenMany(BOX, two_of_three), strict=True))
    with pytest.raises(EnvironmentFailure, match="outside the range"):
        play(VectorGuard(GivenMany(CELL, np.zeros(3, int), np.array([0, 3, 0]))))


def test_predicate_and_explanation_agree() -> None:
    values = [ZEROS, BEYOND, np.zeros(3), np.array([0.0, np.nan]), np.array([0, 2]), np.array([0, 250], np.uint8), 2, 3]
    values += [
        np.array([0.0, 1.0]),
        True,
        None,
        "a",
        (ZEROS, 2),
        {"speed": ZEROS, "cell": 1},
        {"speed": BEYOND, "cell": np.int64(1)},
        {},
    ]
    for space in (BOX, DOUBLES, PIXELS, CELL, MIXED, spaces.Tuple((BOX, CELL)), spaces.MultiBinary(2), spaces.Text(1)):
        for value in values:
            found = [problem for problem in problems(space, value) if problem.kind != "dtype"]
            assert predicate(space)(value) == (not found), (space, value)
        assert predicate(space)(space.sample())


def test_log_of_the_environments_own_package_is_kept(log: ChildLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Given, "__module__", "their_package.env")
    Guard(Given(BOX, ZEROS))
    logging.getLogger("their_package.simulator").info("ready")
    logging.getLogger("elsewhere").info("not kept")
    (line,) = log.new_lines()
    assert line.endswith("INFO their_package.simulator: ready")


# The watchdog, in a process of its own

WATCHED = """
import ctypes, json, os, sys, time
sys.path.insert(0, {package!r})
import gymnasium as gym, numpy as np
from kit.guard import Guard, watchdog
from kit.guard.child_log import ChildLog
os.environ[watchdog.SECONDS] = "1"

class Slow(gym.Env):
    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return 0, {{}}
    def step(self, action):
        {step}
        return 0, 0.0, False, False, {{}}

{before}
env = Guard(Slow())
env.reset()
print("ready", flush=True)
{after}
print("done", flush=True)
"""
MANY_STEPS = "end = time.monotonic() + 7\nwhile time.monotonic() < end: env.reset(), env.step(0)"
KEEPS_THE_LOCK = "ctypes.PyDLL(None).sleep({seconds})"


def watched(step: str = "pass", before: str = "", after: str = "env.step(0)") -> subprocess.Popen[str]:
    """Starts a process with a Guard whose watchdog waits for a second."""
    code = WATCHED.format(package=str(PACKAGE), step=step, before=before, after=after)
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


unix = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")


@unix
@pytest.mark.parametrize(
    ("step", "after"),
    [("time.sleep(0.6)", MANY_STEPS), ("pass", MANY_STEPS), ("pass", "time.sleep(7)\nenv.step(0)")],
    ids=["in a slow step", "in fast steps", "between calls"],
)
def test_suspended_process_goes_on(step: str, after: str) -> None:
    process = watched(step, after=after)
    time.sleep(0.7)
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)  # far more than the watchdog waits for a call
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "done\n", "")


@unix
def test_call_that_hangs_ends_the_process_with_its_stack() -> None:
    process = watched("time.sleep(60)")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a reset or step has not returned for 1 s" in errors and "in step" in errors


@unix
def test_hang_in_c_code_ends_the_process_with_its_stack() -> None:
    process = watched(KEEPS_THE_LOCK.format(seconds=60))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert "the environment hangs in a call that does not let Python run" in errors
    assert re.search(r'File "<string>", line \d+ in step', errors)


@unix
def test_c_code_outside_a_call_may_take_its_time() -> None:
    process = watched(after=KEEPS_THE_LOCK.format(seconds=7))
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "done\n", "")


@unix
def test_hang_in_c_code_of_a_helper_process_is_left_for_the_run(log: ChildLog) -> None:
    """As in the processes of `async` vectorization: the report has the user's frames only, and is told once."""
    helper = "import multiprocessing; multiprocessing.parent_process = lambda: True"
    process = watched(KEEPS_THE_LOCK.format(seconds=60), before=helper)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL and not errors
    report = pop_hang_report()
    assert report is not None and report.startswith("the environment hangs in a call that does not let Python run")
    assert re.fullmatch(r'  File "<string>", line \d+, in step', report.splitlines()[1]), report
    assert pop_hang_report() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_watchdog_leaves_no_process_behind(number: signal.Signals | None) -> None:
    process = watched(after="time.sleep(1)")
    (reader,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    deadline = time.monotonic() + 10
    while not (command := Path(f"/proc/{reader}/cmdline").read_bytes()):  # between fork and exec
        assert time.monotonic() < deadline
    assert b"last_resort" in command
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while is_running(reader):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(process: str) -> bool:
    """Returns whether it is a process that has not ended; one that has lost its parent may stay as a zombie."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False


def test_failure_is_json(log: ChildLog) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        play(Guard(Given(CELL, 0, 1, 3)))
    assert json.loads(json.dumps(failure.value.facts))["actions"] == [0, 0]
