"""The judges, on records built in memory: no environment, no process, no bake."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from kit.contract.judge import CHECKS, Failure, judge, registry
from kit.contract.record.channel import RecordWriter, read_record
from kit.contract.record.compare import difference
from kit.contract.record.env_record import EnvRecord
from kit.contract.record.model import (
    About,
    Build,
    CallError,
    Episode,
    Growth,
    Rendered,
    Replays,
    Starts,
    Step,
    Stop,
)
from kit.contract.record.policies import RANDOM, Policy
from kit.contract.record.surroundings import Snapshot

BOX = spaces.Box(0.0, 1.0, (2,), np.float32)
SHOT = Snapshot("/home")
LEFT, RIGHT = Policy("always action 0", 0), Policy("always action 1", 1)


def obs(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def episode(
    number: int = 1, policy: Policy = RANDOM, seed: int | None = 0, length: int = 12, **changes: Any
) -> Episode:
    """An episode that walks to 1 and is terminated there; the second number depends on the policy."""
    other = len(policy.label) / 50
    steps = [
        Step(i % 2, obs(i / length, other), -0.1 * (i % 3), i == length, False, seconds=1e-5)
        for i in range(1, length + 1)
    ]
    made = Episode(number, policy, seed, obs(0.0, other), has_reset=True, steps=steps, ended=True, around=[SHOT] * 3)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def record(**sections: Any) -> EnvRecord:
    """The record of an environment without fault."""
    episodes = [
        episode(1),
        episode(2, seed=1, length=14),
        episode(3, LEFT, 2, 10),
        episode(4, RIGHT, 2, 11),
        episode(5, LEFT, 3, 13),
    ]
    declared = {"observation_space": BOX, "action_space": spaces.Discrete(2)}
    about = About(
        where={name: f"env.py:{line}" for line, name in enumerate(("__init__", "reset", "step", "render"), 1)},
        bases=["env.Env", "gymnasium.core.Env"],
        metadata={"render_modes": ["rgb_array"], "render_fps": 10},
        spaces=declared,
        samples={name: (space.sample(), True) for name, space in declared.items()},
        reset_parameters={"self": "required", "seed": None, "options": None},
    )
    made = {
        "builds": {name: Build((SHOT, SHOT)) for name in ("context", "plain", "second")},
        "about": about,
        "episodes": episodes,
        "config_changes": {},
        "spaces_after": {},
        "unread_keys": {},
        "defaults": {"empty": None},
        "copies": {name: (None, False) for name in declared},
        "seeding": {"ignored": None, "reseeds": [], "differs": None},
        "replays": Replays(episode(1), episode(3), episode(4, seed=1, length=14), episode(1)),
        "starts": Starts([(i,) for i in range(6)], [(9 + i,) for i in range(6)], [(20 + i,) for i in range(3)]),
        "self_reset": (0, ""),
        "closing": {},
        "shared_files": [],
        "unpicklable": None,
        "growth": Growth(6, 500, {"threads": [1] * 5}, [1000] * 5),
        "stacked": None,
        "rendered": [
            Rendered("rgb_array", episode(1), "rgb_array", [np.full((4, 4, 3), i, np.uint8) for i in range(4)])
        ],
        "draws": False,
        "replicas": [EnvRecord(builds={"context": Build((SHOT, SHOT))}, replica=episode(1))],
    }
    return EnvRecord(**(made | sections))


def failures(of: EnvRecord) -> dict[str, Failure]:
    """What the checks find, by check; a judge that fails itself is an error."""
    results = judge(of)
    for name, result in results.items():
        assert not (isinstance(result, str) and result.startswith("the check itself")), f"{name}: {result}"
    return {name: result[0] for name, result in results.items() if isinstance(result, list) and result}


def broken(number: int = 0, **changes: Any) -> EnvRecord:
    """The record with a change to one episode."""
    made = record()
    for name, value in changes.items():
        setattr(made.episodes[number], name, value)
    return made


def with_step(index: int, **changes: Any) -> EnvRecord:
    """The record with a change to one step of the second episode, which no other pass repeats."""
    made = record()
    for name, value in changes.items():
        setattr(made.episodes[2].steps[index], name, value)
    return made


def test_judges_find_nothing_in_a_record_without_fault() -> None:
    assert failures(record()) == {}


def test_judges_of_an_empty_record_say_that_there_is_nothing_to_look_at() -> None:
    assert set(failures(EnvRecord())) == set()
    assert judge(EnvRecord())["step_works"] == "episodes was not recorded"


def error(call: str, kind: str, step: int = 0) -> CallError:
    return CallError(call, step, f"{kind}: text", "env.py:99", (kind, "Exception"))


CASES = {
    # The constructor and the spaces.
    "constructor_takes_config": lambda: record(
        builds={"context": Build((SHOT, SHOT), error=error("__init__", "KeyError")), "plain": Build((SHOT, SHOT))}
    ),
    "constructor_without_side_effects": lambda: record(
        builds={"context": Build((SHOT, Snapshot("/tmp"))), "second": Build((SHOT, SHOT))}
    ),
    "constructor_default_not_mutable": lambda: record(
        defaults={"empty": None, "default written to": ("{}", "{'a': 1}")}
    ),
    "config_unchanged": lambda: record(config_changes={"length": ("changed", "3", "4", True)}),
    "config_keys_used": lambda: record(unread_keys={"lenght": "length"}),
    "spaces_stable": lambda: record(spaces_after={"action_space": ("Discrete(2)", "Discrete(3)")}),
    "spaces_same_in_copies": lambda: record(copies={"observation_space": (("Box(0)", "Box(1)"), False)}),
    # reset, step, observations, rewards, ends, infos.
    "reset_works": lambda: broken(4, error=error("reset", "ValueError")),
    "reset_returns": lambda: broken(0, malformed={"reset": "array of shape (2,)"}),
    "step_works": lambda: broken(3, error=error("step", "IndexError", 11)),
    "action_unchanged": lambda: with_step(3, action_after=7),
    "observation_shape": lambda: with_step(4, obs=obs(0.5)),
    "observation_finite": lambda: with_step(4, obs=obs(0.5, np.nan)),
    "observation_bounds": lambda: with_step(4, obs=obs(0.5, 1.5)),
    "observation_type": lambda: with_step(4, obs=[0.5, 0.5]),
    "observation_dtype": lambda: with_step(4, obs=np.array([0.5, 0.5])),
    "observation_not_overwritten": lambda: broken(
        2, faults={"observation overwritten": (3, "the observation was overwritten")}
    ),
    "reward_type": lambda: with_step(4, reward=np.array([1.0])),
    "reward_finite": lambda: with_step(4, reward=float("inf")),
    "reward_scale": lambda: with_step(4, reward=-1e6),
    "end_flags_type": lambda: with_step(9, terminated=np.array([True])),
    "step_does_not_reset": lambda: record(self_reset=(1, "at step 3")),
    "info_type": lambda: broken(2, faults={"info type": (3, "info must be a dict, got None")}),
    "info_small": lambda: broken(2, info_largest=(2_000_000, "map", 3)),
    "info_picklable": lambda: broken(2, faults={"info unpicklable": (3, "info['f'] is a function")}),
    # Seeds and copies.
    "reset_seeds_np_random": lambda: record(seeding={"ignored": "None", "reseeds": [], "differs": None}),
    "no_seed_new_episode": lambda: record(starts=Starts([(i,) for i in range(6)], [(9,)] * 6)),
    "copies_can_be_made": lambda: record(
        builds={"context": Build((SHOT, SHOT)), "second": Build((SHOT, SHOT), error=error("__init__", "OSError"))}
    ),
    "copies_do_not_interfere": lambda: record(
        replays=Replays(episode(1), episode(3), episode(4, seed=1, length=14), episode(1, length=9))
    ),
    "vector_works": lambda: record(stacked=error("step", "ValueError")),
    "env_can_be_pickled": lambda: record(unpicklable=("self._lock, a lock", "TypeError")),
    # The process.
    "process_survives": lambda: record(stops=[Stop("exit", 3, "step", 7, "episode 1")]),
    "calls_return": lambda: record(stops=[Stop("hang", 0, "reset", 0, "episode 1", where="env.py:7")]),
    "memory_does_not_grow": lambda: record(growth=Growth(6, 500, {}, [i * 10**6 for i in range(5)])),
    "handles_do_not_grow": lambda: record(growth=Growth(6, 500, {"threads": [1, 7, 13, 19, 25]}, [1000] * 5)),
    "close_twice": lambda: record(closing={"twice": error("close", "AttributeError")}),
    "kit_unchanged": lambda: record(changed_kit_files=["guard/__init__.py"]),
    # Rendering.
    "render_mode_kept": lambda: record(rendered=[Rendered("rgb_array", episode(1), None)]),
    "render_returns": lambda: record(rendered=[Rendered("rgb_array", episode(1), "rgb_array", [np.zeros((4, 4, 3))])]),
    "render_changes_nothing": lambda: record(rendered=[Rendered("ansi", episode(1, length=9), "ansi", ["x"])]),
}


@pytest.mark.parametrize("name", CASES)
def test_judge_finds_its_fault_and_no_other(name: str) -> None:
    found = failures(CASES[name]())
    assert set(found) == {name}
    assert found[name].message and found[name].fix


def test_every_check_says_what_to_write_instead() -> None:
    names = list(CHECKS)
    for index, (name, check) in enumerate(CHECKS.items()):
        assert check.fix and check.function.__doc__, name
        assert {*check.after.split()} <= {"any", *names[:index]}, f"{name} looks at a check that is judged after it"


def test_check_is_moot_after_the_error_of_another() -> None:
    of = record(copies={"observation_space": (("Box(0)", "Box(1)"), False)})
    of.replays.alone = episode(1, length=9)
    assert set(failures(of)) == {"spaces_same_in_copies"}
    assert judge(of)["same_seed_same_episode"] == "see spaces_same_in_copies"


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("observation_finite", True),
        ("observation_shape", True),
        ("observation_type", True),
        ("observation_dtype", False),  # the adapters convert it
        ("observation_bounds", False),  # finite floats beyond their bounds harm nothing
        ("reward_type", True),
        ("end_flags_type", True),
        ("step_works", True),
        ("process_survives", True),
        ("calls_return", True),
        ("render_returns", False),
        ("copies_do_not_interfere", False),
        ("config_unchanged", False),
    ],
)
def test_only_what_makes_training_impossible_blocks_it(name: str, blocks: bool) -> None:
    assert failures(CASES[name]())[name].blocks_training is blocks


def test_integer_out_of_range_blocks_training() -> None:
    of = record()
    of.about.spaces["observation_space"] = spaces.Discrete(3)
    of.about.samples["observation_space"] = (1, True)
    for each in [*of.episodes, *(vars(of.replays)[name] for name in ("alone", "again", "mixed_old", "mixed_new"))]:
        each.obs = 0
        for number, step in enumerate(each.steps):
            step.obs = 1 + number % 3
    assert failures(of)["observation_bounds"].blocks_training


def chaotic(start: float, growth: float, length: int = 40) -> Episode:
    """The episode whose first number is off by `start` from step 5 on, times `growth` at each step."""
    made = episode(1, length=length)
    for number, step in enumerate(made.steps[5:]):
        step.obs = obs(step.obs[0] + start * growth**number, step.obs[1])
    return made


def replays(make: Callable[[], Episode]) -> Replays:
    """Returns replays that all played the same."""
    return Replays(make(), make(), make(), make())


@pytest.mark.parametrize(
    ("start", "growth", "severity"),
    [(1e-6, 1.5, "warning"), (0.05, 1.05, "error"), (0.1, 1.0, "error"), (1e-4, 1.0, "error")],
    ids=["rounding that grows", "more than rounding", "a leak", "a small leak that stays"],
)
def test_difference_that_grows_from_rounding_is_no_leak(start: float, growth: float, severity: str) -> None:
    of = record(replays=replays(lambda: episode(1, length=40)))
    of.episodes[0] = episode(1, length=40)
    of.replays.again = chaotic(start, growth)
    of.replays.mixed_old.seed = 1
    found = failures(of)["reset_starts_afresh"]
    assert found.severity == severity
    assert ("rounding" in found.message) is (severity == "warning")


@pytest.mark.parametrize(("numbers", "severity"), [(24, "warning"), (1, "error")], ids=["all at once", "one of many"])
def test_small_difference_of_all_numbers_at_once_is_a_solvers(numbers: int, severity: str) -> None:
    """A used BipedalWalker differs from a fresh one by 1 % in 20 of 24 numbers: contacts are solved in another order."""
    of = record(replays=replays(lambda: episode(1)))
    of.about.spaces["observation_space"] = spaces.Box(-10.0, 10.0, (24,), np.float32)
    of.about.samples["observation_space"] = (np.zeros(24, np.float32), True)
    steps = np.linspace(0.5, 1, 15)[:, None] * np.linspace(0.5, 1, 24)
    again = of.replays.again
    for each in [*of.episodes, of.replays.alone, again, of.replays.mixed_old, of.replays.mixed_new]:
        each.obs = obs(*steps[0])
        for number, step in enumerate(each.steps, 1):
            step.obs = obs(*steps[number])
            step.obs[:numbers] *= 1.01 if each is again else 1.0
    found = failures(of)["reset_starts_afresh"]
    assert found.severity == severity


def test_difference_names_the_first_entry_with_both_numbers_in_full() -> None:
    left, right = episode(1), episode(1)
    right.steps[3].obs = obs(float(left.steps[3].obs[0]), 0.123456789)
    found = difference(left, right)
    assert found is not None and found.step == 4
    shown = found.shown()
    assert shown.startswith("observation[1] at step 4 of episode 1")
    assert str(left.steps[3].obs[1]) in shown and str(np.float32(0.123456789)) in shown


@pytest.mark.parametrize(
    "text",
    [
        "FatalError: an OpenGL platform library has not been loaded into this process",
        "FatalError: gladLoadGL error",
        "error: No available video device",
        "GLFWError: X11: The DISPLAY environment variable is missing",
        "ImportError: Unable to load EGL library",
        "pygame.error: Unable to open X display, GLXBadFBConfig",
        "RuntimeError: Could not initialize OpenGL",
    ],
)
def test_machine_without_a_screen_is_a_warning(text: str) -> None:
    failed = CallError("render", 1, text, "env.py:9", ("Exception",))
    found = failures(record(rendered=[Rendered("rgb_array", episode(1), "rgb_array", error=failed)]))
    assert set(found) == {"render_possible_here"}
    assert found["render_possible_here"].severity == "warning"


def test_record_can_be_read_as_far_as_it_was_written(tmp_path: Any) -> None:
    path = tmp_path / "record"
    writer = RecordWriter(path)
    writer.write("item", "episodes", episode(1))
    writer.write("missing", "growth", "no step could be made")
    writer.write("item", "episodes", episode(2))
    path.write_bytes(path.read_bytes()[:-50])
    of = read_record(path)
    assert [each.number for each in of.episodes] == [1]
    assert difference(of.episodes[0], episode(1)) is None
    assert judge(of)["memory_does_not_grow"] == "no step could be made"


class Foreign:
    """A class that the judges' process need not know."""

    def __repr__(self) -> str:
        return "a foreign thing"


def test_objects_of_unknown_classes_are_written_as_their_text(tmp_path: Any) -> None:
    path = tmp_path / "record"
    writer = RecordWriter(path)
    writer.write("section", "defaults", {"a": Foreign(), "b": lambda: 0, "c": np.float64(1.5), "d": BOX, "e": Foreign})
    of = read_record(path).defaults
    assert repr(of["a"]) == "a foreign thing" and type(of["a"]).__name__ == "Foreign"
    assert not isinstance(of["a"], Foreign) and not callable(of["b"]) and not isinstance(of["e"], type)
    assert of["c"] == 1.5 and of["d"] == BOX


def test_check_of_the_kits_readme_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function of the README is all it takes."""
    text = (PACKAGE / "kit" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.setattr(registry, "CHECKS", dict(CHECKS))
    exec(code, {"check": registry.check, "EnvRecord": EnvRecord, "Findings": registry.Findings})
    of = record()
    assert registry.look(registry.CHECKS, of)["reward_small"] == []
    of.episodes[0].steps[0].reward = 2.0
    failure = list(registry.look(registry.CHECKS, of)["reward_small"])[0]
    assert isinstance(failure, Failure)
    assert failure.severity == "warning" and "the reward is 2.0 at step 1" in failure.message
