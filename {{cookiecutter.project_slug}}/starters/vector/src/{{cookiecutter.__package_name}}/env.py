"""Corridors: the worked example of an environment that steps all its copies at once, with NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .kit.config import read_config

MAX_EPISODE_STEPS = 60  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = 0.1  # the mean return at which the task counts as solved; the best possible is 0.2

_MOVES = np.array([-1, 1])  # Left, right.
_CELL_PIXELS = 32


@dataclass(frozen=True)
class EnvConfig:
    """The settings; one field each, with its unit."""

    num_envs: int = 1  # copies; training fills it in
    length: int = 10  # cells between the left wall and the goal

    def __post_init__(self) -> None:
        if not (isinstance(self.length, int) and self.length >= 2):
            raise ValueError(f"length must be a whole number of at least 2 cells, got {self.length!r}")


class {{cookiecutter.__class_name}}(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """{{cookiecutter.__description}}

    ## Description
    In each corridor stands an agent, which has to find out that the goal lies at the right end.

    ## Action Space
    `Discrete(2)` for each copy: 0 moves one cell to the left, 1 one cell to the right. The left end is a wall.

    ## Observation Space
    `Box(0, 1, (1,), float32)` for each copy
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0 | position | 0 | 1 | corridor lengths from the left wall |

    ## Rewards
    -0.1 for each step, and 1 at the goal.

    ## Starting State
    One of the cells of the left half, drawn evenly.

    ## Episode End
    Terminated: the goal is reached. Truncated: after `MAX_EPISODE_STEPS` steps, which each copy counts itself.
    The next step ignores the copy's action and starts its next episode, with reward 0 (`AutoresetMode.NEXT_STEP`).

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: "rgb_array" or None.

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.num_envs = self.config.num_envs
        self.single_observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators = [np.random.default_rng() for _ in range(self.num_envs)]
        self._positions = np.zeros(self.num_envs, int)  # cells from the left wall
        self._steps = np.zeros(self.num_envs, int)  # of the episodes under way
        self._ended = np.zeros(self.num_envs, bool)  # copies that the next step resets

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in every copy, copy i with the seed `seed + i`; returns observations and an empty info."""
        if seed is not None:
            seeds = range(seed, seed + self.num_envs) if isinstance(seed, int) else seed
            self._generators = [np.random.default_rng(own) for own in seeds]
        self._start(np.ones(self.num_envs, bool))
        return self._observations(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Moves every agent by one cell.

        Args:
            actions: shape (num_envs,).

        Returns:
            Observations, rewards, terminated, truncated, each with one row a copy, and an empty info.
        """
        playing = ~self._ended

        # Move, but not through the wall.
        self._positions[playing] = np.maximum(self._positions + _MOVES[actions], 0)[playing]
        self._steps += 1

        # Every step costs a little, the goal pays.
        terminated = playing & (self._positions == self.config.length)
        truncated = playing & (self._steps == MAX_EPISODE_STEPS)
        rewards = np.where(playing, terminated - 0.1, 0.0)

        self._start(self._ended)
        self._ended = terminated | truncated
        return self._observations(), rewards, terminated, truncated, {}

    def render(self) -> Any:
        """Draws each corridor as an array of shape (32, 32 * (length + 1), 3), uint8."""
        if self.render_mode != "rgb_array":
            return None
        images = np.full((self.num_envs, 1, self.config.length + 1, 3), 255, np.uint8)
        images[:, 0, -1] = (60, 160, 60)  # the goal, green
        images[np.arange(self.num_envs), 0, self._positions] = (40, 80, 200)  # the agent, blue
        return tuple(images.repeat(_CELL_PIXELS, axis=1).repeat(_CELL_PIXELS, axis=2))

    def _start(self, copies: np.ndarray) -> None:
        """Starts an episode in the copies that are marked."""
        for copy in np.flatnonzero(copies):
            self._positions[copy] = self._generators[copy].integers(0, self.config.length // 2)
        self._steps[copies] = 0
        self._ended = self._ended & ~copies

    def _observations(self) -> np.ndarray:
        return (self._positions[:, None] / self.config.length).astype(np.float32)
