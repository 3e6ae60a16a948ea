"""kit.policy: the networks, the folder of data that a policy is, and how a folder is found or refused. Ray isn't needed."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE
from gymnasium import spaces
from kit.commands import evaluate
from kit.errors import RunError, UsageError
from kit.policy import measure
from kit.policy.find import find_policy
from kit.policy.space_json import from_json, to_json
from kit.spaces import adapt
from kit.task import Task

torch = pytest.importorskip("torch")
folder_module = pytest.importorskip("kit.policy.folder")
with_env = pytest.importorskip("kit.policy.with_env")
actor_module = pytest.importorskip("kit.policy.actor")
networks = pytest.importorskip("kit.policy.networks")

MODEL_CONFIG = {"hidden_units": [64, 64], "image_features": 256}
IMAGE = spaces.Box(0, 255, (10, 8, 3), np.uint8)
VECTOR = spaces.Box(-1, 1, (4,), np.float32)
MIXED = spaces.Tuple([spaces.MultiDiscrete([2, 3]), spaces.Box(np.array([-1, -np.inf], np.float32), np.inf)])
SEEN = {
    "vector": VECTOR,
    "image": IMAGE,
    "image and vector": spaces.Dict({"image_0": IMAGE, "vector": VECTOR}),
    "mask": spaces.Dict({"action_mask": spaces.MultiBinary(5), "vector": VECTOR}),
}
CHOSEN = {
    "Discrete": spaces.Discrete(5),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "Box": spaces.Box(-1, 1, (2,), np.float32),
    "mixed": MIXED,
}
PAIRS = [(seen, chosen) for seen in SEEN for chosen in CHOSEN if seen != "mask" or "Discrete" in chosen]


class Reader(gym.Env[Any, Any]):
    """Shows four numbers; any action will do."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space: gym.Space[Any] = VECTOR
    action_space: gym.Space[Any] = spaces.Discrete(3, start=1)

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.config = dict(config or {})
        if self.config.get("broken"):
            raise OSError("no such map")
        self.render_mode = render_mode
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self.np_random.uniform(-1, 1, 4).astype(np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self.np_random.uniform(-1, 1, 4).astype(np.float32), float(action), self._steps == 5, False, {}

    def render(self) -> Any:
        if self.config.get("display") == "crash":
            os.abort()  # what OpenGL does on some machines
        if self.config.get("display") == "none":
            raise OSError("no display\n(DISPLAY is not set)")
        return np.zeros((64, 64, 3), np.uint8)


TASK = Task(env_id="kit_tests/Reader-v0", env_class=Reader, max_episode_steps=9, reward_threshold=None, algorithm="")

TASK.register()


class Outer(gym.Wrapper[Any, Any, Any, Any]):
    """A class of wrappers, whose class says nothing of what it can draw."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(Reader(config, render_mode))


OUTER = replace(TASK, env_id="kit_tests/Outer-v0", env_class=Outer)
OUTER.register()


def actor(seen: gym.Space[Any], chosen: gym.Space[Any]) -> Any:
    """Builds what acts, with other weights and statistics than it begins with."""
    torch.manual_seed(0)
    built = actor_module.Actor(seen, chosen, MODEL_CONFIG)
    for parameter in built.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    built.observe(batch_of(seen, 64))
    return built


def batch_of(space: gym.Space[Any], size: int) -> Any:
    """Draws observations, as a batch of tensors."""
    space.seed(3)
    drawn = [space.sample() for _ in range(size)]
    if not isinstance(space, spaces.Dict):
        return torch.from_numpy(np.stack(drawn))
    return {name: torch.from_numpy(np.stack([one[name] for one in drawn])) for name in space.spaces}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a policy in its best checkpoint, in the folder where the test works."""
    monkeypatch.chdir(tmp_path)
    checkpoint = Path("runs/first/checkpoints/best")
    checkpoint.mkdir(parents=True)
    Path("runs/first/config.json").write_text("{}")
    save(checkpoint / "policy")
    return Path("runs/first")


def save(folder: Path, favourite: int | None = None, **facts: Any) -> Any:
    """Writes a policy for Reader, that always takes the favourite action if there is one; returns its networks."""
    env = adapt(Reader())
    saved = actor(env.observation_space, env.action_space)
    if favourite is not None:
        saved.policy.layers[-1].bias.data[favourite] += 1000
    kept = {"env_id": TASK.env_id, "spaces": folder_module.spaces_of(env), "env_config": {}, "versions": {"kit": "1"}}
    folder_module.save_policy(folder, saved, kept | facts)
    return saved


def refusal(folder: Path, task: Task = TASK, config: Any = None) -> str:
    """Returns the line that a folder is refused with."""
    with pytest.raises((UsageError, RunError)) as caught:
        with_env.load_with_env(task, folder, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The networks


@pytest.mark.parametrize(("seen", "chosen"), [pair for pair in PAIRS if "vector" == pair[0] or "Discrete" == pair[1]])
def test_actor_can_be_exported_with_any_batch(seen: str, chosen: str) -> None:
    class Greedy(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.actor = actor(SEEN[seen], CHOSEN[chosen])

        def forward(self, observation: Any) -> Any:
            return self.actor.most_likely(self.actor(observation))

    greedy, example, batch = Greedy().eval(), batch_of(SEEN[seen], 3), torch.export.Dim("batch")
    dynamic = {name: {0: batch} for name in example} if isinstance(example, dict) else {0: batch}
    exported = torch.export.export(greedy, (example,), dynamic_shapes=(dynamic,)).module()
    observations = batch_of(SEEN[seen], 17)
    ours, theirs = greedy(observations), exported(observations)
    for our, their in zip(*((each if isinstance(each, tuple) else (each,)) for each in (ours, theirs)), strict=True):
        torch.testing.assert_close(our, their)


ALL_SPACES: list[Any] = [
    *SEEN.values(),
    *CHOSEN.values(),
    spaces.Box(np.array([-np.inf, 0.1]), np.array([3, np.inf]), dtype=np.float64),
    spaces.Box(-(2**63), 2**63 - 1, (2,), np.int64),
    spaces.Box(0, 1, (), np.float32),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 1], [0, 0]]), dtype=np.int32),
    spaces.MultiBinary([2, 3]),
    spaces.Text(5, min_length=0, charset="bca"),
    spaces.Sequence(VECTOR, stack=True),
    spaces.Graph(VECTOR, spaces.Discrete(3)),
    spaces.Graph(VECTOR, None),
    spaces.OneOf([VECTOR, spaces.Discrete(2)]),
    spaces.Dict([("z", VECTOR), ("a", spaces.Tuple([VECTOR, spaces.MultiBinary(2)]))]),
    spaces.Dict([(1, VECTOR), (2, IMAGE)]),  # type: ignore[list-item]
]


@pytest.mark.parametrize("space", ALL_SPACES, ids=str)
def test_spaces_survive_json(space: gym.Space[Any]) -> None:
    text = json.dumps(to_json(space), allow_nan=False)
    read = from_json(json.loads(text))
    assert read == space and read.dtype == space.dtype
    if isinstance(space, spaces.Dict) and isinstance(read, spaces.Dict):
        assert list(read) == list(space)  # the order in which the networks see the parts
    assert len(text) < 500  # bounds that are all the same are written once


# The folder


def test_saved_policy_acts_as_before(run: Path) -> None:
    saved = save(run / "policy")
    policy, env = with_env.load_with_env(TASK, run / "policy", None)
    state = torch.get_rng_state()
    observation, _ = env.reset(seed=1)
    for _ in range(5):
        expected = saved.most_likely(saved(torch.from_numpy(observation[None])))[0]
        assert policy(observation) == expected + 1  # the environment counts its actions from 1
        observation = env.step(policy(observation))[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert float(policy.actor.observation_statistics["vector"].count) == 64
    assert policy.facts["model_config"] == MODEL_CONFIG


def test_folder_holds_data_that_others_may_read(run: Path) -> None:
    folder = run / "checkpoints/best/policy"
    assert {path.name for path in folder.iterdir()} == {"policy.json", "policy.safetensors"}
    assert folder.joinpath("policy.safetensors").stat().st_mode == folder.joinpath("policy.json").stat().st_mode
    json.loads((folder / "policy.json").read_text(), parse_constant=lambda name: pytest.fail(name))


class Malicious:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (Path("marked").absolute(),))


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_policy_of_a_stranger_runs_no_code(run: Path, name: str) -> None:
    folder = run / "checkpoints/best/policy"
    payloads = [pickle.dumps(Malicious())]
    torch.save(Malicious(), "stranger.pt")
    payloads.append(Path("stranger.pt").read_bytes())
    for content in payloads:
        for beside in ("module_state.pkl", "class_and_ctor_args.pkl", "policy.pkl", "policy.pt"):
            (folder / beside).write_bytes(content)
        (folder / name).write_bytes(content)
        line = refusal(folder)
        assert "can't be read" in line or "is damaged" in line
        assert not Path("marked").exists()
    pickle.loads(payloads[0])
    assert Path("marked").exists(), "the payload itself does nothing"


def damaged_facts(**changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "policy.json"
        facts = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({name: value for name, value in facts.items() if value is not None}))

    return damage


def half(folder: Path) -> None:
    file = folder / "policy.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def not_finite(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "policy.safetensors")
    weights["policy.layers.0.bias"][0] = torch.nan
    save_file(weights, folder / "policy.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (half, "is damaged: SafetensorError"),
        (not_finite, "is damaged: ValueError: weights that are not finite"),
        (damaged_facts(format=1), "has format 1, this version of the kit reads 3"),
        (damaged_facts(format=None), "has format None"),
        (damaged_facts(spaces=None), "is not what train writes: it has no 'spaces'"),
        (damaged_facts(model_config={"hidden_units": [10**9], "image_features": 1}), "size mismatch"),
        (damaged_facts(model_config={"hidden_units": "code", "image_features": 1}), "is damaged: TypeError"),
        (damaged_facts(env_id="other/Env-v0"), "is a policy for other/Env-v0, not for kit_tests/Reader-v0"),
        (lambda folder: (folder / "policy.safetensors").unlink(), "is damaged: FileNotFoundError"),
    ],
)
def test_folder_that_can_not_be_used_is_refused(run: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(run / "checkpoints/best/policy")
    assert message in refusal(run / "checkpoints/best/policy")


def test_policy_for_other_spaces_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run / "checkpoints/best/policy"
    monkeypatch.setattr(Reader, "action_space", spaces.Discrete(3))  # counted from another number: the same networks
    line = refusal(folder)
    assert "was trained with the action space" in line and "'start': 1" in line and "'start': 0" in line


def test_environment_gets_the_config_of_its_training(run: Path) -> None:
    save(run / "policy", env_config={"broken": True})
    assert "can't be made with the config {'broken': True}" in refusal(run / "policy")
    with_env.load_with_env(TASK, run / "policy", {})


def test_spaces_of_third_parties_compare_without_their_address() -> None:
    class Mission(gym.Space[Any]):
        def __repr__(self) -> str:
            return f"Mission({object()})"

    first, second = (to_json(spaces.Dict(mission=Mission(), vector=VECTOR)) for _ in range(2))
    assert first == second and "Mission(<object object>)" in str(first)
    read: Any = from_json(first)
    assert from_json(to_json(read)) == read and read["mission"].contains("go to the door")


# The video


@pytest.mark.parametrize("display", ["none", "crash"])
def test_video_without_a_display_is_one_line(run: Path, display: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match="without a display or OpenGL, try xvfb-run") as caught:
        evaluate.main(TASK, ["first", "--video", "--episodes", "2", "--config", json.dumps({"display": display})])
    assert "\n" not in str(caught.value)
    assert ("no display" in str(caught.value)) == (display == "none")


def test_video_lies_in_the_runs_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run / "checkpoints/best/policy", "sent/policy")
    for given, place in (("first", run), ("sent", Path("sent"))):
        assert evaluate.main(TASK, [given, "--video", "--episodes", "3", "--seed", "7"]) == 0
        told = capsys.readouterr().out
        for name in ("median", "best"):
            video = place / f"videos/{name}.mp4"
            assert video.stat().st_size > 0 and f"video of the {name} episode: {video}" in told


def test_class_of_wrappers_is_filmed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sent").mkdir()
    save(Path("sent/policy"), env_id=OUTER.env_id)
    assert evaluate.main(OUTER, ["sent", "--video", "--episodes", "2", "--seed", "7"]) == 0
    assert Path("sent/videos/best.mp4").stat().st_size > 0


# Comparing


def evaluated(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Returns what `evaluate --json` says."""
    assert evaluate.main(TASK, [*arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_policies_are_compared_on_the_same_seeds(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, favourite in (("worst", 0), ("best", 2)):
        Path(name).mkdir()
        save(Path(name, "policy"), favourite)
    report = evaluated("best", "--against", "worst", "--episodes", "10", capsys=capsys)
    assert report["policy"]["mean"] == 15 and report["against"]["mean"] == 5  # five steps of reward 3, or 1
    assert report["against"]["difference"] == {"mean": 10, "interval": [10, 10], "min": 10, "max": 10}
    assert report["against"]["checkpoint"] == "worst/policy"
    assert evaluate.main(TASK, ["worst", "--against", "best", "--episodes", "10"]) == 0
    assert "the policy is worse than best/policy: the difference is -10" in capsys.readouterr().out


def test_policy_that_is_not_better_than_random_is_told_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("middle").mkdir()
    save(Path("middle/policy"), 1)  # as good as random actions on the average
    assert evaluate.main(TASK, ["middle", "--against", "middle", "--episodes", "40"]) == 0
    told = capsys.readouterr().out
    assert "the policy is not better than random actions: the difference is" in told
    assert "the policy is not better than middle/policy: the difference is 0, 95 % interval 0 to 0" in told


def test_both_policies_play_in_the_config_that_is_given(run: Path) -> None:
    save(run / "policy", env_config={"broken": True})  # in which the environment can't be made
    played = measure.play(TASK, run / "policy", {}, run / "policy", [1])
    assert played["policy"] == played["against"] and len(played["against"]) == 1


def test_run_that_can_not_be_written_is_evaluated(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(evaluate, "write_json", refuse)
    assert evaluate.main(TASK, ["first", "--episodes", "2"]) == 0


def test_workers_change_no_number(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("first", "--against", "first", "--episodes", "7")
    alone, shared = evaluated(*command, capsys=capsys), evaluated(*command, "--workers", "3", capsys=capsys)
    for name in ("policy", "random"):
        assert alone[name]["mean"] == pytest.approx(shared[name]["mean"])
        assert alone[name]["max"] == shared[name]["max"]
    assert alone["random"]["difference"]["interval"] == pytest.approx(shared["random"]["difference"]["interval"])


def test_film_shows_the_episodes_that_it_says(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed: list[Any] = []

    def spread(function: Any, inputs: Any, hint: str, at_once: int) -> list[Any]:
        filmed.extend(inputs)
        return [Path(name) for name, _ in inputs]

    monkeypatch.setattr(evaluate, "spread", spread)
    assert evaluate.main(TASK, ["first", "--video", "--episodes", "9", "--seed", "20"]) == 0
    returns = measure.play(TASK, run / "checkpoints/best/policy", None, None, range(20, 29))["policy"]
    (_, median), (_, best) = filmed
    assert returns[best - 20] == max(returns) and returns[median - 20] == sorted(returns)[4]


# Finding one


def test_run_checkpoint_and_folder_are_found(run: Path) -> None:
    folder = run / "checkpoints/best/policy"
    for given in ("first", "runs/first", "runs/first/checkpoints/best", str(folder), str(folder.absolute()), None):
        assert find_policy(given).samefile(folder)
    shutil.copytree(folder, "sent")
    assert find_policy("sent") == Path("sent")
    folder.parent.rename(folder.parent.with_name("last"))
    assert find_policy("first") == run / "checkpoints/last/policy"


def test_newest_run_is_the_default(run: Path) -> None:
    shutil.copytree(run, "runs/second")
    Path("runs/second/config.json").write_text("{ }")
    assert find_policy(None) == Path("runs/second/checkpoints/best/policy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("frist", r"there is no run 'frist'; did you mean 'first'\? The runs are: first"),
        ("xyz", "there is no run 'xyz'; the runs are: first"),
        ("older", "of an older version of the kit.* is not loaded; train the policy again"),
        ("older/checkpoints/best", "of an older version of the kit"),
        ("begun", "runs/begun has no checkpoint yet"),
        ("elsewhere", "elsewhere is neither a run nor a checkpoint nor a policy"),
    ],
)
def test_what_is_no_policy_is_refused(run: Path, given: str, message: str) -> None:
    older = Path("runs/older/checkpoints/best")
    older.mkdir(parents=True)
    for name in ("rllib_checkpoint.json", "checkpoint.json", "class_and_ctor_args.pkl"):
        (older / name).write_text("")
    Path("runs/begun").mkdir()
    Path("runs/begun/config.json").write_text("{}")
    Path("elsewhere").mkdir()
    if "runs are" in message:
        shutil.rmtree("runs/older")
        shutil.rmtree("runs/begun")
    with pytest.raises(UsageError, match=message):
        find_policy(given)


def test_no_run_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (None, "first"):
        with pytest.raises(UsageError, match="there is no run.*start one with train"):
            find_policy(given)


# The interval


def test_interval_is_students() -> None:
    stats = pytest.importorskip("scipy.stats")
    for count in (2, 3, 5, 30, 100, 10_000):
        returns = np.random.default_rng(count).normal(3.0, 2.0, count).tolist()
        expected = stats.t.interval(0.95, count - 1, loc=np.mean(returns), scale=stats.sem(returns))
        assert measure.statistics(returns)["interval"] == pytest.approx(expected, rel=1e-3)


# What is imported


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("kit.policy.folder", {"ray", "scipy", "matplotlib"}),
        ("kit.policy.find", {"ray", "scipy", "matplotlib", "torch"}),
        ("kit.commands.evaluate", {"ray", "scipy", "matplotlib", "torch"}),
        ("kit.guard", {"ray", "torch"}),
    ],
)
def test_policies_need_no_ray(module: str, without: set[str]) -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not without & set(done.stdout.split())


def test_summary_names_the_networks_and_why() -> None:
    numbers = {**MODEL_CONFIG, "train_batch_size_per_learner": 2048, "num_epochs": 4, "lr": 3e-4}
    both = spaces.Dict({"action_mask": spaces.MultiBinary(2), "image_0": IMAGE, "vector": VECTOR})
    for seen, networks_of in (
        (VECTOR, "64 x 64 tanh units for a vector of 4"),
        (IMAGE, "convolutions and 256 features for the 10 x 8 x 3 pixels of image"),
        (
            both,
            "convolutions and 256 features for the 10 x 8 x 3 pixels of image_0, 64 x 64 tanh units for them and a vector of 4",
        ),
    ):
        summary = networks.network_summary(seen, numbers)
        assert summary == f"policy and value network: {networks_of}; 4 passes over 2,048 steps, step size from 0.0003"


@pytest.mark.parametrize(
    ("side", "filters", "features"), [(5, [16], 144), (16, [16], 3136), (24, [32, 64], 2304), (84, [32, 64, 64], 2304)]
)
def test_convolutions_fit_the_image(side: int, filters: list[int], features: int) -> None:
    seen = spaces.Box(0, 255, (side, side, 3), np.uint8)
    network = networks.Network(seen, 2, **MODEL_CONFIG, head_gain=1.0)
    layers = list(network.images["image"])
    assert [layer.out_channels for layer in layers if isinstance(layer, torch.nn.Conv2d)] == filters
    assert layers[-2].in_features == features
    both = spaces.Dict({"image_0": seen, "vector": VECTOR})
    assert networks.space_facts([(VECTOR, CHOSEN["Discrete"]), (both, CHOSEN["Discrete"])])["image_side"] == side


def test_several_policies_have_the_facts_of_all() -> None:
    of_several = networks.space_facts([(VECTOR, CHOSEN["Discrete"]), (VECTOR, VECTOR)])
    assert of_several == {"image_side": 0, "continuous_actions": True}
    assert networks.space_facts([(VECTOR, CHOSEN["Discrete"])]) == {"image_side": 0, "continuous_actions": False}


def test_images_are_seen_at_one_scale() -> None:
    """Bytes of 0 to 10, as MiniGrid's, look as those of 0 to 250 do, each channel for itself."""
    dim = torch.randint(0, 11, (64, 10, 8, 3), dtype=torch.uint8) * torch.tensor([1, 1, 0], dtype=torch.uint8)
    for images in (dim, 25 * dim, dim.float() * -1e4):
        actor = actor_module.Actor(IMAGE, spaces.Discrete(2), MODEL_CONFIG)
        actor.observe(images)
        seen = actor.normalized(images)
        torch.testing.assert_close(seen.mean((0, 1, 2)), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.std((0, 1, 2)), torch.tensor([1.0, 1.0, 0.0]), atol=1e-3, rtol=0)


def test_some_large_images_are_enough_for_their_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_module, "_MOST_OBSERVED", 1000)
    actor = actor_module.Actor(IMAGE, spaces.Discrete(2), MODEL_CONFIG)
    actor.observe(torch.zeros(64, 10, 8, 3, dtype=torch.uint8))
    assert 0 < float(actor.observation_statistics["image"].count) * 3 <= 1000
