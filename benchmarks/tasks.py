"""The environments that the benchmarks learn, each put into a baked project as a user would write it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import TEMPLATE, BakedProject, bake_project, clean_environment

__all__ = ["PANEL", "BakedProject", "Task", "clean_environment", "panel_project"]

PROJECT_NAME = "Panel Task"
ENV = '''\
"""Gymnasium's {env_id}, in the place of one's own environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from .kit.config import read_config

MAX_EPISODE_STEPS = {max_episode_steps}
REWARD_THRESHOLD = {threshold}


@dataclass(frozen=True)
class EnvConfig:
    """Nothing may differ."""


class PanelTaskEnv(gym.Env[Any, Any]):
    """{env_id}, its rewards times {scale:g}."""

    metadata = {{"render_modes": [], "render_fps": 30}}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self._env = gym.make("{env_id}", max_episode_steps=-1, disable_env_checker=True, **{keywords})
        self.observation_space = self._env.observation_space
        self.action_space = self._env.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._env.reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._env.step(action)
        return observation, {scale!r} * float(reward), terminated, truncated, info
'''


@dataclass(frozen=True)
class Task:
    """An environment and the mean return of 50 episodes at which it counts as learnt."""

    env_id: str  # of Gymnasium, or "corridor" for the starter of that name
    threshold: float
    max_episode_steps: int = 0  # Gymnasium's own time limit
    keywords: tuple[tuple[str, Any], ...] = ()
    scale: float = 1.0  # that rewards and threshold are multiplied by

    @property
    def name(self) -> str:
        """The name of its row."""
        return self.env_id if self.scale == 1.0 else f"{self.env_id} x{self.scale:g}"

    @property
    def stop_return(self) -> float:
        """The threshold in scaled rewards."""
        return self.threshold * self.scale

    def write(self, project: BakedProject) -> None:
        """Puts the environment into a project named PROJECT_NAME."""
        if self.env_id == "corridor":
            starter = TEMPLATE / "{{cookiecutter.project_slug}}" / "starters" / "corridor"
            text = next(starter.rglob("env.py")).read_text(encoding="utf-8")
            for old, new in (
                ("{{cookiecutter.__class_name}}", "PanelTaskEnv"),
                ("return self._observation(), reward,", f"return self._observation(), {self.scale!r} * reward,"),
                ("REWARD_THRESHOLD = 0.1", f"REWARD_THRESHOLD = {self.stop_return!r}"),
            ):
                assert old in text
                text = text.replace(old, new)
        else:
            text = ENV.format(
                env_id=self.env_id,
                max_episode_steps=self.max_episode_steps,
                threshold=self.stop_return,
                scale=self.scale,
                keywords=dict(self.keywords),
            )
        (project.source / "env.py").write_text(text, encoding="utf-8")


PANEL = (
    Task("CartPole-v1", 475.0, 500),
    Task("Acrobot-v1", -100.0, 500),
    Task("Pendulum-v1", -250.0, 200),
    Task("MountainCarContinuous-v0", 90.0, 999),
    Task("LunarLander-v3", 200.0, 1000),
    Task("FrozenLake-v1", 0.95, 100, (("is_slippery", False),)),
    Task("corridor", 0.1),
)


def panel_project(folder: Path) -> BakedProject:
    """Bakes and installs the project that the tasks are written into."""
    return bake_project(folder, project_name=PROJECT_NAME).install()
