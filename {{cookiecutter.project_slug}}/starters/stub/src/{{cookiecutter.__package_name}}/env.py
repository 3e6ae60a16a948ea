"""Your environment: fill in `reset` and `step`, and say in the docstring what they do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .kit.config import read_config

MAX_EPISODE_STEPS = {{cookiecutter.max_episode_steps}}  # the time limit: after so many steps an episode is truncated
REWARD_THRESHOLD = None  # the mean return at which the task counts as solved; training stops there


@dataclass(frozen=True)
class EnvConfig:
    """What may differ between two copies of the environment; one field a setting, with its unit."""


class {{cookiecutter.__class_name}}(gym.Env[Any, Any]):
    """{{cookiecutter.__description}}

    ## Description
    What happens in one step, and what the agent is there to do.

    ## Action Space
    What each action does.

    ## Observation Space
    | index | what | low | high | unit |
    |---|---|---|---|---|
    | 0 | | | | |

    ## Rewards
    What is rewarded, and the range of the reward of one step.

    ## Starting State
    What is drawn at random, from which range.

    ## Episode End
    Terminated: when the task itself is over. Truncated: after `MAX_EPISODE_STEPS` steps, which the wrapper counts.

    ## Arguments
    `config`: a dict with the fields of `EnvConfig`. `render_mode`: one of `metadata["render_modes"]`, or None.

    ## Version History
    v0: first version.
    """

    metadata = {"render_modes": [], "render_fps": 30}  # add "rgb_array" once `render` draws

    def __init__(self, config: Mapping[str, Any] | None = None, render_mode: str | None = None) -> None:
        self.config = read_config(EnvConfig, config)
        self.render_mode = render_mode
        self.observation_space = OBSERVATION_SPACE
        self.action_space = ACTION_SPACE

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode and returns `(observation, info)`."""
        super().reset(seed=seed)  # seeds self.np_random: draw every random number from it
        raise NotImplementedError("write reset(): set the starting state, return (observation, info)")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Moves on by one step and returns `(observation, reward, terminated, truncated, info)`."""
        raise NotImplementedError("write step(): act, return (observation, reward, terminated, False, info)")

    def render(self) -> Any:
        """Draws the state as an array of shape (height, width, 3), uint8; only videos need it."""
        return None
