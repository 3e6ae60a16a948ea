"""Every space goes through PPO, and what can be learnt in it is learnt; gym.make's environment stays the user's own."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import BakedProject
from gymnasium import spaces
from test_adapters import load
from test_rung8_filled_in_stub import fill_in

torch = pytest.importorskip("torch")

OBSERVATION_SPACES = [
    "Box(-1.0, 1.0, (4,), np.float32)",
    "Box(-1.0, 1.0, (4,), np.float64)",
    "Box(-np.inf, np.inf, (4,), np.float32)",
    "Box(-1.0, 1.0, (), np.float32)",
    "Box(-1.0, 1.0, (3, 2), np.float32)",
    "Box(-1.0, 1.0, (3, 3, 3), np.float16)",
    "Box(0, 255, (7,), np.uint8)",
    "Box(-np.inf, np.inf, (3,), np.int64)",
    "Box(0, 255, (84, 84, 3), np.uint8)",
    "Box(0, 255, (3, 84, 84), np.uint8)",
    "Box(0, 255, (4, 84, 84), np.uint8)",
    "Box(0, 255, (84, 84), np.uint8)",
    "Box(0, 255, (10, 10, 3), np.uint8)",
    "Box(0, 255, (100, 200, 3), np.uint8)",
    "Box(0.0, 1.0, (11, 7, 2), np.float32)",
    "Discrete(5)",
    "Discrete(5, start=3)",
    "MultiDiscrete([3, 4])",
    "MultiDiscrete([[3, 4], [2, 2]], start=[[1, 0], [-2, 5]])",
    "MultiBinary(3)",
    "MultiBinary((2, 3))",
    "Tuple((Discrete(3), Box(-1.0, 1.0, (2,), np.float32)))",
    "Dict({'position': Box(-1.0, 1.0, (2,), np.float32), 'gear': Discrete(4)})",
    "Dict({'inner': Dict({'a': MultiBinary(2), 'b': Tuple((Discrete(2), Discrete(3)))}), 'c': Box(0, 9, (2,), np.int32)})",
    "Dict({'camera': Box(0, 255, (20, 30, 3), np.uint8), 'speed': Box(-1.0, 1.0, (2,), np.float32)})",
    "Tuple((Box(0, 255, (8, 8, 3), np.uint8), Box(0, 255, (9, 9), np.uint8)))",
    "Text(5)",
    "OneOf((Discrete(3), Box(-1.0, 1.0, (2,), np.float32)))",
    "Sequence(Box(-1.0, 1.0, (2,), np.float32))",
    "Sequence(Dict({'kind': Discrete(3), 'place': Box(-1.0, 1.0, (2,), np.float32)}))",
    "Graph(Box(-1.0, 1.0, (2,), np.float32), Discrete(3))",
]
ACTION_SPACES = [
    "Discrete(3)",
    "Discrete(3, start=2)",
    "MultiDiscrete([3, 4])",
    "MultiDiscrete([[3, 4], [2, 2]], start=[[1, 0], [-2, 5]])",
    "MultiBinary(3)",
    "MultiBinary((2, 3))",
    "Box(-1.0, 1.0, (2,), np.float32)",
    "Box(-2.0, 6.0, (), np.float32)",
    "Box(-2.0, 6.0, (2, 3), np.float64)",
    "Box(0.0, np.inf, (2,), np.float32)",
    "Box(-np.inf, 3.0, (2,), np.float32)",
    "Box(-np.inf, np.inf, (2,), np.float32)",
    "Box(0, 9, (2,), np.int64)",
    "Box(0, 255, (2, 2), np.uint8)",
    "Box(-np.inf, np.inf, (2,), np.int32)",
    "Dict({'turn': Discrete(3, start=-1), 'push': Box(0.0, 1.0, (2,), np.float32)})",
    "Tuple((Discrete(2), Tuple((MultiBinary(2), Box(0.0, np.inf, (1,), np.float64)))))",
]

# A user's dynamics: observations drawn from the space, actions that have to be of the declared space and type.
RESET = """\
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self._steps = 0
        return self.observation_space.sample(), {}
"""
STEP = """\
        self._require(action, self.action_space)
        self._steps += 1
        return self.observation_space.sample(), float(self._steps % 2), False, self._steps >= 20, {}

    max_sequence_length = 200
    max_graph_nodes = 10

    def _require(self, action: Any, space: Any) -> None:
        assert action in space, (action, space)
        if isinstance(space, gym.spaces.Dict):
            assert type(action) is dict
            for key, child in space.items():
                self._require(action[key], child)
        elif isinstance(space, gym.spaces.Tuple):
            assert type(action) is tuple
            for part, child in zip(action, space, strict=True):
                self._require(part, child)
        elif isinstance(space, gym.spaces.Discrete):
            assert type(action) is type(space.sample())
        else:
            assert type(action).__name__ == "ndarray" and action.dtype == space.dtype and action.shape == space.shape
"""
CASES = [(space, "Discrete(2)") for space in OBSERVATION_SPACES]
CASES += [("Box(-1.0, 1.0, (4,), np.float32)", space) for space in ACTION_SPACES]


@pytest.fixture(scope="module")
def ray_is_up() -> Iterator[None]:
    """Starts Ray once for all the trainings of this file, which run in this process."""
    import ray

    torch.set_num_threads(1)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


def build(project: BakedProject, copies: int = 2, **training: Any) -> Any:
    """Builds the project's own PPO, with everything in this process."""
    vectorization = load(project, "kit.vectorization.settings").Vectorization(0, copies, "sync", "")
    config = load(project, "kit.rllib.config").algorithm_config(
        load(project, "registration").TASK, vectorization, seed=0
    )
    return config.training(**training).build_algo()


def evaluate(project: BakedProject, algorithm: Any, folder: Path, episodes: int) -> float:
    """Returns the greedy policy's mean return, as it is read from its folder."""
    task, files = load(project, "registration").TASK, load(project, "kit.policy.folder")
    spaces = files.spaces_of(task.make_adapted())
    facts = {"env_id": task.env_id, "spaces": spaces, "env_config": {}, "versions": {}}
    actor = load(project, "kit.rllib.rl_module").trained_actors(algorithm)["default_policy"]
    files.save_policy(folder, actor, facts)
    played = load(project, "kit.policy.measure").play(task, folder, None, None, range(episodes))
    shutil.rmtree(folder)
    return float(np.mean(played["policy"]))


@pytest.mark.slow
@pytest.mark.parametrize(("observation_space", "action_space"), CASES)
def test_every_space_trains(
    bake: Callable[..., BakedProject],
    ray_is_up: None,
    tmp_path: Path,
    observation_space: str,
    action_space: str,
) -> None:
    number = CASES.index((observation_space, action_space))
    project = bake(
        project_name=f"Space {number}",
        observation_space=observation_space.replace("'", '"'),
        action_space=action_space.replace("'", '"'),
    )
    fill_in(project, RESET, STEP)
    algorithm = build(project, train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    result = algorithm.train()
    assert result["num_env_steps_sampled_lifetime"] >= 64
    assert np.isfinite(result["learners"]["default_policy"]["total_loss"])
    assert evaluate(project, algorithm, tmp_path / "policy", episodes=2) == 10.0
    algorithm.stop()


# Learning: what each environment needs of its kind of space is all that it rewards; the best return is 20.

EPISODE = """\
        self._steps += 1
        return self._observation(), float(reward), False, self._steps >= 20, {}

    def _observation(self) -> Any:
"""
IMAGE = """\
        reward = action == self._quarter
        <episode>
        self._quarter = int(self.np_random.integers(4))
        image = self.np_random.integers(0, 100, self.observation_space.shape, dtype=np.uint8)
        row, column = self.np_random.integers(0, (4, 3)) + np.array([6, 5]) * np.divmod(self._quarter, 2)
        image[row : row + 2, column : column + 2, 1] = 255
        return image
"""
DICT = """\
        reward = action == (self._state["gear"] if self._state["inner"]["flag"][0] else 2)
        <episode>
        self._state = self.observation_space.sample()
        return self._state
"""
MULTI_DISCRETE = """\
        reward = (action == self._wanted).mean()
        <episode>
        self._wanted = self.action_space.sample()
        return self._wanted
"""
HALF_BOUNDED = """\
        reward = 1.0 - abs(float(action[0]) - 2.0 * self._far)
        <episode>
        self._far = int(self.np_random.integers(2))
        return self._far
"""
MASKED = """\
        assert self._mask[action], "a forbidden action"
        reward = action == np.flatnonzero(self._mask).max()
        <episode>
        self._mask = np.zeros(5, np.int8)
        self._mask[self.np_random.choice(5, 3, replace=False)] = 1
        return {"action_mask": self._mask.copy(), "noise": self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)}
"""
DICT_ACTIONS = """\
        reward = 0.5 * (action["turn"] == self._turn) + 0.5 - 0.5 * abs(float(action["push"][0]) - 1.0 - self._turn)
        <episode>
        self._turn = int(self.np_random.integers(-1, 2))
        return self._turn
"""
FAMILIES = {
    "image": ("Box(0, 255, (12, 10, 3), np.uint8)", "Discrete(4)", IMAGE),
    "dict": (
        "Dict({'gear': Discrete(2), 'inner': Dict({'flag': MultiBinary(1), 'noise': Box(-1.0, 1.0, (2,), np.float64)})})",
        "Discrete(3)",
        DICT,
    ),
    "multi discrete": ("MultiDiscrete([3, 4])", "MultiDiscrete([3, 4])", MULTI_DISCRETE),
    "half bounded": ("Discrete(2)", "Box(0.0, np.inf, (1,), np.float32)", HALF_BOUNDED),
    "dict actions": (
        "Discrete(3, start=-1)",
        "Dict({'push': Box(0.0, np.inf, (1,), np.float32), 'turn': Discrete(3, start=-1)})",
        DICT_ACTIONS,
    ),
    "masked": (
        "Dict({'action_mask': MultiBinary(5), 'noise': Box(-1.0, 1.0, (2,), np.float32)})",
        "Discrete(5)",
        MASKED,
    ),
}
LEARNING_RESET = """\
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.action_space.seed(int(self.np_random.integers(2**31)))
        self._steps = 0
        return self._observation(), {}
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_learnt_within_a_minute(
    bake: Callable[..., BakedProject], ray_is_up: None, tmp_path: Path, family: str
) -> None:
    observation_space, action_space, step = FAMILIES[family]
    project = bake(
        project_name=f"Learns {family}",
        observation_space=observation_space.replace("'", '"'),
        action_space=action_space.replace("'", '"'),
    )
    fill_in(project, LEARNING_RESET, step.replace("        <episode>\n", EPISODE))
    algorithm = build(project, copies=16)
    start, updates, greedy = time.perf_counter(), 0, -np.inf
    while greedy < 19 and time.perf_counter() - start < 60:
        algorithm.train()
        greedy = evaluate(project, algorithm, tmp_path / "policy", episodes=20)
        updates += 1
    algorithm.stop()
    print(f"{family}: {greedy:.2f} of 20 after {updates} updates, {time.perf_counter() - start:.1f} s")
    assert greedy >= 19


@pytest.mark.slow
def test_masked_actions_through_the_commands(bake: Callable[..., BakedProject]) -> None:
    observation_space, action_space, step = FAMILIES["masked"]
    project = bake(
        project_name="Masked Commands",
        observation_space=observation_space.replace("'", '"'),
        action_space=action_space,
    ).install()
    fill_in(project, LEARNING_RESET, step.replace("        <episode>\n", EPISODE))
    project.command("check", check=True)
    copies = ("--num-env-runners", "1", "--num-envs-per-env-runner", "4", "--vectorize-mode", "async")
    project.command("train", "--name", "masked", "--max-env-steps", "20000", *copies, check=True)
    report = json.loads(project.command("evaluate", "masked", "--json", check=True).stdout)
    assert report["policy"]["mean"] > 19.5 > 10 > report["random"]["mean"]


# The environment itself


def test_gym_make_gives_the_users_own_spaces(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="Own Spaces", observation_space="Discrete(5, start=3)", action_space="MultiBinary(2)")
    registration = load(project, "registration")
    own, adapted = gym.make(registration.ENV_ID), registration.env_creator()
    assert own.observation_space == spaces.Discrete(5, start=3) and own.action_space == spaces.MultiBinary(2)
    assert adapted.observation_space == spaces.Box(0, 1, (5,), np.float32)
    assert adapted.action_space == spaces.MultiDiscrete([2, 2])
    assert type(own.unwrapped) is type(adapted.unwrapped) is load(project, "env").OwnSpacesEnv


@pytest.mark.parametrize(
    ("name", "observation_space"),
    [
        ("Box", "Box(-1.0, 1.0, (4,), np.float32)"),
        ("Dict", 'Dict({"gear": Discrete(3), "place": Box(-1.0, 1.0, (2,), np.float32)})'),
    ],
)
def test_stable_baselines3_trains_on_the_environment_unchanged(
    bake: Callable[..., BakedProject], name: str, observation_space: str
) -> None:
    from stable_baselines3 import PPO

    project = bake(project_name=f"Baselines {name}", observation_space=observation_space, action_space="Discrete(3)")
    fill_in(project, RESET, STEP)
    env = gym.make(load(project, "registration").ENV_ID)
    policy = "MultiInputPolicy" if name == "Dict" else "MlpPolicy"
    model = PPO(policy, env, n_steps=64, batch_size=32, n_epochs=1, device="cpu").learn(128)
    assert model.num_timesteps == 128
    assert model.get_env().envs[0].unwrapped is env.unwrapped


@pytest.mark.slow
def test_train_refuses_a_space_before_ray_starts(bake: Callable[..., BakedProject]) -> None:
    project = bake(project_name="No Bound", observation_space="Sequence(Discrete(2))").install()
    fill_in(project, RESET, STEP.replace("    max_sequence_length = 200\n", ""))
    done = project.command("train", "--name", "refused")
    assert done.returncode == 1
    assert (
        "observation_space: Sequence(Discrete(2), stack=False) has no fixed size. "
        "Add `max_sequence_length = 16` to your environment class: the largest that it sends."
    ) in done.stdout
    assert done.stderr.startswith("ERROR: the environment can't be trained, see above")
    assert "starting Ray" not in done.stdout
    assert not (project.path / "runs" / "refused").exists()
