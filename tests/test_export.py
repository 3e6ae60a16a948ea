"""export: one file that stands alone, or one line that says why there is none; and the docs' own lines."""

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import BakedProject, clean_environment
from gymnasium import spaces
from kit.commands import export
from kit.errors import RunError, UsageError
from kit.policy import load_policy
from kit.policy.base import BasePolicy
from kit.policy.space_json import to_json
from kit.spaces import Limits, adapters_for
from test_parity import CASES, TASK, VECTOR, save

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
folder_module = pytest.importorskip("kit.policy.folder")
to_onnx = pytest.importorskip("kit.policy.to_onnx")
policy_module = pytest.importorskip("kit.policy.policy")
Actor = pytest.importorskip("kit.policy.actor").Actor

NESTED = "Dict with image"
ALONE = "import sys; sys.modules.update(dict.fromkeys(['torch', 'ray', 'gymnasium', 'corridor_demo']))\n"


def policy_for(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> Any:
    """Makes a policy of random weights for two spaces."""
    adapters = adapters_for(observation_space, action_space, Limits(max_sequence_length=4, max_graph_nodes=3))
    own = {"observation": to_json(observation_space), "action": to_json(action_space), "limits": Limits()._asdict()}
    networks = {"hidden_units": [16, 16], "image_features": 16}
    return policy_module.Policy(Actor(adapters.seen, adapters.chosen, networks), adapters, {"spaces": own})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with nested spaces, as a file."""
    folder = save(NESTED, tmp_path_factory.mktemp("exported") / "sent/policy")
    assert export.main(TASK, [str(folder)]) == 0
    return folder.parent / "policy.onnx"


# The file


def test_file_says_what_it_is(exported: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported)
    facts = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    observation_space, action_space = CASES[NESTED]
    assert (facts["env_id"], facts["run"], facts["versions"]) == (TASK.env_id, "first", {"kit": "1"})
    assert facts["spaces"]["observation"] == to_json(observation_space)
    assert facts["spaces"]["action"] == to_json(action_space)
    assert facts["weights_sha256"] == sha256((exported.parent / "policy/policy.safetensors").read_bytes()).hexdigest()
    described = {each["name"]: (each["dtype"], each["shape"]) for each in facts["inputs"]}
    assert described == {
        "camera": ("uint8", ["batch", 12, 10, 3]),
        "near.left": ("float32", ["batch", 3]),
        "near.gear": ("int64", ["batch"]),
    }
    assert facts["inputs"][1]["space"]["Box"]["low"] == [-1] and facts["inputs"][2]["space"]["Discrete"]["start"] == -1
    assert [each["name"] for each in facts["outputs"]] == ["gear", "wheel"]
    assert [one.name for one in session.get_inputs()] == list(described)
    assert [one.shape for one in session.get_inputs()] == [shape for _, shape in described.values()]
    assert [one.name for one in session.get_outputs()] == ["gear", "wheel"]
    assert str(Path(export.__file__).parents[2]).encode() not in exported.read_bytes(), "a path of this machine"
    assert [path.name for path in sorted(exported.parent.iterdir())] == ["policy", "policy.onnx"]


def test_names_that_input_and_output_share_are_kept_apart() -> None:
    first, second = [(("a", 0), VECTOR), (("b",), VECTOR)], [(("b",), VECTOR), ((), VECTOR)]
    assert to_onnx._names(first, "observation", ()) == ["a.0", "b"]
    assert to_onnx._names(second, "action", ["a.0", "b"]) == ["action.b", "action"]
    with pytest.raises(UsageError, match="two parts of the spaces would be called 'a.b'"):
        to_onnx._names([(("a.b",), VECTOR), (("a", "b"), VECTOR)], "observation", ())


def test_loaded_file_refuses_what_the_policy_refuses(exported: Path) -> None:
    policy = load_policy(exported)
    observation = policy.observation_space.sample()
    policy.reset(seed=1)
    assert policy.action_space.contains(policy(observation))
    with pytest.raises(ValueError, match="the most likely actions only"):
        policy(observation, deterministic=False)
    with pytest.raises(ValueError, match=r"observation\['near'\]\['left'\]\[0\] is nan"):
        policy({**observation, "near": {**observation["near"], "left": np.full(3, np.nan, np.float32)}})
    with pytest.raises(ValueError, match="got list of length 2"):
        policy([1, 2])


def test_loaded_file_takes_what_a_vector_env_gives(exported: Path) -> None:
    policy = load_policy(exported)
    policy.observation_space.seed(2)
    observations = [policy.observation_space.sample() for _ in range(5)]
    batch = gym.vector.utils.create_empty_array(policy.observation_space, 5)
    stacked: Any = gym.vector.utils.concatenate(policy.observation_space, observations, batch)
    together: Any = policy.batch(stacked)
    alone = [policy(observation) for observation in observations]
    assert together["gear"].tolist() == [action["gear"] for action in alone]
    np.testing.assert_allclose(together["wheel"], [action["wheel"] for action in alone], atol=1e-5)


def test_mask_that_allows_nothing_is_refused() -> None:
    policy = policy_for(*CASES["mask"])
    with pytest.raises(ValueError, match=r"allows no action: mask \[1, 0, 0, 0, 0\]"):
        policy({"action_mask": np.array([1, 0, 0, 0, 0], np.int8), "position": np.zeros(3, np.float32)})


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x0a" * 50])
def test_other_files_are_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.onnx").write_bytes(content)
    with pytest.raises(UsageError, match="is no policy that export has written") as caught:
        load_policy(tmp_path / "other.onnx")
    assert "\n" not in str(caught.value)


# The comparison


def test_observations_that_are_compared_reach_the_edges_and_beyond() -> None:
    bounded = spaces.Box(-1, 1, (3,), np.float32)
    space = spaces.Dict(action_mask=spaces.MultiBinary(5), speed=bounded, pixels=CASES["image"][0])
    policy = policy_for(space, spaces.MultiDiscrete([2, 3]))
    space = policy.observation_space
    space.seed(0)
    drawn = [export.draw(policy) for _ in range(300)]
    speeds = np.stack([one["speed"] for one in drawn])
    assert (speeds == -1).all(1).any() and (speeds == 1).all(1).any(), "no observation on the edge"
    assert (np.abs(speeds) > 1e6).any() and np.isfinite(speeds).all()
    assert 0.2 < (np.abs(speeds) <= 1).mean() < 0.9
    masks = np.stack([one["action_mask"] for one in drawn])
    assert masks[:, :2].any(1).all() and masks[:, 2:].any(1).all(), "a mask that allows nothing"
    assert 0.1 < (masks == 0).mean() < 0.9
    assert all(one["pixels"].dtype == np.uint8 for one in drawn)


class Other(BasePolicy):
    """Does something else than a policy."""

    def __init__(self, policy: Any, change: Any) -> None:
        self.policy, self.change = policy, change

    def __call__(self, observation: Any, deterministic: bool = True) -> Any:
        return self.batch([observation])[0]

    def batch(self, observations: Any, deterministic: bool = True) -> Any:
        return [self.change(action) for action in self.policy.batch(observations)]


def test_equal_logits_may_be_chosen_either_way_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_CHECKED", 100)
    policy = policy_for(VECTOR, spaces.Discrete(3))
    head = policy.actor.policy.layers[-1]
    head.weight.data[:] = 0
    head.bias.data[:] = torch.tensor([1.0, 1.0, 0.999])
    assert policy(np.zeros(3, np.float32)) == 0
    assert export.difference_of(policy, Other(policy, lambda action: np.int64(1))) == 0
    assert export.difference_of(policy, Other(policy, lambda action: np.int64(2))) == pytest.approx(0.0005, rel=1e-3)
    assert export.difference_of(policy, Other(policy, lambda action: np.int64(3))) == np.inf


@pytest.mark.parametrize(
    ("space", "change", "least", "most"),
    [
        (spaces.Box(-1, 1, (2,), np.float32), lambda x: x + np.float32(1e-3), 4e-4, 1.1e-3),
        (spaces.Box(0, 1e-3, (2,), np.float64), lambda x: x + 1e-6, 9e-4, 3e-3),
        (spaces.Box(-1000, 1000, (2,), np.int16), lambda x: x + np.int16(1), 1e-5, 2e-3),
        (spaces.Box(-1, 1, (2,), np.float32), lambda x: x * np.float32(np.nan), np.nan, np.nan),
    ],
)
def test_differences_are_measured_in_the_policys_units(
    space: Any, change: Any, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_CHECKED", 100)
    policy = policy_for(VECTOR, space)
    assert export.difference_of(policy, policy) <= 1e-6
    difference = export.difference_of(policy, Other(policy, change))
    assert least <= difference <= most or np.isnan([difference, least]).all()


def test_file_that_acts_differently_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = exported.read_bytes()
    monkeypatch.setattr(export, "_CHECKED", 100)
    monkeypatch.setattr(to_onnx, "to_onnx", lambda policy, facts: model)
    weights = exported.parent / "policy/policy.safetensors"
    other = save(NESTED, tmp_path / "other/policy")
    assert weights.read_bytes() == (other / "policy.safetensors").read_bytes()
    export.main(TASK, [str(other), "--onnx", str(tmp_path / "same.onnx")])
    assert (tmp_path / "same.onnx").read_bytes() == model
    from safetensors.torch import load_file, save_file

    changed = load_file(other / "policy.safetensors")
    changed["policy.layers.4.bias"][-1] += 0.001
    save_file(changed, other / "policy.safetensors")
    with pytest.raises(RunError, match="nothing is written: what onnxruntime makes of .* acts differently"):
        export.main(TASK, [str(other)])
    assert [path.name for path in other.parent.iterdir()] == ["policy"]


def test_file_that_onnxruntime_can_not_run_is_not_written(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_onnx, "to_onnx", lambda policy, facts: b"no model")
    with pytest.raises(RunError, match="onnxruntime can't run this policy: .*") as caught:
        export.main(TASK, [str(exported.parent / "policy"), "--onnx", str(exported.with_name("new.onnx"))])
    assert "\n" not in str(caught.value) and not exported.with_name("new.onnx").exists()


# What is refused


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(6, charset="abc"),
        spaces.Sequence(VECTOR),
        spaces.Graph(VECTOR, None),
        spaces.OneOf([VECTOR, spaces.Discrete(2)]),
    ],
    ids=str,
)
def test_spaces_that_can_not_be_exported_are_refused(space: gym.Space[Any]) -> None:
    for whole, name in ((space, "observation_space"), (spaces.Dict(a=VECTOR, b=space), "observation_space['b']")):
        with pytest.raises(UsageError, match=f"^{re.escape(name)}: .* can't be exported; load_policy") as caught:
            to_onnx.to_onnx(policy_for(whole, spaces.Discrete(2)), {})
        assert "\n" not in str(caught.value)


def test_what_torch_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise TypeError("no such\noperator")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(RunError, match="torch can't export this policy: TypeError: no such operator"):
        to_onnx.to_onnx(policy_for(VECTOR, spaces.Discrete(2)), {})


def test_wrong_use_is_refused_before_anything_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save("Box", Path("sent/policy"))
    for path in ("nowhere/policy.onnx", "sent"):
        with pytest.raises(UsageError, match=f"--onnx {path}: give a file in a folder that is there"):
            export.main(TASK, [str(folder), "--onnx", path])
    with pytest.raises(UsageError, match="there is no run 'frist'"):
        export.main(TASK, ["frist"])
    find_spec = export.find_spec
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else find_spec(name))
    with pytest.raises(UsageError) as caught:
        export.main(TASK, [str(folder)])
    assert str(caught.value) == 'export needs onnxscript; pip install -e ".[export]"'
    assert not list(tmp_path.rglob("*.onnx*"))


# The lines of the docs


def test_lines_of_the_docs_run(corridor: BakedProject, tmp_path: Path) -> None:
    text = corridor.manual("policy").partition("## Of several agents")[0]
    loading, running = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(loading.strip().splitlines()) <= 6 and len(running.strip().splitlines()) <= 10

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [str(corridor.python), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env=clean_environment(),
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    run = (
        "from pathlib import Path\nfrom corridor_demo import TASK\n"
        "from corridor_demo.kit.spaces import adapt\nfrom corridor_demo.kit.policy import actor, folder\n"
        "run = Path('runs/first'); run.joinpath('checkpoints/best').mkdir(parents=True)\n"
        "run.joinpath('config.json').write_text('{}'); env = adapt(TASK.make()); kit = {'kit': '1'}\n"
        "made = actor.Actor(env.observation_space, env.action_space, {'hidden_units': [8], 'image_features': 8})\n"
        "facts = dict(env_id=TASK.env_id, spaces=folder.spaces_of(env), env_config={}, versions=kit, run='first')\n"
        "folder.save_policy(run / 'checkpoints/best/policy', made, facts)\n"
    )
    python("-c", run)
    told = python("-m", "corridor_demo", "export", "first")
    assert told.startswith("runs/first/policy.onnx: ") and "on 1,000 observations" in told
    given = "import numpy as np; from corridor_demo import TASK; observation = 0 * TASK.make().observation_space.low\n"
    end = "\nprint(int(action), *map(int, actions))"
    from_file = loading.replace('"first"', '"runs/first/policy.onnx"')
    first = python("-c", given + loading + end)
    assert len(set(first.split())) == 1
    alone = python("-c", ALONE + running + "\nprint(*{int(action) for action in actions[0]}, len(actions[0]))")
    assert alone.split() == [first.split()[0], "64"]
    torchless = ALONE.replace(", 'gymnasium', 'corridor_demo'", "") + given
    assert python("-c", torchless + from_file + end) == first


def test_help_shows_an_example_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(TASK, ["--help"])
    text = capsys.readouterr().out
    assert "example: python -m test_parity export first --onnx" in text and len(text.splitlines()) < 24
