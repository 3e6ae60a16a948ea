"""What is left of a stack without the machinery's frames, and the one line of the user's in it."""

import faulthandler
import tempfile
import traceback
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE
from kit import tracebacks
from kit.config import read_config
from kit.guard import Guard
from kit.guard.failure import EnvironmentFailure


class Broken(gym.Env[Any, Any]):
    """Raises in `reset`, in what it calls."""

    observation_space = action_space = gym.spaces.Discrete(2)

    def __init__(self, cause: Any) -> None:
        self.cause = cause

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.cause()
        return 0, {}


def ask_numpy() -> None:
    np.linalg.inv(np.zeros((2, 2)))  # the line that is at fault


def ask_the_kit() -> None:
    read_config(dict, {"no": "dataclass"})  # the line that is at fault


@pytest.mark.parametrize("cause", [ask_numpy, ask_the_kit])
def test_traceback_begins_with_the_users_code_and_keeps_what_that_calls(cause: Any) -> None:
    wrapped = gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(Broken(cause)), 5)
    with pytest.raises(EnvironmentFailure) as failure:
        Guard(wrapped).reset()
    error = failure.value.__cause__
    assert error is not None
    frames = tracebacks.users_frames(traceback.extract_tb(error.__traceback__))
    assert [frame.name for frame in frames[:2]] == ["reset", cause.__name__]
    assert len(frames) > 2
    assert {frame.filename for frame in frames[:2]} == {__file__}
    text = str(failure.value)
    assert "the line that is at fault" in text and "calls.py" not in text and "gymnasium" not in text


@pytest.mark.parametrize("cause", [ask_numpy, ask_the_kit])
def test_line_is_the_deepest_of_the_users(cause: Any) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        Guard(Broken(cause)).reset()
    assert failure.value.__cause__ is not None
    frames = traceback.extract_tb(failure.value.__cause__.__traceback__)
    assert tracebacks.users_line(frames) == f"{__file__}:{cause.__code__.co_firstlineno + 1}"
    assert tracebacks.users_line([frame for frame in frames if frame.filename.startswith(tracebacks.KIT)]) is None


def test_files_are_told_apart() -> None:
    assert tracebacks.is_users(__file__)
    assert tracebacks.is_users(str(Path("/home/me/gymnasium/env.py")))
    assert tracebacks.is_users("/venv/lib/python3.11/site-packages/simulator/core.py")
    for file in (gym.__file__, np.__file__, traceback.__file__, str(PACKAGE / "kit" / "task.py"), "<frozen runpy>"):
        assert not tracebacks.is_users(str(file)), file


def test_stack_that_faulthandler_writes_is_read_back() -> None:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = tracebacks.dumped_stacks(file.read())
    (stack,) = [stack for stack in stacks if stack and stack[-1].filename == __file__]
    assert stack[-1].name == "test_stack_that_faulthandler_writes_is_read_back"
    assert (stack[-1].lineno or 0) - test_stack_that_faulthandler_writes_is_read_back.__code__.co_firstlineno == 2
    assert any("pytest" in frame.filename for frame in stack[:-1])
