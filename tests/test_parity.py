"""Every face of a policy does the same: RLlib, load_policy, the ONNX file, evaluate, serve; alone, and in batches."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from kit.commands import evaluate, export
from kit.policy import load_policy
from kit.policy.space_json import to_json
from kit.spaces import Limits, adapters_for
from kit.spaces.observations import leaves
from kit.task import Task

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
folder_module = pytest.importorskip("kit.policy.folder")
Actor = pytest.importorskip("kit.policy.actor").Actor
ActorCritic = pytest.importorskip("kit.rllib.rl_module").ActorCritic

NETWORKS = {"hidden_units": [16, 16], "image_features": 16}
IMAGE = spaces.Box(0, 255, (12, 10, 3), np.uint8)
VECTOR = spaces.Box(-1, 1, (3,), np.float32)
UNEVEN = spaces.Box(np.array([0, -5]), np.array([1, np.inf]), dtype=np.float64)
CASES: dict[str, tuple[gym.Space[Any], gym.Space[Any]]] = {
    "Box": (spaces.Box(np.array([-np.inf, 0.1]), np.array([3, np.inf]), dtype=np.float64), UNEVEN),
    "image": (IMAGE, spaces.Discrete(5, start=2)),
    "Dict with image": (
        spaces.Dict(camera=IMAGE, near=spaces.Dict(left=VECTOR, gear=spaces.Discrete(4, start=-1))),
        spaces.Dict(gear=spaces.Discrete(4), wheel=spaces.Box(-1, 1, (1,), np.float32)),
    ),
    "Discrete": (spaces.Discrete(6, start=1), spaces.Discrete(3, start=-1)),
    "MultiDiscrete": (
        spaces.MultiDiscrete(np.array([[3, 4]]), start=np.array([[1, -1]])),
        spaces.MultiDiscrete([2, 3], start=[5, 0]),
    ),
    "mixed Tuple": (
        spaces.Tuple([spaces.Discrete(4), spaces.MultiBinary(3), spaces.Box(-5, 2**20, (2,), np.int32)]),
        spaces.Tuple([spaces.MultiDiscrete([3, 3]), spaces.Box(0, np.inf, (2, 1), np.float32), spaces.MultiBinary(2)]),
    ),
    "mask": (spaces.Dict(action_mask=spaces.MultiBinary(5), position=VECTOR), spaces.MultiDiscrete([2, 3])),
}
MORE: dict[str, tuple[gym.Space[Any], gym.Space[Any]]] = {
    "stacked images": (
        spaces.Dict(depth=spaces.Box(-2.0, 2.0, (3, 8, 8, 2), np.float64), sea=spaces.Box(0, 1, (2, 8, 8), np.float32)),
        spaces.Box(-50, 50, (2, 2), np.int8),
    ),
    "grey image": (spaces.Box(0, 200, (40, 50), np.uint8), spaces.Box(0, 3, (2,), np.int32)),
    "integers as an image": (spaces.Box(-300, 300, (8, 8, 2), np.int16), spaces.Box(-(10**6), 10**12, (2,), np.int64)),
    "half floats": (spaces.Box(-1, 1, (3,), np.float16), spaces.Box(-1, 1, (3,), np.float16)),
    "wide integers": (spaces.Box(-(2**40), 2**60, (), np.int64), spaces.Box(-3, 5, (), np.float64)),
    "only a mask": (spaces.Dict(action_mask=spaces.MultiBinary(3)), spaces.Discrete(3)),
    "names of torch": (
        spaces.Dict({"tanh": VECTOR, "linear": VECTOR, "val_0": VECTOR}),
        spaces.Dict({"cat": spaces.Discrete(2), "linear": spaces.Box(-np.inf, 9, (2,), np.float32)}),
    ),
}


class Echo(gym.Env[Any, Any]):
    """Shows what its space draws, and rewards what is done there by the numbers of the action."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.observation_space, self.action_space = (CASES | MORE)[config["case"]]
        self.render_mode = render_mode

    def _observation(self) -> Any:
        observation = self.observation_space.sample()
        if isinstance(observation, dict) and "action_mask" in observation:
            observation["action_mask"][[0, -1]] = 1
        return observation

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self._steps = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        reward = float(np.sum([np.sum(part) for part in parts(self.action_space, [action])]))
        return self._observation(), reward, self._steps == 10, False, {}


TASK = Task(env_id="kit_tests/Echo-v0", env_class=Echo, max_episode_steps=None, reward_threshold=None, algorithm="")
TASK.register()


def save(case: str, folder: Path) -> Path:
    """Writes a policy with random weights, and statistics that are not those it begins with."""
    observation_space, action_space = (CASES | MORE)[case]
    torch.manual_seed(0)
    adapters = adapters_for(observation_space, action_space, Limits())
    actor = Actor(adapters.seen, adapters.chosen, NETWORKS)
    for parameter in actor.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    for statistics in actor.observation_statistics.values():
        statistics.update(torch.randn(64, len(statistics.mean)))
    own = {"observation": to_json(observation_space), "action": to_json(action_space), "limits": Limits()._asdict()}
    facts = {"env_id": TASK.env_id, "spaces": own, "env_config": {"case": case}, "versions": {"kit": "1"}}
    folder.parent.mkdir(parents=True)
    folder_module.save_policy(folder, actor, facts | {"run": "first"})
    return folder


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Any, Any]]:
    """Returns a function that saves a policy and exports it, and returns the folder's and the file's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "_CHECKED", 64)  # the tests themselves look at more

    def both(case: str) -> tuple[Any, Any]:
        save(case, Path("runs/first/checkpoints/best/policy"))
        Path("runs/first/config.json").write_text("{}")
        assert export.main(TASK, ["first"]) == 0
        return load_policy("first"), load_policy("runs/first/policy.onnx")

    return both


def parts(space: gym.Space[Any], actions: Any) -> list[np.ndarray]:
    """Returns each leaf of many actions, shape (actions, ...)."""
    found = []
    for path, _ in leaves(space):
        column = actions
        for key in path:
            column = [one[key] for one in column]
        found.append(np.array(column))
    return found


def batched(policy: Any, observations: list[Any]) -> list[Any]:
    """Returns the actions of a policy that gets 64 observations at a time."""
    return [
        action for start in range(0, len(observations), 64) for action in policy.batch(observations[start : start + 64])
    ]


def of_rllib(policy: Any, observations: list[Any]) -> list[Any]:
    """Returns what RLlib chooses where it doesn't explore: of its own distribution what is most likely."""
    seen = [policy.adapters.encode(observation) for observation in observations]
    if isinstance(seen[0], dict):
        batch: Any = {name: torch.from_numpy(np.stack([one[name] for one in seen])) for name in seen[0]}
    else:
        batch = torch.from_numpy(np.stack(seen))
    module = ActorCritic(
        observation_space=policy.adapters.seen, action_space=policy.adapters.chosen, model_config=NETWORKS
    )
    module.actor.load_state_dict(policy.actor.state_dict())
    with torch.inference_mode():
        outputs = module.forward_inference({"obs": batch})["action_dist_inputs"]
    chosen = module.get_inference_action_dist_cls().from_logits(outputs).to_deterministic().sample()
    if isinstance(chosen, tuple):
        return [policy.adapters.decode(row) for row in zip(*(part.numpy() for part in chosen), strict=True)]
    return [policy.adapters.decode(row) for row in chosen.numpy()]


def assert_same(space: gym.Space[Any], expected: list[Any], actions: list[Any]) -> None:
    """Asserts that discrete actions are equal, and others within 1e-5."""
    for ours, theirs in zip(parts(space, expected), parts(space, actions), strict=True):
        assert theirs.dtype == ours.dtype and theirs.shape == ours.shape
        if ours.dtype.kind == "f":
            np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(theirs, ours)


@pytest.mark.parametrize("case", CASES)
def test_every_face_does_the_same(case: str, saved: Any, capsys: pytest.CaptureFixture[str]) -> None:
    policy, exported = saved(case)
    policy.observation_space.seed(1)
    observations = [export.draw(policy) for _ in range(1000)]
    expected = [policy(observation) for observation in observations]
    assert all(policy.action_space.contains(action) for action in expected)
    assert all(len(np.unique(part, axis=0)) > 1 for part in parts(policy.action_space, expected))
    faces = {
        "load_policy, 64 at once": batched(policy, observations),
        "RLlib": of_rllib(policy, observations),
        "ONNX, one at a time": [exported(observation) for observation in observations],
        "ONNX, 64 at once": batched(exported, observations),
    }
    for face, actions in faces.items():
        assert len(actions) == 1000, face
        assert_same(policy.action_space, expected, actions)

    env = TASK.make({"case": case})
    by_hand = []
    for seed in range(3):
        observation, ended = env.reset(seed=seed)[0], False
        by_hand.append(0.0)
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(policy(observation))
            by_hand[-1] += float(reward)
            ended = terminated or truncated
    capsys.readouterr()
    assert evaluate.main(TASK, ["first", "--episodes", "3", "--seed", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["policy"]
    assert [told["mean"], told["min"], told["max"]] == pytest.approx([np.mean(by_hand), min(by_hand), max(by_hand)])


@pytest.mark.parametrize("case", CASES)
def test_what_is_served_is_the_same(case: str, tmp_path: Path) -> None:
    serving = pytest.importorskip("kit.serving")
    testclient = pytest.importorskip("starlette.testclient")
    write_value = pytest.importorskip("kit.policy.value_json").write_value
    policy: Any = load_policy(save(case, tmp_path / "sent/policy"))
    policy.observation_space.seed(1)
    observations = [export.draw(policy) for _ in range(64)]
    values = [write_value(observation) for observation in observations]
    expected = parts(policy.action_space, [policy(observation) for observation in observations])
    with testclient.TestClient(serving.application(policy)) as client:
        alone = [client.post("/act", json={"observation": value}).json()["action"] for value in values]
        together = client.post("/act", json={"observations": values}).json()["actions"]
    for answers in (alone, together):
        for ours, theirs in zip(expected, parts(policy.action_space, answers), strict=True):
            tolerance = 1e-5 if ours.dtype.kind == "f" else 0
            np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)
            assert theirs.shape == ours.shape


@pytest.mark.slow
@pytest.mark.parametrize("case", MORE)
def test_every_space_is_exported(case: str, saved: Any) -> None:
    policy, exported = saved(case)  # the command itself compares them
    observations = [export.draw(policy) for _ in range(100)]
    for ours, theirs in zip(
        parts(policy.action_space, policy.batch(observations)),
        parts(policy.action_space, exported.batch(observations)),
        strict=True,
    ):
        assert theirs.dtype == ours.dtype and theirs.shape == ours.shape
