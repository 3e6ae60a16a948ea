"""The environments that the benchmarks learn, each put into a baked project as a user would write it."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import BakedProject, bake_project, clean_environment

__all__ = ["PANEL", "BakedProject", "Task", "clean_environment", "panel_project"]

PROJECT_NAME = "Panel Task"
OWN = Path(__file__).with_name("small_tasks.py")
ENV = '''\
"""{env_id}, in the place of one's own environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from .kit.config import read_config

{imports}

MAX_EPISODE_STEPS = {max_episode_steps}
REWARD_THRESHOLD = {threshold}


@dataclass(frozen=True)
class EnvConfig:
    """Nothing may differ."""


class PanelTaskEnv(gym.Env[Any, Any]):
    """{env_id}, as it is."""

    metadata = {{"render_modes": [], "render_fps": 30}}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self._env = {made}
        self.observation_space = self._env.observation_space
        self.action_space = self._env.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._env.reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._env.step(action)
        return observation, float(reward), terminated, truncated, info
'''


@dataclass(frozen=True)
class Task:
    """An environment and the mean return of 50 episodes at which it counts as learnt."""

    env_id: str  # of Gymnasium: the name of its row
    threshold: float
    max_episode_steps: int  # the environment's own time limit, where it has one
    keywords: tuple[tuple[str, Any], ...] = ()
    imports: str = ""  # what makes the environment known to Gymnasium
    wrapper: str = ""

    @property
    def made(self) -> str:
        """The Python expression that makes the environment, without a time limit."""
        made = f'gym.make("{self.env_id}", max_episode_steps=-1, disable_env_checker=True, **{dict(self.keywords)})'
        return f"{self.wrapper}({made})" if self.wrapper else made

    def write(self, project: BakedProject) -> None:
        """Puts the environment into a project named PROJECT_NAME."""
        text = ENV.format(
            env_id=self.env_id,
            imports=self.imports,
            max_episode_steps=self.max_episode_steps,
            threshold=self.threshold,
            made=self.made,
        )
        (project.source / "env.py").write_text(text, encoding="utf-8")
        shutil.copy(OWN, project.source)


MINATAR = "from minatar.gym import register_envs\n\nregister_envs()"
MINIGRID = "from minigrid.wrappers import ImgObsWrapper"
SMALL = f"from . import {OWN.stem}"
# Thresholds: Gymnasium's own, or what rl-baselines3-zoo's benchmark.md reports of its tuned PPO, rounded down. MinAtar:
# what gymnax-blines' PPO reaches in a million steps of ten, agents/*/ppo.pkl at 3f029d6: 16.6 and 50.4.
PANEL = (
    Task("CartPole-v1", 475.0, 500),
    Task("Acrobot-v1", -100.0, 500),
    Task("Pendulum-v1", -200.0, 200),
    Task("MountainCar-v0", -130.0, 200),
    Task("MountainCarContinuous-v0", 90.0, 999),
    Task("LunarLander-v3", 200.0, 1000),
    Task("BipedalWalker-v3", 250.0, 1600),
    Task("FrozenLake-v1", 0.95, 100, (("is_slippery", False),)),
    Task("CliffWalking-v1", -30.0, 200),
    Task("Blackjack-v1", -0.12, 50),
    Task("Hopper-v5", 2000.0, 1000),
    Task("HalfCheetah-v5", 3000.0, 1000),
    Task("MinAtar/Breakout-v1", 15.0, 1000, imports=MINATAR),
    Task("MinAtar/SpaceInvaders-v1", 50.0, 1000, imports=MINATAR),
    Task("MiniGrid-DoorKey-5x5-v0", 0.9, 250, imports=MINIGRID, wrapper="ImgObsWrapper"),
    Task("panel/Courier-v0", 0.85, 50, imports=SMALL),
    Task("panel/Tricks-v0", 6.5, 8, imports=SMALL),
)


def panel_project(folder: Path) -> BakedProject:
    """Bakes and installs the project that the tasks are written into."""
    return bake_project(folder, project_name=PROJECT_NAME).install()
