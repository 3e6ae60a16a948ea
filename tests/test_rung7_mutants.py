"""Rung 7: the worked example is broken on purpose, one way at a time: the contract says which way."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROCESSES = 2
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Mutant:
    """One way to break the environment.

    Attributes:
        name: The mistake.
        fails: The checks that must fail, all of them.
        changes: (old, new) pairs of text in `env.py`.
        config: The config to check it with.
        says: What the message must mention.
    """

    name: str
    fails: str
    changes: tuple[tuple[str, str], ...]
    config: str = "{}"
    says: str = ""


INIT = "        self._position = 0  # cells from the left wall\n"
READ = "        self.config = read_config(EnvConfig, config)\n"
SEED = "        super().reset(seed=seed)\n"
START = "        self._position = int(self.np_random.integers(0, self.config.length // 2))\n"
STARTED = "        return self._observation(), {}\n"
MOVE = "        self._position = max(self._position + _MOVES[action], 0)\n"
GOAL = "terminated = self._position == self.config.length"
STEPPED = "        return self._observation(), reward, terminated, False, {}\n"
OBSERVED = "        return np.array([self._position / self.config.length], np.float32)\n"
BOX = "spaces.Box(0.0, 1.0, (1,), np.float32)"
DISCRETE = "spaces.Discrete(2)"
MODES = '{"render_modes": ["rgb_array", "ansi"], "render_fps": 10}'
CLASS = "    metadata = {"
RENDER = "        cells = self.config.length + 1\n"


def before(text: str, *lines: str) -> tuple[str, str]:
    """Puts lines of a method before `text`."""
    return text, "".join(f"        {line}\n" for line in lines) + text


def after(text: str, *lines: str) -> tuple[str, str]:
    """Puts lines of a method after `text`."""
    return text, text + "".join(f"        {line}\n" for line in lines)


MUTANTS = (
    # The constructor and its config.
    Mutant("takes no config", "constructor_takes_config", (("self, config: Mapping[str, Any] | None = None, render_mode", "self, render_mode"), (READ, "        self.config = EnvConfig()\n"))),
    Mutant("needs EnvContext", "constructor_takes_config constructor_has_defaults", (before(READ, "self.worker = config.worker_index"),), '{"length": 6}', "worker_index"),
    Mutant("key without default", "constructor_has_defaults", (before(READ, 'config["length"]'),), '{"length": 6}', "length"),
    Mutant("misspelt key ignored", "config_keys_used", ((READ, "        self.config = EnvConfig((config or {}).get('length', 10))\n"),), '{"lenght": 6}', "did you mean 'length'"),
    Mutant("changes directory", "constructor_without_side_effects", (before(READ, "import os, tempfile", "os.chdir(tempfile.gettempdir())"),), says="chdir"),
    Mutant("seeds NumPy", "constructor_without_side_effects", (before(READ, "np.random.seed(1)"),), says="np.random"),
    Mutant("slow constructor", "constructor_fast", (before(READ, "import time", "time.sleep(1.3)"),), says="slow"),
    # The spaces.
    Mutant("no action space", "spaces_declared", ((f"self.action_space = {DISCRETE}", "pass"),), says="action_space"),
    Mutant("space is a list", "spaces_declared", ((DISCRETE, "[0, 1]"),), says="list"),
    Mutant("new space each time", "spaces_stable", ((f"        self.action_space = {DISCRETE}\n", ""), (CLASS, f"    action_space = property(lambda self: {DISCRETE})\n{CLASS}"))),
    Mutant("useless feature", "spaces_well_formed", ((BOX, "spaces.Box(np.zeros(2, np.float32), np.array([1, 0], np.float32))"), ("np.array([self._position / self.config.length]", "np.array([self._position / self.config.length, 0.0]"))),
    Mutant("spaces differ", "spaces_same_in_copies constructor_without_side_effects", ((DISCRETE, "spaces.Discrete(2 + np.random.randint(1000))"), ("_MOVES[action]", "_MOVES[action % 2]"))),
    Mutant("start is not 0", "spaces_trainable", ((DISCRETE, "spaces.Discrete(2, start=1)"), ("_MOVES[action]", "_MOVES[action - 1]")), says="start"),
    # reset.
    Mutant("no seed argument", "reset_signature", (("self, *, seed: int | None = None, options: dict[str, Any] | None = None\n", "self\n"), (SEED, "")), says="seed"),
    Mutant("only the observation", "reset_returns", ((STARTED, "        return self._observation()\n"),), says="tuple"),
    Mutant("old random API", "reset_works", (("np_random.integers", "np_random.randint"),), says="randint"),
    Mutant("options required", "reset_works", (after(SEED, 'start = options["start"]'),), says="options"),
    Mutant("slow reset", "reset_fast", (after(SEED, "import time", "time.sleep(0.6)"),), says="slow"),
    # Observations.
    Mutant("list", "observation_type", ((OBSERVED, "        return [self._position / self.config.length]\n"),), says="list"),
    Mutant("float64", "observation_dtype", (("self.config.length], np.float32)", "self.config.length])"),), says="float64"),
    Mutant("late shape", "observation_shape", ((OBSERVED, "        return np.array([0.5] * (1 + (self._position > 5)), np.float32)\n"), )),
    Mutant("NaN at the goal", "observation_finite", ((OBSERVED, "        x = self._position / self.config.length\n        return np.array([x if x < 1 else np.nan], np.float32)\n"),), says="NaN"),
    Mutant("out of bounds at the goal", "observation_bounds", (("self._position / self.config.length]", "self._position / 9]"),), says="1.1"),
    Mutant("off by one", "observation_bounds", ((BOX, "spaces.Discrete(self.config.length)"), (OBSERVED, "        return self._position\n")), says="off by one"),
    Mutant("missing key", "observation_keys", ((BOX, f"spaces.Dict({{'x': {BOX}, 'y': spaces.Discrete(2)}})"), (OBSERVED, "        x = np.array([self._position / self.config.length], np.float32)\n        return {'x': x, 'y': 0} if self._position < 7 else {'x': x}\n")), says="'y'"),
    Mutant("same array again", "observation_not_overwritten", (after(INIT, "self._array = np.zeros(1, np.float32)"), (OBSERVED, "        self._array[0] = self._position / self.config.length\n        return self._array\n")), says="copy"),
    Mutant("constant", "observation_changes", (("[self._position / self.config.length]", "[0.5]"),)),
    Mutant("one step behind", "observation_up_to_date", (after(INIT, "self._time = 0"), after(SEED, "self._time = 0"), (BOX, "spaces.Box(0.0, 1.0, (2,), np.float32)"), ("[self._position / self.config.length]", "[self._position / self.config.length, self._time / 60]"), before(MOVE, "late = self._observation()", "self._time += 1"), (STEPPED, STEPPED.replace("self._observation()", "late"))), says="behind"),
    Mutant("badly scaled", "observation_scale", ((BOX, "spaces.Box(0.0, 1e8, (2,), np.float32)"), ("self._position / self.config.length]", "self._position * 1e6, self._position * 1e-4]"))),
    # Actions and step.
    Mutant("action is compared with a label", "action_has_effect", (("_MOVES[action]", "(1 if action == 'right' else -1)"),)),
    Mutant("action is changed", "action_unchanged", ((DISCRETE, "spaces.Box(-1.0, 1.0, (1,), np.float32)"), (MOVE, "        action *= 0.5\n        self._position = max(self._position + (1 if action[0] > 0 else -1), 0)\n")), says="in place"),
    Mutant("raises at the goal", "step_works", (before(STEPPED, "assert not terminated, 'no bonus'"),), says="no bonus"),
    Mutant("exits at the goal", "step_works", (before(STEPPED, "if terminated:", "    raise SystemExit(0)"),), says="SystemExit"),
    Mutant("ends the process", "process_survives", (before(STEPPED, "if terminated:", "    import os", "    os._exit(3)"),), says="exit code 3"),
    Mutant("hangs at the goal", "calls_return", (before(STEPPED, "while terminated:", "    pass"),), says="step()"),
    Mutant("old API", "step_returns", ((STEPPED, "        return self._observation(), reward, terminated, {}\n"),), says="five"),
    Mutant("slow step", "step_fast", (before(MOVE, "import time", "time.sleep(0.05)"),), says="ms"),
    Mutant("prints", "prints_nothing", (before(MOVE, "print(action)"),)),
    Mutant("warns", "no_numeric_warnings", (before(MOVE, "np.uint8(255) + np.uint8(1)"),), says="overflow"),
    # The reward.
    Mutant("reward is an array", "reward_type", (before(STEPPED, "reward = np.array([reward])"),), says="(1,)"),
    Mutant("reward is NaN", "reward_finite", (before(STEPPED, "reward = float('nan') if self._position == 6 else reward"),)),
    Mutant("reward is constant", "reward_changes", (before(STEPPED, "reward = 0.0"),)),
    Mutant("reward is huge", "reward_scale", (before(STEPPED, "reward *= 1e6"),)),
    Mutant("reward is summed", "reward_not_cumulative", (after(INIT, "self._score = 0.0"), after(SEED, "self._score = 0.0"), before(STEPPED, "self._score -= 0.1", "reward = self._score"))),
    # The ends and the info.
    Mutant("flag is an array", "end_flags_type", ((GOAL, "terminated = np.array([self._position == self.config.length])"),), says="bool"),
    Mutant("time limit terminates", "time_limit_is_truncation", (after(INIT, "self._time = 0"), after(SEED, "self._time = 0"), before(MOVE, "self._time += 1"), (GOAL, f"{GOAL} or self._time >= 40")), says="truncated"),
    Mutant("flags swapped", "end_flags_not_swapped", (after(INIT, "self._time = 0"), after(SEED, "self._time = 0"), before(MOVE, "self._time += 1"), (STEPPED, "        return self._observation(), reward, self._time >= 40, terminated, {}\n"))),
    Mutant("one flag twice", "end_flags_differ", (after(INIT, "self._time = 0"), after(SEED, "self._time = 0"), before(MOVE, "self._time += 1"), (STEPPED, "        done = terminated or self._time >= 40\n        return self._observation(), reward, done, done, {}\n"))),
    Mutant("ends at once", "episodes_last", ((GOAL, "terminated = self._position != self.config.length"),)),
    Mutant("resets itself", "step_does_not_reset", (before(STEPPED, "if terminated:", "    self.reset()"),)),
    Mutant("info is None", "info_type", ((STEPPED, STEPPED.replace("{}", "None")),), says="None"),
    Mutant("info is large", "info_small", ((STEPPED, STEPPED.replace("{}", "{'map': np.zeros(200_000)}")),), says="MB"),
    Mutant("info is not picklable", "info_picklable", ((STEPPED, STEPPED.replace("{}", "{'f': lambda: 0}")),), says="pickled"),
    Mutant("same info again", "info_not_overwritten", (after(INIT, "self._info = {}"), before(STEPPED, "self._info['x'] = self._info.get('x', 0) + 1"), (STEPPED, STEPPED.replace("{}", "self._info")))),
    # Seeds and state.
    Mutant("no super().reset", "reset_seeds_np_random", ((SEED, ""),), says="super().reset(seed=seed)"),
    Mutant("global random numbers", "same_seed_same_episode", (before(MOVE, "self._position -= np.random.randint(2)"),), says="np.random"),
    Mutant("seed 0 is no seed", "same_seed_same_episode", ((SEED, "        if seed:\n            super().reset(seed=seed)\n"),), says="seed 0"),
    Mutant("position is kept", "reset_starts_afresh", ((START, "        self._position = min(self._position + int(self.np_random.integers(0, 3)), 5)\n"),), says="_position"),
    Mutant("same episode again", "no_seed_new_episode", ((SEED, "        super().reset(seed=seed or 0)\n"),), says="replay"),
    Mutant("every copy alike", "copies_without_seed_differ", (after(INIT, "super().reset(seed=1)"),), says="constant"),
    Mutant("reset seeds NumPy", "global_random_untouched", (after(SEED, "np.random.seed(seed)"),)),
    Mutant("order of a set", "same_in_other_process", (("_MOVES[action]", '{"left": -1, "right": 1}[list({"left", "right"})[action]]'),), says="set"),
    Mutant("class-level state", "copies_do_not_interfere", ((CLASS, f"    _place = [0]\n{CLASS}"), (INIT, ""), (CLASS, f"    _position = property(lambda self: self._place[0], lambda self, x: self._place.__setitem__(0, x))\n{CLASS}")), says="_place"),
    # No system hands out a port this low by itself, and Ray takes its own from 10,000 on.
    Mutant("fixed port", "copies_can_be_made env_can_be_pickled", (before(READ, "import socket", "self._socket = socket.socket()", "self._socket.bind(('127.0.0.1', 7311))"),), says="in use"),
    Mutant("same file", "copies_write_own_files", (after(SEED, "import pathlib, tempfile", "pathlib.Path(tempfile.gettempdir(), 'corridor.log').write_text('x')"),), says="corridor.log"),
    Mutant("holds a lock", "env_can_be_pickled", (after(INIT, "import threading", "self._lock = threading.Lock()"),), says="_lock"),
    Mutant("relative path", "works_elsewhere", (after(SEED, "open('pyproject.toml').close()"),), says="pyproject.toml"),
    # Rendering, closing, leaks.
    Mutant("mode not stored", "render_mode_kept", (("self.render_mode = render_mode", "self.render_mode = None"),)),
    Mutant("float image", "render_returns", (("255, np.uint8)", "255.0)"),), says="uint8"),
    Mutant("rendering moves", "render_changes_nothing", (before(RENDER, "self._position = 1"),)),
    Mutant("no frame rate", "render_modes_declared", ((', "render_fps": 10', ""),), says="render_fps"),
    Mutant("history grows", "memory_does_not_grow", (after(INIT, "self._history = []"), before(MOVE, "self._history.append(self._observation())")), says="leak"),
    Mutant("files stay open", "handles_do_not_grow", (after(INIT, "self._files = []"), after(SEED, "import os", "self._files.append(open(os.devnull))")), says="leak"),
    Mutant("a file an episode", "files_do_not_pile_up", (after(SEED, "import os, tempfile", "descriptor, self._path = tempfile.mkstemp()", "os.close(descriptor)"),)),
)  # fmt: skip


UNBROKEN = Mutant("", "", ())


@dataclass(frozen=True)
class Source:
    """A baked project: its `src` folder, its package, and the text of its `env.py`."""

    folder: Path
    package: str
    text: str


@pytest.fixture(scope="module")
def source(bake: Callable[..., Any]) -> Source:
    """The worked example, baked and not installed."""
    project = bake(project_name="Mutant Corridor", starter="corridor")
    return Source(project.path / "src", project.package, project.read(f"src/{project.package}/env.py"))


def mutate(text: str, mutant: Mutant) -> str:
    """The text of a broken `env.py`."""
    for old, new in mutant.changes:
        assert old in text, f"the worked example has no {old!r} any more"
        text = text.replace(old, new, 1)
    return text


def write_copy(source: Source, text: str, folder: Path) -> None:
    """Writes a copy of the project, with another `env.py`, into a folder."""
    shutil.copytree(source.folder, folder / "src")
    (folder / "src" / source.package / "env.py").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").touch()


def environment_for(folder: Path) -> dict[str, str]:
    """Returns the environment variables by which Python finds a copy."""
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}


def check(source: Source, text: str, config: str, folder: Path) -> dict[str, Any]:
    """The report of `check --json` on a copy of the project with another `env.py`."""
    write_copy(source, text, folder)
    options = ["--json", "--config", config, "--ignore", "kit_unchanged"]
    done = subprocess.run(
        [sys.executable, "-m", f"{source.package}.check", *options],
        cwd=folder,
        env=environment_for(folder),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reports(
    source: Source, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """The reports on the selected mutants and on the unbroken example, made two at a time."""
    own = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    calls = [item.callspec.params for item in own if hasattr(item, "callspec")]
    selected = [params["mutant"] for params in calls if "mutant" in params]
    with ThreadPoolExecutor(PROCESSES) as pool:
        yield {
            mutant.name: pool.submit(
                check, source, mutate(source.text, mutant), mutant.config, tmp_path_factory.mktemp("mutant")
            )
            for mutant in (UNBROKEN, *selected)
        }


def test_contract_accepts_the_unbroken_example(reports: dict[str, Future[dict[str, Any]]]) -> None:
    report = reports[UNBROKEN.name].result()
    assert report["ok"] and report["failures"] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_contract_catches(mutant: Mutant, reports: dict[str, Future[dict[str, Any]]]) -> None:
    failures = reports[mutant.name].result()["failures"]
    assert {failure["check"] for failure in failures} == set(mutant.fails.split())
    assert all(failure["message"] and failure["fix"] for failure in failures)
    assert any(mutant.says in f"{failure['message']} {failure['fix']}" for failure in failures)


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= 40
    assert len({name for mutant in MUTANTS for name in mutant.fails.split()}) >= 40


def test_own_tests_go_red_and_say_what_to_write(source: Source, tmp_path: Path) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == "position is kept"]
    write_copy(source, mutate(source.text, mutant), tmp_path)
    shutil.copytree(source.folder.parent / "tests", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_contract.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment_for(tmp_path), capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    assert "reset()" in done.stdout and "look at self._position" in done.stdout, done.stdout
    assert re.findall(r"(?m)^FAILED .*?\[.*?(\w+)\]", done.stdout) == [mutant.fails]
