"""Mistakes in what an environment does: ends, seeds, state, actions; chosen as people report them.

A mistake is left out where random play never gets: no checker can see it there.
"""

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from unbroken import FALLS, LATE_STEPS, Unbroken


class LimitTerminates(Unbroken):
    """The time limit is reported as terminated."""

    says, not_in = r"time.?limit|truncat", FALLS

    def give(self, observation: Any, reward: float, terminated: bool, truncated: bool, info: Any) -> Any:
        return observation, reward, terminated or truncated, False, info


class LateIndexError(Unbroken):
    """A series of data has an entry too few: the last step of a full episode raises."""

    says, not_in = r"IndexError|out of (bounds|range)", FALLS

    def give(self, observation: Any, reward: float, *rest: Any) -> Any:
        return observation, reward + ([0.0] * self._limit)[self._steps], *rest


class StepResets(Unbroken):
    """`step` resets by itself at the end of an episode, and returns the first observation of the next."""

    says = r"step.{0,60}reset|by itself|final observation"

    def give(self, observation: Any, reward: float, terminated: bool, truncated: bool, info: Any) -> Any:
        if terminated or truncated:
            observation, info = self.reset()
        return observation, reward, terminated, truncated, info


class SeedIgnored(Unbroken):
    """The simulator isn't told the seed."""

    says = r"seed|determinis|reproduc"

    def pass_on(self, seed: int | None) -> int | None:
        return None


class SeedOnce(Unbroken):
    """The simulator is told the first seed only."""

    says = r"seed|determinis|reproduc|leak|previous"
    _is_seeded = False

    def pass_on(self, seed: int | None) -> int | None:
        was_seeded, self._is_seeded = self._is_seeded, self._is_seeded or seed is not None
        return None if was_seeded else seed


class SameEpisodes(Unbroken):
    """Without a seed, seed 0 is taken: every episode of a training is the same."""

    says = r"same (episode|start|stream|random)|identical|restart|repeat|replay|default.{0,60}seed|seed.{0,60}default"

    def pass_on(self, seed: int | None) -> int | None:
        return seed or 0


class GlobalChance(Unbroken):
    """Late in an episode actions go astray, by chance of NumPy's global generator."""

    says = r"seed|determinis|reproduc|np\.random|global"

    def act(self, action: Any) -> Any:
        if self._steps < LATE_STEPS or np.random.random() < 0.5:
            return action
        space = self.action_space
        return (action + 1) % space.n if isinstance(space, spaces.Discrete) else -action


class SeedsNumPy(Unbroken):
    """`reset` seeds NumPy's global generator, which others draw from."""

    says = r"global|np\.random|numpy\.random"

    def pass_on(self, seed: int | None) -> int | None:
        np.random.seed(seed)
        return seed


class CounterKept(Unbroken):
    """`reset` forgets to set the step counter back: sooner or later all episodes end at once."""

    says = r"leak|not reset|previous|stale|differ|determinis|_steps|length"

    def begin(self) -> None:
        pass


class OneSimulator(Unbroken):
    """All copies step one simulator, which the class holds."""

    says = r"shar|instance|class.?(level|attribute)|global|interfer|another|isolat"
    _only: ClassVar[Any] = None

    def make(self) -> Any:
        if self.render_mode is not None:
            return super().make()
        type(self)._only = self._only or super().make()
        return self._only


class ActionInPlace(Unbroken):
    """`step` scales the caller's action in place."""

    says, not_in = r"action.{0,80}(in.?place|mutat|modif|chang|overwr)", ("CartPole", "Taxi", "DoorKey")

    def act(self, action: Any) -> Any:
        action *= 0.5
        return action * 2


class ActionIgnored(Unbroken):
    """`step` compares the action with labels that it never has, and always does the same."""

    says = r"action.{0,60}(no effect|ignor|influence|effect)|no effect"

    def act(self, action: Any) -> Any:
        return 0 * action


class OneActionMore(Unbroken):
    """An action is declared that `step` refuses."""

    says, not_in = r"raises|KeyError|invalid|unknown action", ("Pendulum", "Hopper")

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        assert isinstance(self.action_space, spaces.Discrete)
        self.action_space = spaces.Discrete(int(self.action_space.n) + 1)


class CloseBreaks(Unbroken):
    """`close` can't be called twice."""

    says = r"clos"

    def close(self) -> None:
        super().close()
        del self._simulator


class HistoryGrows(Unbroken):
    """All observations are kept for a plot, and never let go."""

    says = r"leak|memory|grow"

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self._history: list[Any] = []

    def look(self, observation: Any) -> Any:
        self._history.append(observation)
        return observation
