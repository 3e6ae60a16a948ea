"""Two carriers and a scout: the worked example of several agents, to be read next to your own environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from .kit.config import read_config
from .kit.multi_agent import MultiAgentEnv

MAX_EPISODE_STEPS = 50  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = 0.7  # the mean return, summed over the agents, that counts as solved; the best is about 0.8

CARRIERS, SCOUT = ("carrier_0", "carrier_1"), "scout"
_SIDES = (-1, 1)  # Of the open dock, and of a carrier's step: left, right.
_SIGNS = (-1, 0, 1)  # What the scout shows: left, nothing, right.
_CELL_PIXELS = 32


@dataclass(frozen=True)
class EnvConfig:
    """What may differ between two copies of the environment; one field a setting, with its unit."""

    length: int = 9  # cells, the docks at both ends included
    scout_steps: int = 3  # after which the scout leaves

    def __post_init__(self) -> None:
        if not (isinstance(self.length, int) and self.length >= 5):
            raise ValueError(f"length must be a whole number of at least 5 cells, got {self.length!r}")
        if not (isinstance(self.scout_steps, int) and self.scout_steps >= 1):
            raise ValueError(f"scout_steps must be a whole number of at least 1, got {self.scout_steps!r}")


class {{cookiecutter.__class_name}}(MultiAgentEnv):
    """{{cookiecutter.__description}}

    ## Description
    Two carriers bring a load to the dock that is open. Who reaches the load holds it, and both together lift it; then
    they have to walk the same way to move it. Which dock is open, only the scout sees: it joins when the load is lifted,
    shows the carriers a side, and leaves a few steps later.

    ## Action Space
    | agent | space | what |
    |---|---|---|
    | `carrier_0`, `carrier_1` | `Discrete(2)` | 0 walks one cell to the left, 1 to the right |
    | `scout` | `Discrete(3)` | 0 shows left, 1 nothing, 2 right; it stays shown after the scout has left |

    ## Observation Space
    `scout`: `Discrete(2)`, 0 where the left dock is open, 1 the right one. Each carrier: `Box(-1, 1, (5,), float32)`
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0 | its way to the load | -1 | 1 | corridor lengths to the right |
    | 1 | the other carrier's way to the load | -1 | 1 | likewise |
    | 2 | the load's position | 0 | 1 | corridor lengths from the left dock |
    | 3 | the load is lifted | 0 | 1 | |
    | 4 | what the scout shows: left, nothing, right | -1 | 1 | |

    ## Rewards
    Each agent that acts gets 0.1 for a cell that the load comes nearer to the open dock, -0.1 for a cell that it comes
    farther from it, and -0.01 for the step.

    ## Starting State
    The carriers stand anywhere, the load lies at least two cells from either dock, one of the docks is open; all drawn
    evenly.

    ## Episode End
    Terminated: all agents, when the load is at the open dock; the scout alone, after `scout_steps` steps.
    Truncated: after `MAX_EPISODE_STEPS` steps, which the wrapper counts.

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: "rgb_array" or None.

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.possible_agents = [*CARRIERS, SCOUT]
        self.agents = []
        low = np.array([-1, -1, 0, 0, -1], np.float32)
        self.observation_spaces = {carrier: spaces.Box(low, np.ones(5, np.float32)) for carrier in CARRIERS}
        self.observation_spaces[SCOUT] = spaces.Discrete(2)
        self.action_spaces = {carrier: spaces.Discrete(2) for carrier in CARRIERS} | {SCOUT: spaces.Discrete(3)}
        self._positions = [0, 0]  # cells from the left dock
        self._load = self._open = self._shown = self._scout_steps = 0
        self._is_lifted = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Puts carriers and load into the corridor; returns the carriers' observations and no infos."""
        super().reset(seed=seed)
        length = self.config.length
        self.agents = list(CARRIERS)
        self._positions = self.np_random.integers(0, length, 2).tolist()
        self._load = int(self.np_random.integers(2, length - 2))
        self._open = _SIDES[self.np_random.integers(2)]
        self._shown = self._scout_steps = 0
        self._is_lifted = False
        return self._observations(), {}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Moves the carriers, and the load if they hold it and agree; the scout comes and goes."""
        acting, distance = list(self.agents), self._distance()
        moves = [_SIDES[actions[carrier]] for carrier in CARRIERS]
        if SCOUT in acting:
            self._shown = _SIGNS[actions[SCOUT]]
            self._scout_steps += 1

        # Who is at the load stays there; lifted, it moves only as both carriers do.
        if not self._is_lifted:
            walks = zip(self._positions, moves, strict=True)
            self._positions = [self._load if p == self._load else self._walk(p, move) for p, move in walks]
            self._is_lifted = self._positions == [self._load, self._load]
            if self._is_lifted:
                self.agents.append(SCOUT)
        elif moves[0] == moves[1]:
            self._load = self._walk(self._load, moves[0])
            self._positions = [self._load, self._load]

        # All get the same for the load; each step costs a little.
        reward = 0.1 * (distance - self._distance()) - 0.01
        observations, is_over = self._observations(), self._distance() == 0
        terminated = dict.fromkeys(self.agents, is_over) | {"__all__": is_over}
        if self._scout_steps == self.config.scout_steps and SCOUT in acting:
            terminated[SCOUT] = True
            self.agents.remove(SCOUT)
        if is_over:
            self.agents = []
        truncated = dict.fromkeys(terminated, False)
        return observations, dict.fromkeys(acting, reward), terminated, truncated, {}

    def render(self) -> Any:
        """Draws the corridor as an array of shape (96, 32 * length, 3), uint8: the load between its two carriers."""
        if self.render_mode != "rgb_array":
            return None
        image = np.full((3, self.config.length, 3), 255, np.uint8)
        image[1, [0, -1]] = (200, 200, 200)  # the docks, grey
        image[1, 0 if self._open < 0 else -1] = (60, 160, 60)  # the open one, green
        if self._shown:
            image[[0, 2], 0 if self._shown < 0 else -1] = (250, 200, 60)  # what the scout shows, yellow
        image[1, self._load] = (120, 80, 40)  # brown
        image[[0, 2], self._positions] = (40, 80, 200)  # the carriers, blue
        return image.repeat(_CELL_PIXELS, axis=0).repeat(_CELL_PIXELS, axis=1)

    def _walk(self, position: int, move: int) -> int:
        return min(max(position + move, 0), self.config.length - 1)

    def _distance(self) -> int:
        """Returns how many cells the load is from the open dock."""
        return self._load if self._open < 0 else self.config.length - 1 - self._load

    def _observations(self) -> dict[str, Any]:
        """Returns what each agent sees that takes part."""
        scale = self.config.length - 1
        first, second = ((self._load - position) / scale for position in self._positions)
        ways = {CARRIERS[0]: [first, second], CARRIERS[1]: [second, first]}
        shared = [self._load / scale, self._is_lifted, self._shown]
        observations: dict[str, Any] = {
            carrier: np.array([*ways[carrier], *shared], np.float32) for carrier in CARRIERS
        }
        if SCOUT in self.agents:
            observations[SCOUT] = _SIDES.index(self._open)
        return observations
