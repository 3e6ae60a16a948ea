"""Expensive and awkward environments: what the docs say of them is taken from there, and run."""

import json
import queue
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import BakedProject
from kit.errors import UsageError
from kit.search.trainer import Trainer
from kit.task import Task
from kit.training.interrupt import Interrupt
from kit.vectorization.choose import fit
from kit.vectorization.settings import KEYS

# What stands for the device: a lock that only one copy on this machine can have.
DEVICE = """
import fcntl
import os
import sys


class {name}({name}):
    metadata = {{"render_modes": ["rgb_array"], "render_fps": 30}}

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self._device = os.open(Path(__file__).with_name("device"), os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        super().__init__(config, render_mode)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        is_training = "corridor_demo.kit.rllib.env_runner" in sys.modules
        if is_training and "FAULT" in os.environ and not os.path.exists(os.environ["FAULT"]):
            Path(os.environ["FAULT"]).touch()
            raise ZeroDivisionError("the device has divided by zero")
        return super().step(action)

    def render(self) -> Any:
        return np.full((16, 16, 3), 5 + self._row % 250, np.uint8)

    def close(self) -> None:
        super().close()
        if self._device is not None:
            os.close(self._device)
        self._device = None
"""
PRIVATE = """
import sys, re
from pathlib import Path
from corridor_demo.env import CorridorDemoEnv, open_table
env = CorridorDemoEnv({"table": sys.argv[1]})
assert not open_table.cache_info().misses  # nothing is opened yet
env.reset(seed=0)
table = open_table(sys.argv[1])
def private():
    return sum(map(int, re.findall(r"Private_\\w+: +(\\d+)", Path("/proc/self/smaps_rollup").read_text())))
before = private()
table.sum()
other = CorridorDemoEnv({"table": sys.argv[1]})
other.reset(seed=0)
assert other._table is env._table
print(private() - before)
"""


@pytest.fixture(scope="module")
def snippets(project: BakedProject) -> list[str]:
    """The env.py in the docs' section, and the argument of the Task."""
    section = project.manual("environments").split("## Expensive and awkward ones\n")[1]
    (env,), (argument,) = (
        re.findall(r"```python\n(.*?)```", section, re.DOTALL),
        re.findall(r"`(only_\w+=.*?)`", section),
    )
    return [env, f"    {argument},\n"]


@pytest.fixture(scope="module")
def project(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    return corridor.copy(tmp_path_factory.mktemp("expensive"))


@pytest.fixture(scope="module")
def expensive(project: BakedProject, snippets: list[str]) -> BakedProject:
    """The docs' `env.py`, with its table."""
    (project.source / "env.py").write_text(snippets[0], encoding="utf-8")
    np.save(project.source / "table.npy", np.random.default_rng(0).uniform(-1, 1, (1000, 4)).astype(np.float32))
    return project


@pytest.fixture
def alone(expensive: BakedProject, snippets: list[str]) -> BakedProject:
    """The same behind a device, with the docs' argument in registration.py."""
    (expensive.source / "env.py").write_text(snippets[0] + DEVICE.format(name="CorridorDemoEnv"), encoding="utf-8")
    registration = expensive.source / "registration.py"
    text = registration.read_text(encoding="utf-8")
    if snippets[1] not in text:
        registration.write_text(text.replace("TASK = Task(\n", f"TASK = Task(\n{snippets[1]}"), encoding="utf-8")
    return expensive


def checked(project: BakedProject) -> dict[str, str]:
    """Returns what `check` finds, by the check's name."""
    report = json.loads(project.command("check", "--json").stdout)
    assert report["checks_run"] > 60
    return {failure["check"]: failure["message"] + failure["fix"] for failure in report["failures"]}


def test_table_is_opened_late_once_a_process_and_held_once_a_machine(expensive: BakedProject, tmp_path: Path) -> None:
    assert checked(expensive) == {}  # works elsewhere and in pickles, too
    expensive.run("-m", "ruff", "check", check=True)
    expensive.run("-m", "ruff", "format", "--check", check=True)
    if sys.platform == "linux":
        large = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (4_000_000, 4))
        large[:] = 1
        large.flush()
        kilobytes = int(expensive.run("-c", PRIVATE, str(tmp_path / "large.npy"), check=True).stdout)
        assert kilobytes < 5_000  # of 64,000 that are shared


@pytest.mark.skipif(sys.platform != "linux", reason="locks a file")
def test_environment_that_exists_once_is_never_made_twice(alone: BakedProject, tmp_path: Path) -> None:
    """Its constructor raises while another copy is open, in any process: checked, trained, filmed, compared."""
    assert checked(alone) == {}
    alone.run("-m", "pytest", "-q", "tests/test_contract.py", check=True)
    options = ("--name", "first", "--stop-return", "none", "--max-env-steps", "2000", "--keep-going")
    done = alone.command("train", *options, check=True, FAULT=str(tmp_path / "fault")).stdout
    assert "vectorization: one copy in this process; registration.py says only_one" in done
    assert "the device has divided by zero" in done and "going on after iteration 0" in done
    assert re.search(r"learned: .*over 20 fresh episodes", done)
    against = ("--against", "first", "--episodes", "2", "--video", "--json")
    report = json.loads(alone.command("evaluate", "first", *against, check=True).stdout)
    assert {(alone.path / path).exists() for path in report["videos"].values()} == {True}
    for message, command in {
        "--workers makes copies, but registration.py says only_one": ("evaluate", "--workers", "2"),
        "there is nothing to choose from: registration.py says only_one": ("benchmark",),
        'num_env_runners = 2, but registration.py says only_one: there may be one copy, in this process; write 0 or "auto"': (
            "train", "--num-env-runners", "2"),
    }.items():  # fmt: skip
        refused = alone.command(*command)
        assert refused.returncode == 2 and message in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="locks a file")
def test_check_names_the_line_where_it_is_missing(alone: BakedProject, snippets: list[str]) -> None:
    registration = alone.source / "registration.py"
    registration.write_text(registration.read_text(encoding="utf-8").replace(snippets[1], ""), encoding="utf-8")
    assert "only_one=True in registration.py" in checked(alone)["copies_can_be_made"]


def test_settings_for_one_copy() -> None:
    for given in ("auto", 0), ("auto", "auto"), (1, "auto"):
        settings = dict(zip(KEYS, (given[1], given[0], "auto"), strict=True))
        assert fit(settings, lambda _: pytest.fail("a copy was made"), 8, False, only_one=True).copies == 1
    settings = dict(zip(KEYS, ("auto", 2, "auto"), strict=True))
    with pytest.raises(UsageError, match='num_envs_per_env_runner = 2, but registration.py .*; write 1 or "auto"'):
        fit(settings, lambda _: pytest.fail("a copy was made"), 8, False, only_one=True)


def test_search_trains_one_run_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.search.trainer.os.sched_getaffinity", lambda _: {3, 4, 5}, raising=False)
    cpus: dict[bool, queue.SimpleQueue[int]] = {}
    for only_one in (False, True):
        task = Task("x/X-v0", type("X", (), {"__module__": "x"}), None, None, "x.ppo:ppo_config", only_one)
        cpus[only_one] = Trainer(task, tmp_path, 100, Interrupt()).cpus
    assert (cpus[False].qsize(), cpus[True].qsize()) == (3, 1)
