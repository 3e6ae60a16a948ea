"""Two small environments for the panel: one observes a Dict, one allows only some of its actions. Registers both."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

STEPS = np.array([(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)])  # east, west, north, south


class Courier(gym.Env[dict[str, Any], Any]):
    """Brings a parcel to the corner of a square that its label names.

    Observations are the position, two numbers from 0 to 1, and the label, 0 to 3. Actions are a step of 0.1 to the
    east, west, north or south. The reward is -0.01 a step, and 1 at the right corner, where the episode ends.
    """

    observation_space = spaces.Dict({"position": spaces.Box(0.0, 1.0, (2,), np.float32), "label": spaces.Discrete(4)})
    action_space: spaces.Space[Any] = spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._position = self.np_random.uniform(0.2, 0.8, 2)
        self._label = int(self.np_random.integers(4))
        return self._observation(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._position = np.clip(self._position + STEPS[action], 0.0, 1.0)
        corner = np.array([self._label % 2, self._label // 2])
        arrived = bool(np.abs(self._position - corner).max() < 0.05)
        return self._observation(), 1.0 if arrived else -0.01, arrived, False, {}

    def _observation(self) -> dict[str, Any]:
        return {"position": self._position.astype(np.float32), "label": np.int64(self._label)}


class Tricks(gym.Env[dict[str, Any], Any]):
    """Beats the cards that a dealer shows, with a hand of the same eight, each of which can be played once.

    Observations are the card shown, 0 to 7, and `action_mask`, the cards still in hand. The action is the card to play.
    The reward is 1 for a higher card than the dealer's; a card that was played before wins nothing. The episode ends
    after the dealer's eighth card. Whoever answers each card by the next, and the 7 by the 0, wins seven times.
    """

    observation_space = spaces.Dict({"shown": spaces.Discrete(8), "action_mask": spaces.MultiBinary(8)})
    action_space: spaces.Space[Any] = spaces.Discrete(8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._dealer = [int(card) for card in self.np_random.permutation(8)]
        self._hand = np.ones(8, np.int8)
        return self._observation(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        won = bool(self._hand[action]) and action > self._dealer[0]
        self._hand[action] = 0
        ended = len(self._dealer) == 1
        if not ended:
            self._dealer.pop(0)
        return self._observation(), float(won), ended, False, {}

    def _observation(self) -> dict[str, Any]:
        return {"shown": np.int64(self._dealer[0]), "action_mask": self._hand.copy()}


gym.register("panel/Courier-v0", f"{__name__}:Courier")
gym.register("panel/Tricks-v0", f"{__name__}:Tricks")
