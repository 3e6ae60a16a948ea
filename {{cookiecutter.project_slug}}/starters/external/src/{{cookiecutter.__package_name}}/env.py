"""A tank of water, simulated by another process: the worked example of an environment around a simulator.

Yours goes in its place: let it speak the protocol of kit/external/PROTOCOL.md, put what starts it into COMMAND, its spaces
into `__init__` and its settings into EnvConfig; then delete simulator.py.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config
from .kit.external import Simulator

MAX_EPISODE_STEPS = 100  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = 85.0  # the mean return at which the task counts as solved; the best possible is about 97

# What starts the simulator, which then connects to "{port}".
COMMAND = [sys.executable, str(Path(__file__).with_name("simulator.py")), "{port}"]


@dataclass(frozen=True)
class EnvConfig:
    """What may differ between two copies of the environment; one field a setting, with its unit."""

    leak: float = 0.05  # of a full tank, in tanks a second
    address: str = ""  # "host:port" of a simulator that runs already; "" starts one for each copy
    start_seconds: float = 30.0  # the longest that the simulator may take to start
    reset_seconds: float = 10.0  # and to answer a reset
    step_seconds: float = 5.0  # and a step

    def __post_init__(self) -> None:
        if not 0.0 < self.leak < 0.08:
            raise ValueError(f"leak must be above 0 and below 0.08, what the open valve lets in, got {self.leak!r}")


class {{cookiecutter.__class_name}}(gym.Env[np.ndarray, int]):
    """{{cookiecutter.__description}}

    ## Description
    A tank leaks, the more the fuller it is. The agent turns the valve of its inflow, to keep the level at a mark.

    ## Action Space
    `Discrete(3)`: 0 closes the valve by a tenth, 1 leaves it, 2 opens it by a tenth.

    ## Observation Space
    `Box(0, 1, (3,), float32)`
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0 | level | 0 | 1 | tanks |
    | 1 | mark | 0 | 1 | tanks |
    | 2 | valve | 0 | 1 | of its opening |

    ## Rewards
    1 for each second (a step) at the mark, less by 2 for each tank above or below it. -1 at a bad end.

    ## Starting State
    Level 0.2 to 0.8, mark 0.3 to 0.7, valve 0 to 1, each drawn evenly.

    ## Episode End
    Terminated: the tank floods, or is nearly dry. Truncated: after `MAX_EPISODE_STEPS` steps, which the wrapper counts.

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: None; a simulator has its own window.

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": [], "render_fps": 30}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._simulator = Simulator(
            self.observation_space,
            self.action_space,
            COMMAND,
            self.config.address,
            settings={"leak": self.config.leak},
            start_seconds=self.config.start_seconds,
            reset_seconds=self.config.reset_seconds,
            step_seconds=self.config.step_seconds,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in the simulator, which draws from a seed; returns the observation and an info."""
        super().reset(seed=seed)
        return self._simulator.reset(int(self.np_random.integers(2**31)), options)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Has the simulator take a step; returns observation, reward, terminated, truncated and an info."""
        return self._simulator.step(action)

    def close(self) -> None:
        """Ends the simulator."""
        self._simulator.close()
