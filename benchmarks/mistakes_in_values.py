"""Mistakes in what an environment declares and returns; chosen as people report them, not as checkers look for them.

A mistake is left out where it would be none, as a NaN among integers.
"""

from typing import Any

import numpy as np
from gymnasium import spaces
from unbroken import LATE_STEPS, Unbroken


class OtherType(Unbroken):
    """Observations of another type than declared: float64 for float32 or the other way round, floats for integers."""

    says, not_in = r"dtype|type|float|\bint", ("Hopper",)  # float32 is in a space of float64

    def look(self, observation: Any) -> Any:
        if isinstance(observation, dict):
            return {**observation, "image": observation["image"] / 1}
        other = np.float64 if getattr(observation, "dtype", None) == np.float32 else np.float32
        return other(observation)


class NarrowBounds(Unbroken):
    """The space is declared smaller than what is observed: from -1 to 1, half of the states, no object but doors."""

    says = r"bound|outside|not (with)?in|range|beyond"

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        space = self.observation_space
        if isinstance(space, spaces.Discrete):
            self.observation_space = spaces.Discrete(int(space.n) // 2)
        elif isinstance(space, spaces.Dict):
            image = spaces.Box(0, 4, space["image"].shape, np.uint8)
            self.observation_space = spaces.Dict({**space.spaces, "image": image})
        elif isinstance(space, spaces.Box):
            self.observation_space = spaces.Box(-1.0, 1.0, space.shape, space.low.dtype.type)


class ObservationNaN(Unbroken):
    """An entry becomes NaN late in an episode."""

    says, not_in = r"nan|finite", ("Taxi", "DoorKey")

    def look(self, observation: Any) -> Any:
        observation = observation.copy()
        observation[-1] = np.nan if self._steps >= LATE_STEPS else observation[-1]
        return observation


class OtherShape(Unbroken):
    """Late in an episode there is an entry more, or a key less."""

    says, not_in = r"shape|dimension|key|missing|not (with)?in", ("Taxi",)

    def look(self, observation: Any) -> Any:
        if self._steps < LATE_STEPS:
            return observation
        if isinstance(observation, dict):
            return {key: value for key, value in observation.items() if key != "direction"}
        return np.append(observation, observation[-1:])


class SameArray(Unbroken):
    """One array is returned every time, and overwritten."""

    says, not_in = r"alias|same (array|object|buffer)|in.?place|copy|overwr", ("Taxi",)
    _array: Any = None

    def look(self, observation: Any) -> Any:
        array = observation["image"] if isinstance(observation, dict) else observation
        self._array = array.copy() if self._array is None else self._array
        self._array[:] = array
        return {**observation, "image": self._array} if isinstance(observation, dict) else self._array


class StaleReset(Unbroken):
    """`reset` returns the last observation of the episode before."""

    says = r"stale|leak|previous|determinis|differ|same seed|reproduc|not equiv"
    _last: Any = None

    def look(self, observation: Any) -> Any:
        shown = self._last if self._steps == 0 and self._last is not None else observation
        self._last = observation
        return shown


class OnlyRendered(Unbroken):
    """What is observed is worked out in drawing: without a render mode it is all zeros."""

    says, not_in = r"render|all.?zero|constant|never chang|identical", ("Hopper",)  # not drawn everywhere

    def look(self, observation: Any) -> Any:
        if self.render_mode is not None:
            return observation
        return {**observation, "image": 0 * observation["image"]} if isinstance(observation, dict) else 0 * observation


class RewardNaN(Unbroken):
    """A reward is NaN late in an episode."""

    says = r"nan|finite"

    def give(self, observation: Any, reward: float, *rest: Any) -> Any:
        return observation, float("nan") if self._steps == LATE_STEPS else reward, *rest


class RewardArray(Unbroken):
    """The reward is an array of one number."""

    says = r"reward.{0,100}(float|scalar|array|shape|type)|scalar|sequence"

    def give(self, observation: Any, reward: float, *rest: Any) -> Any:
        return observation, np.array([reward]), *rest


class RewardSum(Unbroken):
    """The reward of a step is the score so far."""

    says = r"cumul|accumul|\bsum|score|so far"

    def begin(self) -> None:
        super().begin()
        self._score = 0.0

    def give(self, observation: Any, reward: float, *rest: Any) -> Any:
        self._score += reward
        return observation, self._score, *rest


class TerminatedArray(Unbroken):
    """`terminated` is an array of one flag."""

    says = r"(terminated|done).{0,100}(bool|array|scalar|True or False)|sequence"

    def give(self, observation: Any, reward: float, terminated: bool, *rest: Any) -> Any:
        return observation, reward, np.array([terminated]), *rest


class InfoNone(Unbroken):
    """`step` returns no info."""

    says = r"info.{0,80}(dict|None)|NoneType"

    def give(self, *values: Any) -> Any:
        return *values[:4], None


class OldStep(Unbroken):
    """`step` returns four values, as Gym's did."""

    says = r"five|5|four|4|old step|unpack"

    def give(self, observation: Any, reward: float, terminated: bool, truncated: bool, info: Any) -> Any:
        return observation, reward, terminated or truncated, info


class ModeNotStored(Unbroken):
    """The render mode is taken and not kept."""

    says = r"render.?mode"

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.render_mode = None


class FloatPictures(Unbroken):
    """`render` returns numbers from 0 to 1."""

    says, not_in = r"uint8|dtype|render.{0,100}(array|axes|shape|type)", ("Hopper",)  # not drawn everywhere

    def render(self) -> Any:
        picture = super().render()
        return picture / 255 if self.render_mode == "rgb_array" else picture
