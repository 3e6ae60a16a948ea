"""The recorder's process: what it survives, what it says of the machine, and what it finds in rough environments."""

import importlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.contract import Report, run_checks
from kit.contract.process import run
from kit.contract.process.child import Child
from kit.contract.record import channel
from kit.contract.record.channel import HEARTBEAT_BYTES, Heartbeat
from kit.errors import RunError, UsageError

HEAD = """
import os, time
import gymnasium as gym
import numpy as np
from gymnasium import spaces

class Env(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, config=None, render_mode=None):
        self.config, self.render_mode = dict(config or {}), render_mode
        self.observation_space = spaces.Box(-10.0, 10.0, (2,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.place = 0, self.np_random.uniform(-1, 1)
        return self.look(), {}

    def look(self):
        return np.array([self.place, self.time / 10], np.float32)

    def step(self, action):
        self.time += 1
        self.place += 0.1 if action else -0.1
        return self.look(), float(self.place), abs(self.place) > 2, self.time >= 50, {}

    def render(self):
        return np.full((8, 8, 3), self.time, np.uint8)
"""
Check = Callable[..., Report]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Returns a function that checks the environment above with some of its methods written anew."""

    def run(methods: str = "", head: str = HEAD, **options: Any) -> Report:
        path = tmp_path / "environment.py"
        path.write_text(head + textwrap.indent(textwrap.dedent(methods), "    "), encoding="utf-8")
        return run_checks(f"{path}:Env", **options)

    return run


def found(report: Report) -> dict[str, str]:
    return {failure.check: failure.severity for failure in report.failures}


def test_environment_without_fault_has_no_failure(check: Check) -> None:
    report = check()
    assert report.ok and found(report) == {} and report.blocking == []


# A double pendulum by Euler steps: chaotic. Its reset leaves a residue as small as a contact solver's warm start.
PENDULUM = """
import gymnasium as gym
import numpy as np
from gymnasium import spaces

class Env(gym.Env):
    residue = 0.0

    def __init__(self, config=None, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-100.0, 100.0, (4,), np.float64)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.state = self.np_random.uniform(2.0, 2.5, 4) + self.residue
        self.residue = RESIDUE
        return self.state.copy(), {}

    def step(self, action):
        self.time += 1
        for _ in range(40):
            a, b, p, q = self.state
            d, m = a - b, 3 - np.cos(2 * (a - b))
            pp = (-29.4 * np.sin(a) - 9.8 * np.sin(a - 2 * b) - 2 * np.sin(d) * (q * q + p * p * np.cos(d))) / m
            qq = 2 * np.sin(d) * (2 * p * p + 19.6 * np.cos(a) + q * q * np.cos(d)) / m
            p, q = p + 0.005 * pp, q + 0.005 * qq + (0.01 if action else 0.0)
            self.state = np.array([a + 0.005 * p, b + 0.005 * q, p, q])
        return np.clip(self.state, -100, 100), float(np.cos(self.state[0])), False, self.time >= 100, {}
"""


@pytest.mark.parametrize(("residue", "severity"), [("1e-9", "warning"), ("0.3", "error")])
def test_residue_of_rounding_in_a_chaotic_engine_is_a_warning(check: Check, residue: str, severity: str) -> None:
    report = check(head=PENDULUM.replace("RESIDUE", residue))
    failures = {failure.check: failure for failure in report.failures}
    assert failures["reset_starts_afresh"].severity == severity
    assert ("rounding" in failures["reset_starts_afresh"].message) is (severity == "warning")
    assert report.ok is (severity == "warning")
    assert not report.blocking


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('gladLoadGL error')",
        "raise RuntimeError('an OpenGL platform library has not been loaded into this process')",
        "os._exit(1)",
        "os.abort()",
    ],
)
def test_render_without_a_screen_is_the_machines_lack(check: Check, body: str) -> None:
    report = check(f"def render(self):\n    {body}")
    assert report.ok and found(report) == {"render_possible_here": "warning"}
    assert "machine" in report.failures[0].message


def test_waiting_for_a_processor_is_no_hang(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = """
    is_first = True

    def step(self, action):
        import time
        time.sleep(1.5 * Env.is_first)
        Env.is_first = False
        return self.look(), 0.0, True, False, {}
    """
    monkeypatch.setattr(run, "QUICK", (60.0, 0.5))
    assert found(check(slow, quick=True)).get("calls_return") == "error"
    monkeypatch.setattr(Child, "_waited", lambda self: time.monotonic())
    assert "calls_return" not in found(check(slow, quick=True))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_wait_for_a_processor_is_known() -> None:
    cpu = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]  # share one CPU
    child = Child.__new__(Child)
    child.process = busy[0]
    deadline = time.monotonic() + 30
    while (waited := child._waited()) < 0.1 and time.monotonic() < deadline:
        time.sleep(0.01)
    for one in busy:
        one.kill()
    assert waited >= 0.1


def test_render_is_not_tried_by_the_quick_checks(check: Check) -> None:
    report = check("def render(self):\n    os._exit(1)", quick=True)
    assert found(report) == {}


def test_fault_of_render_itself_is_an_error(check: Check) -> None:
    report = check("def render(self):\n    return self.no_such_thing")
    assert found(report) == {"render_returns": "error"} and not report.blocking


EARLY_END = """
def step(self, action):
    self.time += 1
    if self.time == {step}:
        {body}
    self.place += 0.1 if action else -0.1
    return self.look(), float(self.place), abs(self.place) > 2, False, {{}}
"""


def test_end_of_the_process_is_told_once_and_the_rest_is_judged(check: Check) -> None:
    report = check(EARLY_END.format(step=15, body="os._exit(3)") + "\ndef render(self):\n    return None\n")
    assert found(report) == {"process_survives": "error", "render_returns": "error"}
    assert "exit code 3 in step(), at step 15" in report.failures[-1].message + report.failures[0].message
    assert [failure.check for failure in report.blocking] == ["process_survives"]
    assert report.checks_run > 60


def test_end_of_the_process_in_close_leaves_the_other_sections(check: Check) -> None:
    report = check(
        "def close(self):\n    if self.time_is_up():\n        os._exit(4)\ndef time_is_up(self):\n    return True"
    )
    assert found(report) == {"process_survives": "error"}
    assert "in close()" in report.failures[0].message
    assert report.skipped["close_twice"].startswith("the environment ended the process")


@pytest.mark.skipif(os.name == "nt", reason="read from /proc")
def test_call_that_waits_for_a_processor_is_not_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heartbeat").write_bytes(bytes(HEARTBEAT_BYTES))
    schedule = tmp_path / "schedstat"
    schedule.write_text("5 1000000000 7")
    monkeypatch.setattr(Heartbeat, "schedule", schedule)
    monkeypatch.setattr(channel.time, "perf_counter", iter([10.0, 10.75]).__next__)
    with Heartbeat(tmp_path / "heartbeat").calling("step", 1) as call:
        schedule.write_text("9 1500000000 8")
    assert call.seconds == 0.25


def test_failure_that_is_there_before_a_restart_is_told_once(check: Check) -> None:
    methods = EARLY_END.format(step=15, body="os._exit(3)")
    report = check(methods + "\ndef look(self):\n    return [self.place, 0.0]\n")
    assert sorted(failure.check for failure in report.failures) == ["observation_type", "process_survives"]


def test_python_that_cannot_start_is_no_fault_of_the_environment(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mmap.py").write_text("raise ImportError('this is not the real mmap')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "broken"))
    with pytest.raises(RunError, match="Python could not start .* this is not the real mmap"):
        check()


def test_ignored_check_does_not_count_and_is_named(check: Check) -> None:
    broken = "def look(self):\n    return [self.place, 0.0]"
    assert not check(broken).ok
    report = check(broken, ignore={"observation_type": "a list is meant"})
    assert report.ok and report.ignored == {"observation_type": "a list is meant"}
    assert found(report) == {}


def test_unknown_check_is_refused_with_the_likely_one(check: Check) -> None:
    with pytest.raises(UsageError, match="no check 'step_fat'; did you mean 'step_fast'"):
        check(ignore={"step_fat": ""})


def test_lock_is_a_warning_and_an_engines_object_is_none(check: Check) -> None:
    report = check(
        "def look(self):\n    import threading\n    self.lock = threading.Lock()\n    return np.zeros(2, np.float32)"
    )
    assert found(report)["env_can_be_pickled"] == "warning"
    engine = "class World:\n    def __reduce__(self):\n        raise TypeError('an engine')\n"
    report = check("def look(self):\n    self.world = World()\n    return np.zeros(2, np.float32)", head=engine + HEAD)
    assert "env_can_be_pickled" not in found(report)


def test_third_partys_space_is_no_error(check: Check) -> None:
    mission = """
class Mission(spaces.Space):
    def __init__(self):
        super().__init__(dtype=str)
    def sample(self, mask=None, probability=None):
        return "go"
    def contains(self, x):
        return isinstance(x, str)
    def __eq__(self, other):
        return isinstance(other, Mission)
"""
    head = HEAD.replace("class Env", mission + "\nclass Env").replace(
        "spaces.Box(-10.0, 10.0, (2,), np.float32)",
        "spaces.Dict({'place': spaces.Box(-10.0, 10.0, (2,), np.float32), 'mission': Mission()})",
    )
    look = "{'place': np.array([self.place, self.time / 10], np.float32), 'mission': 'go'}"
    head = head.replace("np.array([self.place, self.time / 10], np.float32)", look)
    assert found(check(head=head)) == {}  # it always says the same
    report = check(head=head.replace("'go'", "'left' if self.place < 0 else 'right'"))
    assert found(report) == {"spaces_trainable": "warning"}


@pytest.mark.parametrize("with_init", [True, False], ids=["a package", "a folder"])
def test_file_with_relative_imports_is_checked_as_a_module_of_its_folder(tmp_path: Path, with_init: bool) -> None:
    package = tmp_path / "some_package"
    package.mkdir()
    if with_init:
        (package / "__init__.py").touch()
    (package / "moves.py").write_text("LEFT, RIGHT = -0.1, 0.1", encoding="utf-8")
    text = HEAD.replace("import os, time", "import os, time\nfrom .moves import LEFT, RIGHT")
    (package / "other.py").write_text(text.replace("0.1 if action else -0.1", "RIGHT if action else LEFT"))
    report = run_checks(f"{package / 'other.py'}:Env")
    assert report.ok and found(report) == {}


def test_config_that_is_refused_is_not_taken_for_a_constructor_without_config(check: Check) -> None:
    report = check(
        "def __new__(cls, config=None, render_mode=None):\n    if config:\n        raise ValueError('no')\n    return super().__new__(cls)",
        config={"a": 1},
    )
    assert [failure.check for failure in report.failures] == ["constructor_takes_config"]
    assert "raises ValueError: no" in report.failures[0].message


def test_class_of_keywords_is_made_with_them_and_rendered_with_a_mode(check: Check, tmp_path: Path) -> None:
    keywords = HEAD.replace("config=None, render_mode=None", 'size=8, names=("a",), render_mode=None')
    head = keywords.replace("dict(config or {}), render_mode", "size + 1, render_mode")
    report = check(head=head, config={"size": 4})
    assert found(report) == {"constructor_takes_config": "error"}
    assert "its first parameter is size=8" in report.failures[0].message
    render_first = HEAD.replace("config=None, render_mode=None", "render_mode=None")
    assert found(check(head=render_first.replace("dict(config or {})", "None"))) == {
        "constructor_takes_config": "error"
    }
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "third.py").write_text(head, encoding="utf-8")
    report = run_checks(f"{library / 'third.py'}:Env")
    assert found(report) == {"constructor_takes_config": "warning"} and "a class of your own" in report.failures[0].fix


def test_class_that_takes_no_config_of_a_project_is_told_to_take_one(tmp_path: Path) -> None:
    head = HEAD.replace("config=None, render_mode=None", "size=8, mode=None")
    head = head.replace("dict(config or {}), render_mode", "size, mode")
    maker = "\n\nclass Task:\n    def make(self, config=None):\n        return Env(config=config)\n\nTASK = Task()\n"
    (tmp_path / "own.py").write_text(head + maker, encoding="utf-8")
    report = run_checks(f"{tmp_path / 'own.py'}:TASK.make")
    assert found(report) == {"constructor_takes_config": "error"}
    assert "config = dict(config or {})" in report.failures[0].fix


WRAPPED = """
from kit.task import Task

class Wide(gym.Wrapper):
    def __init__(self, config=None, render_mode=None):
        super().__init__(gym.wrappers.TimeLimit(Env({"inner": 1}, render_mode), 30))
        self.config = dict(config or {})
        self.observation_space = spaces.Box(-20.0, 20.0, (2,), np.float32)

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(action)
        return 2 * obs, reward, terminated, truncated, info

TASK = Task("kit_tests/Wide-v0", Wide, 20, None, "nowhere:nothing")
TASK.register()
"""


def test_class_of_wrappers_is_one_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wide_env.py").write_text(HEAD + WRAPPED, encoding="utf-8")
    report = run_checks(f"{tmp_path / 'wide_env.py'}:TASK.make", {"outer": 2}, ignore={"config_keys_used": "a test"})
    assert found(report) == {}
    monkeypatch.syspath_prepend(str(tmp_path))
    env = importlib.import_module("wide_env").TASK.make_adapted({"outer": 2}, "rgb_array")
    assert env.unwrapped.config == {"outer": 2} and env.unwrapped.observation_space.high.max() == 20
    assert env.spec.id == "kit_tests/Wide-v0" and env.spec.max_episode_steps == 20
    assert env.reset(seed=0)[0].shape == (2,) and env.render().shape == (8, 8, 3)
    assert [env.step(0)[3] for _ in range(15)] == [False] * 15


def test_error_in_a_class_of_wrappers_is_shown_there(tmp_path: Path) -> None:
    text = HEAD + WRAPPED.replace("return 2 * obs, reward", "return 2 * obs, np.array([reward])")
    (tmp_path / "wide_wrong.py").write_text(text, encoding="utf-8")
    (failure,) = run_checks(f"{tmp_path / 'wide_wrong.py'}:TASK.make").failures
    line = text[: text.index("def step(self, action):\n        obs")].count("\n") + 1
    assert failure.check == "reward_type" and str(failure.where).endswith(f"wide_wrong.py:{line}")
