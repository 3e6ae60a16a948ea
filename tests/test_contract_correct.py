"""Correct environments get no warning, and what a report must not miss: one agent, recorded in this process."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import kit.contract
import pytest
from correct_environments import CORRECT
from kit.commands.check import explained, main
from kit.contract import CHECKS, checks_of, run_checks
from kit.contract.process.child import Request
from kit.contract.record.channel import HEARTBEAT_BYTES, Heartbeat, RecordWriter
from kit.contract.record.compare import told_apart
from kit.contract.record.model import Episode, Step
from kit.contract.record.policies import RANDOM
from kit.contract.record.recorder import Recorder
from kit.errors import UsageError
from kit.task import Task
from several_agents import check, check_class

WALK = """
import gymnasium as gym
import numpy as np
from gymnasium import spaces

class Car:
    def __init__(self):
        self.way = 0

class Env(gym.Env):
    metadata = {"render_modes": []}
    CLASS

    def __init__(self, config=None, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = SPACE
        self.action_space = spaces.Discrete(3)
        INIT

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time, self.odd = float(self.np_random.uniform(-1, 1)), 0, False
        RESET
        return self.look(), INFO

    def look(self):
        place = np.array([self.place, self.time / 50], np.float32)
        return LOOK

    def step(self, action ARGUMENT):
        self.place += 0.1 * (int(action) - 1)
        self.time += 1
        STEP
        return self.look(), -abs(self.place), abs(self.place) > 3, self.time >= 50, INFO
"""
BOX = "spaces.Box(-100, 100, (2,), np.float32)"
PARTS = {"CLASS": "", "INIT": "", "RESET": "", "STEP": "", "INFO": "{}", "ARGUMENT": "", "LOOK": "place", "SPACE": BOX}
MASKED = {
    "SPACE": f"spaces.Dict({{'place': {BOX}, 'action_mask': spaces.MultiBinary(3)}})",
    "LOOK": "{'place': place, 'action_mask': np.ones(3, np.int8)}",
}


@dataclass(frozen=True)
class Mutant:
    """One way to break the environment: what is written where, the only check that fails, and what it says."""

    name: str
    fails: str
    says: str
    parts: dict[str, str] = field(default_factory=dict)
    probes: str = "quick"


MUTANTS = (
    # What leaks: the culprit comes first.
    Mutant("a list grows", "reset_starts_afresh", "look at self.trades", {"INIT": "self.trades = []", "STEP": "self.trades.append(action); self.place += len(self.trades) / 99"}),
    Mutant("an array is added to", "reset_starts_afresh", "look at self.speed", {"INIT": "self.speed = np.zeros(2)", "STEP": "self.speed += 0.01; self.place += self.speed[0]"}),
    Mutant("a generator is made once", "reset_starts_afresh", "look at self.chance", {"INIT": "self.chance = np.random.default_rng(3)", "STEP": "self.place += self.chance.normal() / 99"}),
    Mutant("an object keeps it", "reset_starts_afresh", "look at self.car.way", {"INIT": "self.car = Car()", "STEP": "self.car.way += 1; self.place += self.car.way / 99"}),
    Mutant("a class attribute counts", "same_seed_same_episode", "Env.total", {"CLASS": "total = 0", "STEP": "Env.total += 1; self.place += Env.total / 99"}),
    Mutant("a mutable default", "same_seed_same_episode", "a default of step()", {"ARGUMENT": ", memory=[]", "STEP": "memory.append(1); self.place += len(memory) / 99"}),
    Mutant("copies share a list", "copies_do_not_interfere", "look at Env.where", {"CLASS": "where = [0.0]", "RESET": "self.where[0] = self.place", "STEP": "self.where[0] += 0.1 * (int(action) - 1); self.place = self.where[0]"}),
    Mutant("a class-level generator", "copies_do_not_interfere", "Env.chance", {"CLASS": "chance = np.random.default_rng(1)", "RESET": "Env.chance = Env.chance if seed is None else np.random.default_rng(seed)", "STEP": "self.place += Env.chance.normal() / 9"}),
    Mutant("copies are numbered", "same_seed_same_episode", "Env.count", {"CLASS": "count = 0", "INIT": "Env.count += 1; self.number = Env.count", "RESET": "self.place += self.number / 9"}),
    Mutant("depends on vector_index", "copies_play_alike", "which copy plays them", {"INIT": "self.number = getattr(config, 'vector_index', 0)", "RESET": "self.place += self.number / 9"}, "some"),
    Mutant("a counter runs over", "reset_starts_afresh", "look at self.total", {"INIT": "self.total = 0", "STEP": "self.total += 1; self.time += 1000 * (self.total > 1500)"}, "some"),
    Mutant("resets itself after long", "step_does_not_reset", "calls reset() by itself", {"STEP": "self.time -= 0.6\n        self.place = float(np.clip(self.place, -2, 2))\n        if self.time >= 49.8: self.reset(); return self.look(), -abs(self.place), False, True, {}"}, "all"),
    # Seeds with options.
    Mutant("options draw by chance", "same_seed_same_episode_with_options", "options={}) twice", {"RESET": "if options is not None: self.place = np.random.default_rng().uniform(-1, 1)"}),
    Mutant("some option draws by chance", "same_seed_same_episode_with_options", "{'unknown': 0}", {"RESET": "if options: self.place = np.random.default_rng().uniform(-1, 1)"}),
    # Observations.
    Mutant("misses a bound by rounding", "observation_bounds_exact", "by rounding", {"SPACE": "spaces.Box(-1, 1, (2,), np.float32)", "LOOK": "np.clip(place, -1, 1) * np.float32(1.00002)"}),
    Mutant("text too long", "observation_bounds", "a text of 13 characters, outside its space's 1 to 12", {"SPACE": "spaces.Text(12)", "LOOK": "'a' * (int(abs(self.place) * 10) + 3)"}),
    Mutant("text of other characters", "observation_bounds", "holds '!'", {"SPACE": "spaces.Text(60)", "LOOK": "'a' * (int(abs(self.place) * 10) + 3) + '!' * (self.place > 1)"}),
    Mutant("a list for a tuple", "observation_type", "expected a tuple, got a list", {"SPACE": f"spaces.Tuple(({BOX}, spaces.Discrete(99)))", "LOOK": "[place, self.time]"}),
    Mutant("time since 1970", "observation_scale", "float32 hardly holds", {"SPACE": "spaces.Box(-1e10, 1e10, (2,), np.float64)", "LOOK": "np.array([self.place, 1.7e9 + self.time])"}),
    # Masks, infos, the spec, ends.
    Mutant("mask allows what raises", "step_works", "action_mask allows an action for which step() raises", {**MASKED, "STEP": "assert action < 2 or self.place < 0.5, 'illegal'"}),
    Mutant("mask allows what is refused", "action_mask_leaves_choice", "info['illegal_move'] is True", {**MASKED, "STEP": "self.odd = bool(action == 2 and self.place > 0.5)", "INFO": "{'illegal_move': self.odd}"}),
    Mutant("info of two types", "info_keys_plain", "is a list at step 0 and a str later", {"INFO": "{'event': 'x' if self.time % 2 else ['x']}"}),
    Mutant("spec overwritten", "spec_kept", "self.spec is set to {'a': 1}", {"RESET": "self.spec = {'a': 1}"}),
    Mutant("time limit terminates, though it is seen", "time_limit_is_truncation", "(= max_steps)", {"INIT": "self.max_steps = 40", "STEP": "return self.look(), -abs(self.place), self.time >= 40 or abs(self.place) > 2, False, {}"}, "some"),
    Mutant("no bandit", "episodes_last", "max_episode_steps=1", {"STEP": "return self.look(), -abs(self.place), True, False, {}"}, "some"),
    Mutant("pictures without a frame rate", "render_modes_declared", 'add "render_fps"', {"CLASS": "metadata = {'render_modes': ['ansi', 'rgb_array']}"}),
)  # fmt: skip


def mutated(mutant: Mutant) -> str:
    """The text of the broken environment."""
    text = WALK
    for name, part in {**PARTS, **mutant.parts}.items():
        text = text.replace(name, part)
    return text


def test_contract_accepts_the_unbroken_environment(tmp_path: Path) -> None:
    assert check(tmp_path, mutated(Mutant("", "", "")), "all").failures == []


@pytest.mark.parametrize("env_class", CORRECT, ids=lambda env_class: env_class.__name__)
def test_contract_warns_of_no_correct_environment(env_class: type[Any], tmp_path: Path) -> None:
    report = check_class(tmp_path, env_class, "all" if env_class.__name__ == "Tariff" else "some")
    assert report.failures == [] and report.cut == []
    assert not [why for why in report.skipped.values() if "itself failed" in why]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_contract_names(mutant: Mutant, tmp_path: Path) -> None:
    report = check(tmp_path, mutated(mutant), mutant.probes)
    assert [failure.check for failure in report.failures] == [mutant.fails]
    assert mutant.says in f"{report.failures[0].message} {report.failures[0].fix}"
    assert not [why for why in report.skipped.values() if "itself failed" in why]


@pytest.mark.parametrize(
    ("left", "right", "shown"),
    [
        ({"at": 1, "way": [1, 2]}, {"at": 1, "way": [1, 2, 3]}, ("['way'][2]", "nothing", "3")),
        ({"a": [0.0, 0.123456789]}, {"a": [0.0, 0.123459999]}, ("['a'][1]", "0.123456789", "0.123459999")),
        ("x" * 99 + "left", "x" * 99 + "right", ("", "…" + "x" * 30 + "left'", "…" + "x" * 30 + "right'")),
        (True, False, ("", "True", "False")),
        (None, 3, ("", "None", "3")),
    ],
)
def test_difference_is_told_by_its_first_entry(left: Any, right: Any, shown: tuple[str, str, str]) -> None:
    assert told_apart(left, right) == shown


def test_every_check_can_be_explained() -> None:
    for name, declared in (CHECKS | checks_of(several=True)).items():
        text = explained(name)
        assert "  fails:   " in text and "  passes:  " in text and declared.fix in text
    rows = re.findall(r"^\| (\w+) \|", (Path(kit.contract.__file__).parent / "EXAMPLES.md").read_text(), re.MULTILINE)
    assert {*rows} - {"check"} == {*CHECKS, *checks_of(several=True)}


TASK = Task("kit_tests/Walk-v0", gym.Env, None, None, "nowhere:nothing")


def test_command_explains_and_judges_only_what_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(TASK, ["--explain", "reward_type"]) == 0
    assert "one real number" in capsys.readouterr().out
    path = tmp_path / "walk.py"
    path.write_text(mutated(Mutant("", "", "", {"LOOK": "[1.0, 50.0]", "INFO": "None"})))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert main(TASK, [f"{path}:Env", "--only", "reward_type", "--only", "info_type", "--ignore", "info_type"]) == 0
    printed = capsys.readouterr()
    assert "1 checks in" in printed.out and "info_type (--ignore)" in printed.out and not printed.err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(TASK, [f"{path}:Env", "--only", "observation_type", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["cut_for_time"] == []
    assert re.fullmatch(
        r"::error file=.*walk\.py,line=\d+,title=observation_type::.* list .*%0AFix: .*\n", printed.err.replace(str(tmp_path), "")
    )  # fmt: skip


def test_id_of_gymnasium_is_a_target() -> None:
    report = run_checks("CartPole-v1", quick=True)
    assert report.failures == [] and report.checks_run > 50
    with pytest.raises(UsageError, match="Did you mean: `CartPole`"):
        run_checks("CartPol-v1", quick=True)


def recorder(folder: Path, seconds: float, **asked: bool) -> Recorder:
    """Returns a recorder that has played an episode of so many seconds a step."""
    (folder / "heartbeat").write_bytes(bytes(HEARTBEAT_BYTES))
    request = vars(Request("", {}, quick=False, **asked))  # type: ignore[arg-type]
    made = Recorder(request, Heartbeat(folder / "heartbeat"), RecordWriter(folder / "record"))
    made.episodes = [Episode(1, RANDOM, 0, steps=[Step(0, 0, seconds=seconds)] * 20)]
    return made


def test_as_much_is_played_at_a_tenth_of_a_millisecond_as_at_two(tmp_path: Path) -> None:
    fast, slow = (recorder(tmp_path, seconds).plan_by_pace() for seconds in (0.0001, 0.002))
    assert replace(fast, longest=0) == slow
    busy = recorder(tmp_path, 0.0001)
    busy.episodes[0].steps[5:15] = [Step(0, 0, seconds=0.05)] * 10  # half of them were interrupted
    assert busy.plan_by_pace() == fast
    assert recorder(tmp_path, 0.002, thorough=True).plan_by_pace().total > slow.total


def test_what_is_cut_for_time_is_told(tmp_path: Path) -> None:
    endless = mutated(Mutant("", "", "", {"STEP": "return self.look(), 0.0, False, self.time >= 250, {}"}))
    of = check(tmp_path, endless, "some")
    assert of.cut == [] and "time_limit_is_truncation" not in of.skipped
    of = check(tmp_path, endless.replace("250", "2500"), "some")
    assert "time_limit_is_truncation" in of.cut and of.ok
    assert json.loads(of.to_json())["cut_for_time"] == of.cut
