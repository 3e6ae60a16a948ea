"""An environment that steps all its copies at once: made in every way, guarded, and trained in its own mode."""

import pytest
from conftest import BakedProject


def run(project: BakedProject, code: str) -> str:
    """Returns what code prints that sees the package as `p`, and Gymnasium and NumPy."""
    names = "import gymnasium as gym, numpy as np, corridors as p, corridors.registration as registration\n"
    return project.run("-c", names + code, check=True).stdout.strip()


def test_gymnasium_makes_one_copy_and_many(vector: BakedProject) -> None:
    one = "env = gym.make(p.ENV_ID); env.reset(seed=3); print(env.action_space, env.step(1)[1], env.spec.max_episode_steps)"
    assert run(vector, one) == "Discrete(2) -0.1 60"
    many = "env = gym.make_vec(p.ENV_ID, num_envs=5); print(env.num_envs, env.reset(seed=3)[0].shape)"
    assert run(vector, many) == "5 (5, 1)"
    done = vector.run("-c", "import gymnasium, corridors as p; gymnasium.make_vec(p.ENV_ID, max_episode_steps=5)")
    assert "max_episode_steps is 60, which a VectorEnv counts; change it in corridors.env" in done.stderr


def test_one_copy_plays_what_it_plays_among_many(vector: BakedProject) -> None:
    code = """
one, many = gym.make(p.ENV_ID), gym.make_vec(p.ENV_ID, num_envs=5)
first, firsts = one.reset(seed=3)[0], many.reset(seed=3)[0]
assert (first == firsts[0]).all()
for action in [1, 0, 1, 1, 1, 0, 1]:
    single, batch = one.step(action), many.step(np.full(5, action))
    assert (single[0] == batch[0][0]).all() and single[1:4] == tuple(part[0] for part in batch[1:4])
print("same")
"""
    assert run(vector, code) == "same"


def test_config_and_worker_facts_reach_the_environment(vector: BakedProject) -> None:
    code = """
from dataclasses import dataclass
import corridors.env as module
@dataclass(frozen=True)
class EnvConfig(module.EnvConfig):
    worker_index: int = 0
    num_workers: int = 0
module.EnvConfig = EnvConfig
from corridors import TASK
from corridors.kit.rllib.config import algorithm_config
from corridors.kit.vectorization.settings import Vectorization
config = algorithm_config(TASK, Vectorization(0, 4, "vector_entry_point", ""), seed=0, env_config={"length": 7})
runner = config.env_runner_cls(config=config, worker_index=2, num_workers=3)
print(runner.env.unwrapped.config)
"""
    project = run(vector, code).splitlines()[-1]
    assert project == "EnvConfig(num_envs=4, length=7, worker_index=2, num_workers=3)"


BROKEN = """
from corridors.kit.guard import VectorGuard
class Broken(p.CorridorsEnv):
    def step(self, actions):
        observations, rewards, terminated, truncated, infos = super().step(actions)
        self.number = getattr(self, "number", 0) + 1
        {fault}
        return observations, rewards, terminated, truncated, infos
    {attribute}
try:
    env = VectorGuard(Broken({{"num_envs": 4}}), strict={strict})
    env.reset(seed=9)
    for _ in range(200):
        env.step(np.ones(4, int))
    print("nothing")
except Exception as failure:
    print(failure)
"""
FAULTS = {
    "NaN reward": ("if self.number == 8: rewards[2] = np.nan", "", "the reward of copy 2 is nan, not a finite number"),
    "outside": ("if self.number == 8: observations[1] = 3.0", "", "observations[1, 0] is 3.0"),
    "NaN observation": ("if self.number == 8: observations[1] = np.nan", "", "observations[1, 0] is nan"),
    "shape": ("if self.number == 8: observations = observations[0]", "", "(1,)"),
    "exception": ("if self.number == 8: raise ZeroDivisionError('by zero')", "", "ZeroDivisionError: by zero"),
    "exit": ("if self.number == 8: raise SystemExit(3)", "", "SystemExit: 3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_guard_names_step_seed_and_copy(vector: BakedProject, fault: str) -> None:
    code, attribute, message = FAULTS[fault]
    told = run(vector, BROKEN.format(fault=code, attribute=attribute, strict=True))
    assert message in told
    assert "in step 8 after reset(seed=9) of 4 copies" in told


def test_guard_lets_floats_leave_their_bounds_unless_it_is_strict(vector: BakedProject) -> None:
    told = run(vector, BROKEN.format(fault=FAULTS["outside"][0], attribute="", strict=False))
    assert told == "nothing"


def test_guard_refuses_other_automatic_resets(vector: BakedProject) -> None:
    same = 'metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}'
    assert "RLlib would mix the episodes" in run(vector, BROKEN.format(fault="", attribute=same, strict=True))
    plays_on = "rewards = np.where(rewards == 0, -0.1, rewards)"
    told = run(vector, BROKEN.format(fault=plays_on, attribute="", strict=True))
    assert "whose episode had ended, got reward -0.1" in told


def test_correct_one_passes_the_guard(vector: BakedProject) -> None:
    assert run(vector, BROKEN.format(fault="", attribute="", strict=True)) == "nothing"
