"""Correct environments of one agent, each with something that a hasty checker takes for a mistake."""

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Base(gym.Env):
    """What all share: `start` begins an episode, `look` observes, `move` gives the reward and the two flags."""

    metadata: dict[str, Any] = {"render_modes": []}
    start: Any
    look: Any
    move: Any

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        self.start()
        return self.look(), {}

    def step(self, action: Any) -> Any:
        self.time += 1
        reward, terminated, truncated = self.move(action)
        return self.look(), float(reward), bool(terminated), bool(truncated), {}


class Trading(Base):
    """A trading day is over after 64 bars; prices and cash are in the units of the market."""

    bars = 64

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        money = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = spaces.Dict(
            {"price": money, "cash": money, "left": spaces.Box(0.0, 1.0, (1,), np.float32)}
        )
        self.action_space = spaces.Discrete(3)

    def start(self) -> None:
        self.prices = 27_000 * np.exp(np.cumsum(self.np_random.normal(0, 0.01, self.bars + 1)))
        self.cash, self.held = 100_000.0, 0

    def look(self) -> Any:
        numbers = {"price": self.prices[self.time], "cash": self.cash, "left": 1 - self.time / self.bars}
        return {name: np.array([number], np.float32) for name, number in numbers.items()}

    def move(self, action: Any) -> Any:
        change = self.prices[self.time] - self.prices[self.time - 1]
        self.cash += self.held * change
        self.held = int(action) - 1
        return self.held * change, self.time == self.bars or self.cash < 0, False


class Season(Base):
    """An inventory for 52 weeks: the horizon is the task's own; what is sold is money, and a late order costs 500."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.horizon = 52
        self.observation_space = spaces.Tuple((spaces.Box(0, 5000, (1,), np.float32), spaces.Discrete(53)))
        self.action_space = spaces.Box(0.0, 500.0, (1,), np.float32)

    def start(self) -> None:
        self.stock = 100.0

    def look(self) -> Any:
        return np.array([self.stock], np.float32), self.time

    def move(self, action: Any) -> Any:
        demand = self.np_random.poisson(80)
        stock = min(self.stock + float(action[0]), 5000.0)
        self.stock = max(stock - demand, 0.0)
        return 2 * min(stock, demand) - 500 * (stock < demand), self.time == self.horizon, False


class Falling(Base):
    """A ball falls through rows; the game ends when it reaches the last one, which is always the same step."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.observation_space = spaces.Box(0, 1, (12, 5), np.uint8)
        self.action_space = spaces.Discrete(3)

    def start(self) -> None:
        self.column, self.paddle = int(self.np_random.integers(5)), 2

    def look(self) -> Any:
        board = np.zeros((12, 5), np.uint8)
        board[self.time, self.column] = board[11, self.paddle] = 1
        return board

    def move(self, action: Any) -> Any:
        self.paddle = int(np.clip(self.paddle + int(action) - 1, 0, 4))
        return (self.time == 11) * (1 if self.paddle == self.column else -1), self.time == 11, False


class Jobs(Base):
    """Each job is put on a machine once: as many steps as jobs, and a mask of what is left."""

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"]}

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        parts = {"load": spaces.Box(0, 5000, (3,), np.float32), "action_mask": spaces.MultiBinary(36)}
        self.observation_space = spaces.Dict(parts)
        self.action_space = spaces.Discrete(36)

    def start(self) -> None:
        self.times, self.open = self.np_random.integers(10, 500, (12, 3)), np.ones(12, np.int8)
        self.load = np.zeros(3, np.float32)

    def look(self) -> Any:
        return {"load": self.load.copy(), "action_mask": np.repeat(self.open, 3)}

    def move(self, action: Any) -> Any:
        job, machine = divmod(int(action), 3)
        if not self.open[job]:
            raise ValueError(f"job {job} is done")
        before, self.open[job] = self.load.max(), 0
        self.load[machine] += self.times[job, machine]
        return before - self.load.max(), not self.open.any(), False

    def render(self) -> Any:
        return str(self.load)


class Bandit(Base):
    """One step an episode, which the time limit says."""

    max_episode_steps = 1

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.observation_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.action_space = spaces.Discrete(4)

    def start(self) -> None:
        self.context = self.np_random.uniform(-1, 1, 4).astype(np.float32)

    def look(self) -> Any:
        return self.context.copy()

    def move(self, action: Any) -> Any:
        return self.context[int(action)] + self.np_random.normal(), True, False


class Tariff(Base):
    """What it holds is picklable by cloudpickle, as Ray does it: a function made in place. The hour is sine and cosine."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.price = lambda hour: 30 + 10 * np.sin(hour / 4)
        self.observation_space = spaces.Box(-1000.0, 1000.0, (4,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def start(self) -> None:
        self.charge = 0.5

    def look(self) -> Any:
        hour = 2 * np.pi * self.time / 96
        return np.array([self.charge, np.sin(hour), np.cos(hour), self.price(self.time)], np.float32)

    def move(self, action: Any) -> Any:
        power = float(np.clip(float(action[0]) / 10, -self.charge, 1 - self.charge))
        self.charge += power
        return -power * self.price(self.time) + self.np_random.normal(), self.time == 96, False


class Key(Base):
    """Fetch a key, open a door: chance is never rewarded, and the time limit truncates."""

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.observation_space = spaces.MultiDiscrete([31, 2])
        self.action_space = spaces.Discrete(4)

    def start(self) -> None:
        self.place, self.key = int(self.np_random.integers(10, 20)), 0

    def look(self) -> Any:
        return np.array([self.place, self.key])

    def move(self, action: Any) -> Any:
        self.place = min(max(self.place + (-1, 1, 0, 0)[int(action)], 0), 30)
        self.key |= int(action == 2 and self.place == 0)
        won = action == 3 and self.place == 30 and self.key == 1
        return won, won, self.time >= 120 and not won


class Snake(Base):
    """Frames are stacked first, in a deque; the class keeps the best score of all."""

    best = 0

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.frames: Any = deque(maxlen=4)
        self.observation_space = spaces.Box(0, 1, (4, 8, 8), np.uint8)
        self.action_space = spaces.Discrete(4)

    def start(self) -> None:
        self.head, self.score = [4, 4], 0
        self.food = self.np_random.integers(0, 8, 2)
        self.frames.extend([np.zeros((8, 8), np.uint8)] * 4)

    def look(self) -> Any:
        frame = np.zeros((8, 8), np.uint8)
        frame[tuple(np.clip(self.head, 0, 7))] = frame[tuple(self.food)] = 1
        self.frames.append(frame)
        return np.stack(self.frames)

    def move(self, action: Any) -> Any:
        self.head = [
            here + there for here, there in zip(self.head, ((-1, 0), (1, 0), (0, -1), (0, 1))[action], strict=True)
        ]
        dead, eats = not 0 <= min(self.head) <= max(self.head) < 8, tuple(self.head) == tuple(self.food)
        if eats:
            self.score += 1
            self.food = self.np_random.integers(0, 8, 2)
            Snake.best = max(Snake.best, self.score)
        return eats - dead, dead, False


class Landing(Base):
    """Metres and a thousand points for a landing: large, but nothing that normalising does not mend. A sine moves by
    rounding only.
    """

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)
        self.action_space = spaces.Discrete(2)

    def start(self) -> None:
        self.height, self.speed, self.fuel = float(self.np_random.uniform(1000, 2000)), -20.0, 5000.0

    def look(self) -> Any:
        return np.array([self.height, self.speed, self.fuel, np.sin(np.pi * self.time)])

    def move(self, action: Any) -> Any:
        self.speed += 8.0 if action == 1 else -1.6
        self.fuel -= 10.0 * (action == 1)
        self.height = max(self.height + self.speed, 0.0)
        over = self.height == 0 or self.height > 19_000
        return (1000 if abs(self.speed) < 5 else -1000) if over else -1, over, False


CORRECT = [Trading, Season, Falling, Jobs, Bandit, Tariff, Key, Snake, Landing]
