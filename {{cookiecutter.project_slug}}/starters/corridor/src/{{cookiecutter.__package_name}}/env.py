"""A corridor: the worked example, to be read next to your own environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config

MAX_EPISODE_STEPS = 60  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = 0.1  # the mean return at which the task counts as solved; the best possible is 0.2

_MOVES = (-1, 1)  # Left, right.
_CELL_PIXELS = 32


@dataclass(frozen=True)
class EnvConfig:
    """What may differ between two copies of the environment; one field a setting, with its unit."""

    length: int = 10  # cells between the left wall and the goal

    def __post_init__(self) -> None:
        if not (isinstance(self.length, int) and self.length >= 2):
            raise ValueError(f"length must be a whole number of at least 2 cells, got {self.length!r}")


class {{cookiecutter.__class_name}}(gym.Env[np.ndarray, int]):
    """{{cookiecutter.__description}}

    ## Description
    An agent stands in a corridor and has to find out that the goal lies at its right end.

    ## Action Space
    `Discrete(2)`: 0 moves one cell to the left, 1 one cell to the right. The left end is a wall.

    ## Observation Space
    `Box(0, 1, (1,), float32)`
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0 | position | 0 | 1 | corridor lengths from the left wall |

    ## Rewards
    -0.1 for each step, and at the goal between 0.5 and 1.5, drawn evenly.

    ## Starting State
    One of the cells of the left half, drawn evenly.

    ## Episode End
    Terminated: the goal is reached. Truncated: after `MAX_EPISODE_STEPS` steps, which the wrapper counts.

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: "rgb_array", "ansi" or None.

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10, "keys_to_action": {"left": 0, "right": 1}}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._position = 0  # cells from the left wall

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Puts the agent into the left half; returns the observation and an empty info."""
        super().reset(seed=seed)
        self._position = int(self.np_random.integers(0, self.config.length // 2))
        return self._observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves the agent by one cell; returns observation, reward, terminated, truncated and an empty info."""
        # Move, but not through the wall.
        self._position = max(self._position + _MOVES[action], 0)

        # Every step costs a little, the goal pays.
        terminated = self._position == self.config.length
        reward = -0.1 + (float(self.np_random.uniform(0.5, 1.5)) if terminated else 0.0)
        return self._observation(), reward, terminated, False, {}

    def render(self) -> Any:
        """Draws the corridor, as text or as an array of shape (32, 32 * (length + 1), 3), uint8."""
        cells = self.config.length + 1
        if self.render_mode == "ansi":
            corridor = ["."] * (cells - 1) + ["G"]
            corridor[self._position] = "A"
            return "".join(corridor)
        if self.render_mode == "rgb_array":
            image = np.full((1, cells, 3), 255, np.uint8)
            image[0, -1] = (60, 160, 60)  # the goal, green
            image[0, self._position] = (40, 80, 200)  # the agent, blue
            return image.repeat(_CELL_PIXELS, axis=0).repeat(_CELL_PIXELS, axis=1)
        return None

    def _observation(self) -> np.ndarray:
        return np.array([self._position / self.config.length], np.float32)
