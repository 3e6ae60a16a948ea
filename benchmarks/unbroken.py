"""An environment around a simulator, as many users write theirs, with a hook for each mistake that the mutants make."""

from typing import Any, ClassVar

import gymnasium as gym
from gymnasium import spaces

LATE_STEPS = 20  # from here on in an episode, what comes late comes
FALLS = ("CartPole", "Hopper")  # in random play, long before the time limit


class Unbroken(gym.Env[Any, Any]):
    """An environment around a simulator, which is the model; correct, as far as the model is. Mistakes change a hook."""

    model: ClassVar[str]
    limit: ClassVar[int | None]  # steps of an episode; None where the simulator counts them
    says: ClassVar[str] = ""  # a pattern that a message must match to name the mistake
    not_in: ClassVar[tuple[str, ...]] = ()

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._simulator = self.make()
        self._limit: int = self.limit or self._simulator.max_steps
        self.metadata = self._simulator.metadata
        self.observation_space: spaces.Space[Any] = self._simulator.observation_space
        self.action_space: spaces.Space[Any] = self._simulator.action_space
        self._steps = 0

    def make(self) -> Any:
        """Returns the simulator."""
        return gym.make(
            self.model, max_episode_steps=-1, disable_env_checker=True, render_mode=self.render_mode
        ).unwrapped

    def begin(self) -> None:
        """Sets what an episode counts."""
        self._steps = 0

    def pass_on(self, seed: int | None) -> int | None:
        """Returns the seed that the simulator gets."""
        return seed

    def look(self, observation: Any) -> Any:
        """Returns what is observed."""
        return observation

    def act(self, action: Any) -> Any:
        """Returns the action that the simulator gets."""
        return action

    def give(self, observation: Any, reward: float, terminated: bool, truncated: bool, info: Any) -> Any:
        """Returns what `step` returns."""
        return observation, reward, terminated, truncated, info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.begin()
        observation, info = self._simulator.reset(seed=self.pass_on(seed))
        return self.look(observation), info

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self._simulator.step(self.act(action))
        self._steps += 1
        is_over = bool(truncated) or self._steps >= self._limit
        return self.give(self.look(observation), float(reward), bool(terminated), is_over, info)

    def render(self) -> Any:
        return self._simulator.render()

    def close(self) -> None:
        self._simulator.close()
