"""load_policy: a trained policy in users' own code, in the spaces of their environment, which need not be installed."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from kit.errors import UsageError
from kit.policy import load_policy
from kit.policy.space_json import to_json
from kit.spaces import Limits, adapters_for

torch = pytest.importorskip("torch")
folder_module = pytest.importorskip("kit.policy.folder")
Actor = pytest.importorskip("kit.policy.actor").Actor

VECTOR = spaces.Box(-1, 1, (3,), np.float32)
LIMITS = Limits(max_sequence_length=200, max_graph_nodes=10)
ANY_ACTION = [
    spaces.Discrete(3, start=5),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary([2, 2]),
    spaces.Box(0, 1, (2, 1), np.float64),
    spaces.Box(-1000, 1000, (2,), np.int16),
    spaces.Dict(gear=spaces.Discrete(4), wheel=spaces.Box(-1, 1, (1,), np.float32)),
    spaces.Tuple([spaces.MultiDiscrete([3, 3]), spaces.Box(0, np.inf, (2,), np.float32)]),
]
ANY_OBSERVATION = [
    VECTOR,
    spaces.Box(0, 255, (12, 10, 3), np.uint8),
    spaces.Dict(camera=spaces.Box(0, 255, (12, 10, 3), np.uint8), speed=VECTOR),
    spaces.Tuple([spaces.Discrete(4, start=-1), spaces.MultiBinary(3)]),
    spaces.Text(6, charset="abc"),
    spaces.Sequence(VECTOR),
    spaces.Graph(VECTOR, spaces.Discrete(3)),
    spaces.OneOf([VECTOR, spaces.Discrete(2)]),
]


def save(observation_space: gym.Space[Any], action_space: gym.Space[Any], folder: Path) -> Path:
    """Writes a policy of random weights for two spaces."""
    torch.manual_seed(0)
    adapters = adapters_for(observation_space, action_space, LIMITS)
    actor = Actor(adapters.seen, adapters.chosen, {"hidden_units": [16, 16], "image_features": 16})
    for parameter in actor.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    own = {"observation": to_json(observation_space), "action": to_json(action_space), "limits": LIMITS._asdict()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder_module.save_policy(folder, actor, {"env_id": "a/B-v0", "spaces": own, "env_config": {}, "versions": {}})
    return folder


def drawn(space: gym.Space[Any], count: int) -> list[Any]:
    """Returns observations of a space."""
    space.seed(1)
    return [space.sample() for _ in range(count)]


@pytest.mark.parametrize("action_space", ANY_ACTION, ids=str)
@pytest.mark.parametrize("deterministic", [True, False])
def test_actions_are_the_environments_own(action_space: Any, deterministic: bool, tmp_path: Path) -> None:
    policy = load_policy(save(VECTOR, action_space, tmp_path / "policy"))
    assert policy.action_space == action_space and policy.observation_space == VECTOR
    for observation in drawn(VECTOR, 20):
        assert action_space.contains(policy(observation, deterministic=deterministic))


@pytest.mark.parametrize("observation_space", ANY_OBSERVATION, ids=str)
def test_observations_are_the_environments_own(observation_space: Any, tmp_path: Path) -> None:
    policy = load_policy(save(observation_space, spaces.Discrete(5), tmp_path / "policy"))
    assert len({int(policy(observation)) for observation in drawn(observation_space, 60)}) > 1


@pytest.mark.parametrize("action_space", ANY_ACTION, ids=str)
def test_batch_acts_as_one_at_a_time(action_space: Any, tmp_path: Path) -> None:
    observation_space = ANY_OBSERVATION[2]
    policy = load_policy(save(observation_space, action_space, tmp_path / "policy"))
    observations = drawn(observation_space, 16)
    stacked = {name: np.stack([one[name] for one in observations]) for name in observations[0]}
    single = [policy(observation) for observation in observations]
    rows = list(gym.vector.utils.iterate(gym.vector.utils.batch_space(action_space, 16), policy.batch(stacked)))
    for alone, listed, row in zip(single, policy.batch(observations), rows, strict=True):
        for other in (listed, row):
            for ours, theirs in zip(flat(action_space, alone), flat(action_space, other), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def flat(space: gym.Space[Any], action: Any) -> list[Any]:
    """Returns the numbers of an action."""
    return [float(x) for x in np.asarray(spaces.flatten(space, action)).reshape(-1)]


def test_batch_of_a_vector_env_with_a_space_of_a_third_party(tmp_path: Path) -> None:
    class Mission(gym.Space[Any]):
        def sample(self, mask: Any = None, probability: Any = None) -> Any:
            return "go to the door"

        def contains(self, x: Any) -> bool:
            return isinstance(x, str)

    space: Any = spaces.Dict(mission=Mission(), position=VECTOR)
    policy = load_policy(save(space, spaces.Discrete(3), tmp_path / "policy"))
    observations: list[Any] = [{"mission": "go to the door", "position": VECTOR.sample()} for _ in range(4)]
    many = {"mission": ("go to the door",) * 4, "position": np.stack([one["position"] for one in observations])}
    assert policy.batch(many).tolist() == [policy(one) for one in observations]


def test_drawn_actions_are_repeatable_and_as_likely_as_in_training(tmp_path: Path) -> None:
    policy = load_policy(save(VECTOR, spaces.Discrete(3), tmp_path / "policy"))
    observation = np.array([0.5, -0.5, 0.25], np.float32)
    actions = []
    for seed in (7, 7, 8):
        policy.reset(seed=seed)
        actions.append(np.array(policy.batch([observation] * 4000, deterministic=False)))
    assert (actions[0] == actions[1]).all() and (actions[0] != actions[2]).any()
    outputs = policy.actor(torch.from_numpy(observation[None]))
    expected = torch.softmax(outputs, -1)[0].tolist()
    shares = np.bincount(actions[0], minlength=3) / 4000
    np.testing.assert_allclose(shares, expected, atol=4 * math.sqrt(0.25 / 4000))


def test_drawn_numbers_have_the_learnt_spread(tmp_path: Path) -> None:
    unbounded = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    policy = load_policy(save(VECTOR, unbounded, tmp_path / "policy"))
    observation = np.zeros(3, np.float32)
    values = np.array(policy.batch([observation] * 4000, deterministic=False))
    np.testing.assert_allclose(values.mean(0), policy(observation), atol=0.15)
    np.testing.assert_allclose(values.std(0), policy.actor.log_std.detach().exp(), rtol=0.1)


@pytest.mark.parametrize("deterministic", [True, False])
def test_forbidden_actions_are_never_chosen(deterministic: bool, tmp_path: Path) -> None:
    space = spaces.Dict(action_mask=spaces.MultiBinary(5), position=VECTOR)
    policy = load_policy(save(space, spaces.MultiDiscrete([2, 3]), tmp_path / "policy"))
    for number, observation in enumerate(drawn(space, 100)):
        observation["action_mask"] = np.array([number % 2, 1 - number % 2, 0, 1, 0], np.int8)
        assert policy(observation, deterministic=deterministic).tolist() == [1 - number % 2, 1]
    observation["action_mask"][:] = 0
    with pytest.raises(ValueError, match="allows no action"):
        policy(observation)


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        ([0.0, 0.0, 0.0], "expected an array of shape (3,) and dtype float32, got list of length 3"),
        (np.zeros(4, np.float32), "expected shape (3,), got shape (4,)"),
        (np.array([0, np.nan, 0], np.float32), "observation[1] is nan"),
        (None, "got None"),
    ],
)
def test_wrong_observation_is_told_in_a_line(observation: Any, message: str, tmp_path: Path) -> None:
    policy = load_policy(save(VECTOR, spaces.Discrete(3), tmp_path / "policy"))
    with pytest.raises(ValueError) as caught:
        policy(observation)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    policy(np.full(3, 50, np.float64))  # beyond the bounds, of another precision: networks take it


def test_run_folder_and_path_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save(VECTOR, spaces.Discrete(3), Path("runs/first/checkpoints/best/policy"))
    Path("runs/first/config.json").write_text("{}")
    expected = load_policy(folder)(VECTOR.low)
    for where in ("first", "runs/first", Path("runs/first"), None):
        assert load_policy(where)(VECTOR.low) == expected
    with pytest.raises(UsageError, match="did you mean 'first'"):
        load_policy("frist")


def test_nothing_of_ray_is_imported_and_nothing_printed(tmp_path: Path) -> None:
    save(VECTOR, spaces.Discrete(3), tmp_path / "policy")
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE)!r})\n"
        f"from kit.policy import load_policy; assert 'torch' not in sys.modules\n"
        f"policy = load_policy({str(tmp_path / 'policy')!r}); policy(policy.observation_space.sample())\n"
        "assert not {'ray', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
