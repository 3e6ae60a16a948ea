"""Intercept: a worked example that is drawn with pygame, played by hand, and learnt from state or from pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config

MAX_EPISODE_STEPS = 100  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = 1.3  # the mean return at which the task counts as solved; a pursuit in a straight line gets 1.42

# Lengths are in sides of the box, times in steps.
RADIUS = 0.08  # of the worker and of the target
START_DISTANCE = 0.5  # between them, at least
WORKER_SPEED = 0.03  # at most, along each axis
TARGET_SPEED = 0.025  # at most
INERTIA = 0.8  # the share of its velocity that the target keeps in a step
PIXELS = 24  # a side of the pictures that are observed

_SCREEN_PIXELS = 480  # a side of the pictures for people
_BLUE, _RED = (0, 96, 255), (255, 64, 0)  # Worker, target; on black, so that a network sees nothing but the two.


@dataclass(frozen=True)
class EnvConfig:
    """What may differ between two copies of the environment; one field a setting, with its unit."""

    pixels: bool = False  # whether two pictures are observed, in place of six numbers

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, bool):
            raise ValueError(f"pixels must be True or False, got {self.pixels!r}")


class {{cookiecutter.__class_name}}(gym.Env[np.ndarray, np.ndarray]):
    """{{cookiecutter.__description}}

    ## Description
    A blue worker in a square box has to catch a red target: to touch it. The target flees from the worker and, near a
    wall, inwards, with some noise; it is slower than the worker, and keeps most of its velocity from step to step.
    Walls stop both.

    ## Action Space
    `Box(-1, 1, (2,), float32)`: the worker's velocity to the right and downwards, in units of `WORKER_SPEED`.

    ## Observation Space
    A Box of shape (6,), float32:
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0, 1 | position of the worker, from the left and from the top | 0 | 1 | sides of the box |
    | 2, 3 | position of the target | 0 | 1 | sides of the box |
    | 4, 5 | velocity of the target | -0.025 | 0.025 | sides of the box a step |

    With `EnvConfig(pixels=True)`, `Box(0, 255, (24, 24, 6), uint8)`: the picture before the step and the one after it,
    red, green and blue each; one alone would show no velocity. After `reset` both are the same.

    ## Rewards
    By how much the two have come nearer, -0.005 for each step, and 1 for the catch. Coming nearer shows the way: over an
    episode it adds up to the same, whatever the detours.

    ## Starting State
    Two positions, drawn evenly from those that are half a side apart or more. The target stands still.

    ## Episode End
    Terminated: the target is caught. Truncated: after `MAX_EPISODE_STEPS` steps, which the wrapper counts.

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: "human" for a window, "rgb_array" or None.

    ## Version History
    v0: first version.
    """

    metadata = {
        "render_modes": ["human", "rgb_array"],
        "render_fps": 20,
        "keys_to_action": {
            "": [0, 0],
            "left": [-1, 0],
            "right": [1, 0],
            "up": [0, -1],
            "down": [0, 1],
            ("left", "up"): [-1, -1],
            ("left", "down"): [-1, 1],
            ("right", "up"): [1, -1],
            ("right", "down"): [1, 1],
        },
    }

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        if self.config.pixels:
            self.observation_space = spaces.Box(0, 255, (PIXELS, PIXELS, 6), np.uint8)
        else:
            low = np.array([0, 0, 0, 0, -TARGET_SPEED, -TARGET_SPEED], np.float32)
            high = np.array([1, 1, 1, 1, TARGET_SPEED, TARGET_SPEED], np.float32)
            self.observation_space = spaces.Box(low, high)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._worker = self._target = np.zeros(2)  # positions, from the upper left corner
        self._velocity = np.zeros(2)  # of the target
        self._picture: Any = None  # that was observed last
        self._window: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Puts worker and target far apart; returns the observation and an empty info."""
        super().reset(seed=seed)
        self._worker = self._target
        while self._distance() < START_DISTANCE:
            self._worker, self._target = self.np_random.uniform(RADIUS, 1 - RADIUS, (2, 2))
        self._velocity = np.zeros(2)
        self._picture = self._draw(PIXELS) if self.config.pixels else None
        if self.render_mode == "human":
            self.render()
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves worker and target; returns observation, reward, terminated, truncated and an empty info."""
        distance = self._distance()
        self._worker = np.clip(self._worker + WORKER_SPEED * action, RADIUS, 1 - RADIUS)

        # The target turns away from the worker and inwards (0 in the middle, 2 at a wall), but not at once.
        away = (self._target - self._worker) / self._distance()
        inwards = 2 * (1 - 2 * self._target) ** 3
        heading = away + inwards + self.np_random.normal(0.0, 0.3, 2)
        wanted = TARGET_SPEED * heading / np.linalg.norm(heading)
        self._velocity = INERTIA * self._velocity + (1 - INERTIA) * wanted
        self._target = np.clip(self._target + self._velocity, RADIUS, 1 - RADIUS)

        # Coming nearer pays, every step costs a little, the catch pays most.
        terminated = self._distance() <= 2 * RADIUS
        reward = distance - self._distance() - 0.005 + terminated
        if self.render_mode == "human":
            self.render()
        return self._observation(), reward, terminated, False, {}

    def mouse_action(self, x: float, y: float) -> np.ndarray:
        """Returns the action that takes the worker towards a place: `play` asks for it while the mouse is down."""
        return np.clip((np.array([x, y]) - self._worker) / WORKER_SPEED, -1, 1).astype(np.float32)

    def render(self) -> Any:
        """Draws the box: an array of shape (480, 480, 3), uint8, or a window, which the first call opens."""
        if self.render_mode == "human":
            import pygame

            if self._window is None:
                pygame.display.init()
                self._window, self._clock = pygame.display.set_mode((_SCREEN_PIXELS,) * 2), pygame.time.Clock()
            pygame.surfarray.blit_array(self._window, self._draw(_SCREEN_PIXELS).swapaxes(0, 1))
            pygame.display.flip()
            pygame.event.pump()  # a window that takes no events counts as frozen
            self._clock.tick(self.metadata["render_fps"])
        return self._draw(_SCREEN_PIXELS) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            import pygame

            pygame.display.quit()
            self._window = None

    def _distance(self) -> float:
        return float(np.linalg.norm(self._target - self._worker))

    def _observation(self) -> np.ndarray:
        if not self.config.pixels:
            return np.concatenate([self._worker, self._target, self._velocity]).astype(np.float32)
        before, self._picture = self._picture, self._draw(PIXELS)
        return np.concatenate([before, self._picture], axis=-1)

    def _draw(self, side: int) -> np.ndarray:
        """Returns a picture of shape (side, side, 3), drawn larger and shrunk: so a disc can move by part of a pixel."""
        import pygame  # of gymnasium[classic-control]; late, since learning from state does without

        surface = pygame.Surface((4 * side, 4 * side))
        for colour, place in ((_RED, self._target), (_BLUE, self._worker)):
            pygame.draw.circle(surface, colour, (4 * side * place).tolist(), 4 * side * RADIUS)
        return pygame.surfarray.array3d(pygame.transform.smoothscale(surface, (side, side))).swapaxes(0, 1)
