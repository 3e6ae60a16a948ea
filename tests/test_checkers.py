"""Checkers are compared by one rule, mutants are their models with one mistake, and a collection of one's own is measured."""

import argparse
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import TEMPLATE, BakedProject

sys.path.insert(0, str(TEMPLATE / "benchmarks"))

import asking
import checker_tables
import checkers
import mutants
import results
from asking import OURS, THEIRS, ZOO, Verdict, of_broken, of_correct

GYMNASIUM, BASELINES = THEIRS.values()
ENV = """
import gymnasium as gym
from gymnasium import spaces

CONFIG = {{}}
{expect}

class Env(gym.Env):
    def __init__(self, config=None, render_mode=None):
        self.render_mode = render_mode
        self.observation_space, self.action_space = spaces.Discrete(50), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(5, 20))
        return self.place, {{}}

    def step(self, action):
        self.place += int(action)
        return self.place, float(action), self.place == {last}, False, {{}}
"""


def test_a_rule_for_all_checkers() -> None:
    assert of_correct(Verdict(None, [])) == of_correct(Verdict(["E"], ["W"])) == "accused"
    assert of_correct(Verdict([], ["W"])) == "warned" and of_correct(Verdict([], [])) == "clean"
    assert of_broken(Verdict([], ["the Reward is NaN"]), "reward.*nan") == "caught"
    assert of_broken(Verdict(["KeyError: 3"], []), "nan") == of_broken(Verdict(None, []), "nan") == "unclear"
    assert of_broken(Verdict([], []), "nan") == "missed"


def test_what_is_said_of_the_unbroken_one_does_not_count() -> None:
    unbroken = Verdict([], ["bounds at step 3 of <object at 0x7f01>"])
    assert of_broken(Verdict([], ["bounds at step 14 of <object at 0x80ff>"]), "bounds", unbroken) == "missed"
    assert of_broken(Verdict([], ["bounds at step 14", "other"]), "nothing", unbroken) == "unclear"
    assert of_broken(Verdict(None, []), "answer", Verdict(None, [])) == "missed"


def result(environment: str, library: str, mistake: str | None, *outcomes: str) -> dict[str, Any]:
    names = (GYMNASIUM, BASELINES, OURS) if len(outcomes) == 3 else (ZOO, OURS)
    said = {name: {"outcome": outcome, "says": []} for name, outcome in zip(names, outcomes, strict=True)}
    return {"library": library, "environment": environment, "mistake": mistake, "checkers": said}


def test_tables_count_each_checker() -> None:
    text = checker_tables.tables(
        [
            result("A-v0", "toys", None, "warned", "accused", "clean"),
            result("B-v0", "toys", None, "warned", "clean", "clean"),
            result("C", "PettingZoo", None, "clean", "accused"),
            result("A/X-v0", "A", "X", "unclear", "missed", "caught"),
            result("B/X-v0", "B", "X", "missed", "caught", "missed"),
        ]
    )
    assert "| toys, 2 | 0, 2 | 1, 0 | 1, 1 |  | 0, 0 |" in text
    assert "| PettingZoo, 1 |  |  |  | 0, 0 | 1, 0 |" in text
    assert "| all, 3 | 0, 2 of 2 | 1, 0 of 2 | 1, 1 of 2 | 0, 0 of 1 | 1, 0 of 3 |" in text
    assert "| mistakes caught in | A, 1 | B, 1 | all, 2 | unclear | missed |" in text
    assert "| both together | 0 | 1 | 1 | 1 | 0 |" in text and f"| {OURS} | 1 | 0 | 1 | 0 | 1 |" in text
    assert f"{OURS}, accused: C" in text and f"{OURS}, missed: B/X-v0" in text


def test_a_collection_of_ones_own(corridor: BakedProject, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(checkers, "THEIRS", {"gymnasium": GYMNASIUM})
    monkeypatch.setattr(sys, "argv", ["checkers.py", str(tmp_path), corridor.package, "--python", str(corridor.python)])
    monkeypatch.chdir(tmp_path)
    for kind, expect, last in (("bugs", "EXPECT = 'off by one'", 50), ("good", "", 49)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "walk.py").write_text(ENV.format(expect=expect, last=last), encoding="utf-8")
    assert checkers.main() == 0
    text = capsys.readouterr().out
    assert f"| {GYMNASIUM} | 0 of 1 | 1 | 0 | 1 of 1 | 1 |" in text  # it asks both for render modes
    assert f"| {OURS} | 1 of 1 | 0 | 0 | 1 of 1 | 0 |" in text


def test_what_is_installed_is_asked_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(target: str, config: Any, folder: Path) -> Verdict:
        asked.append(target)
        return Verdict([], ["the reward is NaN"] if "NaN" in target else [])

    monkeypatch.setattr(checkers, "askers", lambda *how: {GYMNASIUM: ask, BASELINES: ask, OURS: ask})
    monkeypatch.setattr(checkers, "KEPT", tmp_path / "checkers.json")
    monkeypatch.setattr(checkers, "VERSIONS", ())
    options = argparse.Namespace(only="mutants:Taxi/Reward*", again="-", python="", v=False)
    checkers.run_installable(options, "package", [])
    kept = results.load(tmp_path / "checkers.json")
    assert [one["mistake"] for one in kept] == ["RewardNaN", "RewardArray", "RewardSum"]
    assert [one["checkers"][OURS]["outcome"] for one in kept] == ["caught", "missed", "missed"]
    assert asked.count("mutants:Taxi/Unbroken-v0") == 3 and len(asked) == 3 * 4
    checkers.run_installable(options, "package", [])
    assert len(asked) == 12
    options.again = "*Sum*"
    checkers.run_installable(options, "package", [])
    assert len(asked) == 12 + 6 and len(results.load(tmp_path / "checkers.json")) == 3


def play(env: gym.Env[Any, Any]) -> str:
    """Returns all that an episode of 30 steps gives, as text."""
    found: list[Any] = [env.reset(seed=5)]
    env.action_space.seed(5)
    for _ in range(30):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        found.append((observation, float(reward), bool(terminated), bool(truncated), info))
        if terminated or truncated:
            break
    return np.array_repr(np.array(found, dtype=object))


def test_mutants_are_their_models_with_a_mistake() -> None:
    for name, model in mutants.MODELS.items():
        if name == "DoorKey":
            pytest.importorskip("minigrid")
        if name == "Hopper":
            pytest.importorskip("mujoco")
        unbroken = gym.make(f"{name}/Unbroken-v0", disable_env_checker=True)
        assert play(unbroken) == play(gym.make(model, disable_env_checker=True))
    mistakes = {mistake for _, mistake in mutants.MUTANTS.values()} - {mutants.Unbroken}
    assert len(mistakes) >= 25 and all(mistake.says and mistake.__doc__ for mistake in mistakes)


def test_results_that_are_kept_can_be_read() -> None:
    found = results.load(checkers.KEPT)
    assert len({one["environment"] for one in found}) == len(found) >= 150
    for one in found:
        assert {"date", "commit", "machine", "cores", "versions"} <= set(one) and OURS in one["checkers"]
        assert {said["outcome"] for said in one["checkers"].values()} <= set(asking.RANKS)
