"""Policies of several agents: saved, loaded, measured and exported; who plays for an agent that is not trained."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from kit.commands import evaluate, export, play, replay, serve
from kit.errors import RunError, UsageError
from kit.files import write_json
from kit.guard.failure import EnvironmentFailure
from kit.multi_agent import MultiAgentEnv, PastSelf
from kit.multi_agent.guard import MultiAgentGuard
from kit.policy import load_policy, measure
from kit.policy.find import find_policy
from kit.spaces import adapters_for, limits_of
from kit.task import Task

torch = pytest.importorskip("torch")
actor_module = pytest.importorskip("kit.policy.actor")
multi_agent = pytest.importorskip("kit.policy.multi_agent")

SEEN = spaces.Box(-1, 1, (2,), np.float32)
SIGNAL = spaces.Dict(action_mask=spaces.MultiBinary(2), seen=spaces.Discrete(2))


class Race(MultiAgentEnv):
    """Two runners go as far as they choose, 0 to 2 cells a step; a caller joins in step 2 and leaves in step 3.

    The config's `steps` is how long an episode is, `start` how far "a" is ahead.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.config = dict(config or {})
        if self.config.get("broken"):
            raise OSError("no such track")
        self.render_mode = render_mode
        self.possible_agents, self.agents = ["a", "b", ("caller", 0)], []
        self.observation_spaces = {"a": SEEN, "b": SEEN, ("caller", 0): SIGNAL}
        self.action_spaces = {agent: spaces.Discrete(3 if agent in "ab" else 2) for agent in self.possible_agents[:2]}
        self.action_spaces[("caller", 0)] = spaces.Discrete(2)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.agents, self.steps = ["a", "b"], 0
        return {agent: self.np_random.uniform(-1, 1, 2).astype(np.float32) for agent in self.agents}, {}

    def step(self, actions: Any) -> Any:
        assert list(actions) == self.agents, actions
        self.steps += 1
        if self.steps == self.config.get("fails"):
            raise ValueError(f"a falls after {actions['a']}")
        is_over = self.steps == self.config.get("steps", 4)
        rewards = {agent: float(action) for agent, action in actions.items()}
        observations: dict[Any, Any] = {x: self.np_random.uniform(-1, 1, 2).astype(np.float32) for x in ("a", "b")}
        terminated = dict.fromkeys(self.agents, is_over) | {"__all__": is_over}
        if self.steps in (2, 3):
            observations["caller", 0] = {"action_mask": np.array([0, 1], np.int8), "seen": 1}
            terminated["caller", 0] = self.steps == 3
        self.agents = [] if is_over else ["a", "b", *[("caller", 0)] * (self.steps == 2)]
        return observations, rewards, terminated, dict.fromkeys(terminated, False), {}

    def render(self) -> Any:
        return np.full((32, 32, 3), 40 * self.steps, np.uint8)


def by_kind(agent: Any) -> Any:
    return "caller" if isinstance(agent, tuple) else "runner"


def against_itself(agent: Any) -> Any:
    return PastSelf("runner") if agent == "b" else by_kind(agent)


def with_rules(agent: Any) -> Any:
    return (lambda observation: 1) if agent != "a" else "runner"


TASK = Task("kit_tests/Race-v0", Race, None, None, "", policy_of=by_kind)
TASK.register()
NAMELESS = replace(TASK, policy_of=lambda agent: by_kind(agent))


def built(seen: Any, acted: Any, favourite: int | None) -> Any:
    """Builds what acts, untrained; with a favourite, it always does that."""
    torch.manual_seed(0)
    adapters = adapters_for(seen, acted, limits_of(Race()))
    actor = actor_module.Actor(adapters.seen, adapters.chosen, {"hidden_units": [16], "image_features": 8})
    for parameter in actor.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    if favourite is not None:
        actor.policy.layers[-1].bias.data[favourite] += 1000
    return actor


def save(folder: Path, task: Task = TASK, favourite: int | None = None, **facts: Any) -> Path:
    """Writes policies for Race, as training does."""
    env = Race()
    roles = task.roles()
    agents = {name: next(a for a in roles.trained if roles.trained[a] == name) for name in roles.policies}
    own = {name: multi_agent.spaces_of_agent(env, agent) for name, agent in agents.items()}
    actors = {
        name: built(env.observation_spaces[agent], env.action_spaces[agent], favourite if name == "runner" else None)
        for name, agent in agents.items()
    }
    kept = {"env_id": task.env_id, "env_config": {}, "versions": {"kit": "1"}, "agents": roles.pairs, "spaces": own}
    folder.parent.mkdir(parents=True, exist_ok=True)
    multi_agent.save_policies(folder, actors, kept | facts)
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with policies in its best checkpoint, in the folder where the test works."""
    monkeypatch.chdir(tmp_path)
    save(Path("runs/first/checkpoints/best/policy"))
    Path("runs/first/config.json").write_text("{}")
    return Path("runs/first")


def observed(count: int = 8) -> list[dict[Any, Any]]:
    """Draws observations of all agents."""
    SEEN.seed(1)
    caller = {"action_mask": np.array([0, 1], np.int8), "seen": 0}
    return [{"b": SEEN.sample(), ("caller", 0): caller, "a": SEEN.sample()} for _ in range(count)]


def test_policies_take_and_give_dicts(run: Path) -> None:
    policy = load_policy("first")
    assert policy.agents == {"a": "runner", "b": "runner", ("caller", 0): "caller"}
    assert list(policy.policies) == ["runner", "caller"] and policy.facts["env_id"] == TASK.env_id
    for observations in observed():
        actions = policy(observations)
        assert list(actions) == ["b", ("caller", 0), "a"] and actions["caller", 0] == 1  # the mask forbids 0
        for agent, name in policy.agents.items():
            assert actions[agent] == policy.policies[name](observations[agent])
    few = {"a": observations["a"]}
    assert policy(few) == {"a": actions["a"]} and policy({}) == {}


def test_policy_of_one_name_is_one_like_any_other(run: Path) -> None:
    policy, one = load_policy("first"), load_policy("runs/first/checkpoints/best/policy/runner")
    many = [observations["a"] for observations in observed()]
    assert one.batch(many) == policy.policies["runner"].batch(many) and one.observation_space == SEEN


def test_drawn_actions_are_repeatable(run: Path) -> None:
    policy, drawn = load_policy("first"), []
    for seed in (3, 3, 4):
        policy.reset(seed=seed)
        drawn.append([tuple(policy(one, deterministic=False).values()) for one in observed(50)])
    assert drawn[0] == drawn[1] != drawn[2]
    assert any(b != a for b, _, a in drawn[0])


def test_wrong_observations_are_told_by_agent(run: Path) -> None:
    policy, (good,) = load_policy("first"), observed(1)
    with pytest.raises(ValueError, match=r"^agent 'a': observation: expected shape \(2,\), got shape \(3,\)"):
        policy(good | {"a": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"^there is no agent 'c'; known are: 'a', 'b', \('caller', 0\)$"):
        policy({"c": good["a"]})


def test_policies_need_neither_ray_nor_their_environment(run: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); from kit.policy import load_policy; load_policy(); "
    code += "print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"agents": [["a", "walker"]]}, r"damaged: it has no spaces of the policies \['walker'\]"),
        ({"agents": 3}, "damaged"),
        ({"agents": [["a"]]}, "damaged"),
        ({"spaces": None}, "damaged"),
        ({"format": 1}, "has format 1"),
    ],
)
def test_damaged_policies_are_refused_in_one_line(run: Path, content: Any, message: str) -> None:
    file = find_policy("first") / "policies.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | content))
    with pytest.raises(UsageError, match=message):
        load_policy("first")


def test_policies_of_other_agents_spaces_and_environments_are_refused(run: Path) -> None:
    other = replace(TASK, policy_of=lambda agent: by_kind(agent) if isinstance(agent, tuple) else agent)
    message = "has no policy 'a' for the agent 'a', only runner, caller; train it anew"
    with pytest.raises(UsageError, match=message):
        measure.play(other, find_policy("first"), None, None, [0])
    with pytest.raises(UsageError, match="is a policy for kit_tests/Race-v0, not for kit_tests/Other"):
        measure.play(replace(TASK, env_id="kit_tests/Other"), find_policy("first"), None, None, [0])
    with pytest.raises(UsageError, match="is one policy of several agents'; give the folder above it"):
        measure.play(TASK, find_policy("runs/first/checkpoints/best/policy/runner"), None, None, [0])
    with pytest.raises(RunError, match="OSError: no such track"):
        measure.play(TASK, find_policy("first"), {"broken": True}, None, [0])
    file = find_policy("first") / "runner" / "policy.json"
    file.write_text(file.read_text().replace('"dtype": "int64"', '"dtype": "int32"'))
    with pytest.raises(UsageError, match="was trained with the action space"):
        measure.play(TASK, find_policy("first"), None, None, [0])


def test_evaluate_tells_the_sum_each_agent_and_each_policy(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(find_policy("first"))
    save(run / "checkpoints/best/policy", favourite=2)
    assert evaluate.main(TASK, ["first", "--episodes", "20", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((run / "evaluation.json").read_text())
    assert report["policy"]["mean"] == 4 * 2 + 4 * 2 + 1  # two runners and the caller, which has one choice
    assert report["policy"]["agents"] == {"a": 8, "b": 8, "('caller', 0)": 1}
    assert report["policy"]["policies"] == {"runner": 8, "caller": 1}
    assert 3 < report["random"]["agents"]["a"] < 5 and report["random"]["difference"]["interval"][0] > 0
    evaluate.main(TASK, ["first", "--episodes", "20"])
    text = capsys.readouterr().out
    assert "the policy is better than random actions" in text
    for line in (r"mean return of +policy +random", r"runner +8 +[345]", r"\('caller', 0\) +1 +1"):
        assert re.search(rf"(?m)^{line}", text), text


def test_evaluate_plays_as_the_task_says(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not trained acts by its rule, beside the policy and beside random actions alike."""
    task = replace(TASK, policy_of=with_rules)
    save(Path("runs/second/checkpoints/best/policy"), task, favourite=0)
    assert evaluate.main(task, ["second", "--episodes", "5", "--json", "--config", '{"steps": 3}']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["policy"]["mean"] == 0 and report["policy"]["agents"]["b"] == report["random"]["agents"]["b"] == 3
    loaded = load_policy("second")
    assert loaded(observed(1)[0]) == {"a": 0}  # the others are the task's


def test_evaluate_compares_two_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("runs/second/checkpoints/best/policy"), favourite=0)
    save(Path("runs/third/checkpoints/best/policy"), favourite=1)
    assert evaluate.main(TASK, ["third", "--against", "second", "--episodes", "6", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["policy"]["policies"]["runner"] == 4 and report["against"]["policies"]["runner"] == 0
    assert report["against"]["difference"]["mean"] == 8


def test_workers_see_the_same_and_films_are_made(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["first", "--episodes", "4", "--json"]
    assert evaluate.main(TASK, arguments) == 0
    alone = json.loads(capsys.readouterr().out)
    Path("main.py").write_text(
        f"import sys\nsys.path[:0] = {[str(PACKAGE), str(Path(__file__).parent)]!r}\n"
        "from test_multi_agent_policy import TASK, evaluate\n"
        f"if __name__ == '__main__': evaluate.main(TASK, {[*arguments, '--workers', '2', '--video']})"
    )
    done = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True)
    report = json.loads(done.stdout or done.stderr)
    for name in ("median", "best"):
        assert Path(report["videos"].pop(name)).stat().st_size > 0
    del report["videos"]
    assert report["policy"]["policies"] == pytest.approx(alone["policy"]["policies"])
    assert report["random"]["agents"] == pytest.approx(alone["random"]["agents"])


def test_win_rates_of_self_play(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = replace(TASK, policy_of=against_itself)
    save(Path("runs/self/checkpoints/best/policy"), task, favourite=1)
    for steps, favourite in ((0, 0), (900, 0), (2_000, 2), (10_000, 2)):
        save(Path("opponents") / str(steps), task, favourite)
        snapshot = Path("runs/self/opponents") / str(steps)
        shutil.copytree(Path("opponents") / str(steps) / "runner", snapshot / "runner")
    assert evaluate.main(task, ["self", "--episodes", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    rates = report["win_rates"]
    assert list(rates) == ["random", "0", "900", "2,000", "10,000", "policy"]
    assert [rates["policy"][column] for column in list(rates)[1:]] == [1, 1, 0, 0, 0.5]
    assert [rates[row]["policy"] for row in list(rates)[1:]] == [0, 0, 1, 1, 0.5]
    assert rates["random"]["0"] >= 0.5 >= rates["random"]["2,000"]
    assert report["policy"]["mean"] == 4 + 1  # of the trained agents: "a" and the caller
    assert evaluate.main(task, ["self", "--episodes", "4"]) == 0
    text = capsys.readouterr().out
    for line in (r" +random +0 +900 +2,000 +10,000 +policy$", r"policy +\S+ +1 +1 +0 +0 +0.5$"):
        assert re.search(rf"(?m)^{line}", text), text


def test_against_itself_is_measured_beside_random_actions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The past self is played by the policy, whoever plays against it."""
    task = replace(TASK, policy_of=against_itself)
    save(Path("runs/self/checkpoints/best/policy"), task, favourite=2)
    assert evaluate.main(task, ["self", "--episodes", "10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["policy"]["agents"]["b"] == report["random"]["agents"]["b"] == 8
    assert report["random"]["agents"]["a"] < 8


def test_rule_that_workers_cannot_get_is_told_in_one_line(run: Path) -> None:
    with pytest.raises(UsageError, match="Can't pickle .*lambda.*; write it as a function at the top of a module"):
        evaluate.main(NAMELESS, ["first", "--episodes", "4", "--workers", "2"])


def test_export_writes_a_file_for_each_policy(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    assert export.main(TASK, ["first"]) == 0
    policy, (observations,) = load_policy("first"), observed(1)
    for name, agent in (("runner", "a"), ("caller", ("caller", 0))):
        exported = load_policy(run / f"policy_{name}.onnx")
        assert exported(observations[agent]) == policy.policies[name](observations[agent])
    assert capsys.readouterr().out.count("acts as the policy does") == 2
    assert export.main(TASK, [str(find_policy("first") / "runner")]) == 0
    assert (run / "policy.onnx").read_bytes() == (run / "policy_runner.onnx").read_bytes()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (
            serve.main,
            ["first", "--port", "0"],
            "serve answers with one policy, here are 2: give .*/caller or .*/runner$",
        ),
        (play.main, [], "play is for one agent; evaluate --video shows"),
    ],
)
def test_what_is_for_one_agent_says_so(
    run: Path, command: Callable[..., int], arguments: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        command(TASK, arguments)


def test_replay_takes_the_actions_of_all_agents_again(run: Path) -> None:
    guard = MultiAgentGuard(TASK.make({"fails": 3}))
    with pytest.raises(EnvironmentFailure) as caught:
        guard.reset(seed=5)
        guard.step({"a": 1, "b": 2})
        guard.step({"a": 0, "b": 2})
        guard.step({"a": 2, "b": 0, ("caller", 0): 1})
    write_json(run / "failure.json", caught.value.facts)
    write_json(run / "config.json", {"env_config": {"fails": 3}})
    with pytest.raises(RunError, match="ValueError: a falls after 2"):
        replay.main(TASK, [str(run / "failure.json")])


def test_lines_of_the_docs_run(run: Path) -> None:
    """Race refuses actions of agents that have ended, or are not observed."""
    text = (PACKAGE / "kit" / "docs" / "policy.md").read_text(encoding="utf-8")
    (block,) = re.findall(
        r"```python\n(.*?)```", text.partition("\n## Of several agents\n")[2].partition("\n## ")[0], re.DOTALL
    )
    names: dict[str, Any] = {"TASK": TASK, "load_policy": load_policy}
    exec(block.partition("load_policy\n")[2], names)
    assert names["is_over"] and names["env"].unwrapped.steps == 4
