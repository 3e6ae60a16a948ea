"""Correct environments of several agents, each with something that a hasty checker takes for a mistake."""

from typing import Any

import numpy as np
from gymnasium import spaces
from kit.multi_agent.env import MultiAgentEnv


class Base(MultiAgentEnv):
    """Agents walk between 0 and 1, and are rewarded for being far to the right."""

    ids: tuple[Any, ...] = ("a", "b", "c")
    limit = 20
    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.possible_agents, self.agents = list(self.ids), []
        self.observation_spaces = {agent: spaces.Box(0.0, 1.0, (2,), np.float32) for agent in self.ids}
        self.action_spaces = {agent: spaces.Discrete(3) for agent in self.ids}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time, self.agents = 0, self.first()
        self.place = dict(zip(self.ids, self.np_random.uniform(0.2, 0.8, len(self.ids)).tolist(), strict=True))
        return {agent: self.look(agent) for agent in self.agents}, {}

    def first(self) -> list[Any]:
        return list(self.ids)

    def look(self, agent: Any) -> Any:
        return np.array([self.place[agent], min(self.time / 100, 1.0)], np.float32)

    def move(self, actions: dict[Any, Any]) -> dict[Any, float]:
        self.time += 1
        for agent, action in actions.items():
            self.place[agent] = min(max(self.place[agent] + 0.1 * (int(action) - 1), 0.0), 1.0)
        return {agent: self.place[agent] for agent in actions}

    def step(self, actions: Any) -> Any:
        rewards = self.move(actions)
        over = self.time >= self.limit
        flags = {agent: over for agent in actions}
        seen = {agent: self.look(agent) for agent in actions}
        self.agents = [] if over else self.agents
        return seen, rewards, {**dict.fromkeys(actions, False), "__all__": False}, {**flags, "__all__": over}, {}


class DiesInStepOne(Base):
    """An agent ends in the first step, another whenever it is at a wall."""

    def step(self, actions: Any) -> Any:
        rewards, late = self.move(actions), self.time >= self.limit
        terminated = {a: self.place[a] in (0.0, 1.0) or a == "c" for a in actions}
        truncated = {a: late and not terminated[a] for a in actions}
        self.agents = [a for a in actions if not terminated[a] and not truncated[a]]
        seen = {a: self.look(a) for a in actions}
        terminated["__all__"] = not self.agents
        truncated["__all__"] = False
        return seen, rewards, terminated, truncated, {a: {} for a in seen}


class LateJoiner(Base):
    """An agent comes in step 5, one only in every second episode."""

    def first(self) -> list[Any]:
        return ["a"] if self.np_random.random() < 0.5 else ["a", "b"]

    def step(self, actions: Any) -> Any:
        seen, rewards, terminated, truncated, infos = super().step(actions)
        if self.time == 5 and "c" not in self.agents:
            self.agents.append("c")
            seen["c"] = self.look("c")
        return seen, rewards, terminated, truncated, infos


class PoolOfIds(Base):
    """Agents live for three steps; who comes takes the next free ID. Flags are returned for all possible agents."""

    ids = tuple(f"worker_{i}" for i in range(12))

    def first(self) -> list[Any]:
        self.born = dict.fromkeys(self.ids[:2], 0)
        return list(self.born)

    def step(self, actions: Any) -> Any:
        rewards, late = self.move(actions), self.time >= 14
        old = [a for a in self.agents if self.time - self.born[a] >= 3]
        seen = {a: self.look(a) for a in self.agents}
        self.agents = [a for a in self.agents if a not in old]
        for agent in [] if late else self.ids[len(self.born) :][: len(old)]:
            self.born[agent] = self.time
            self.agents.append(agent)
            seen[agent] = self.look(agent)
        over = late or not self.agents
        truncated = {a: a in self.born and (over or a not in self.agents) for a in self.ids}
        self.agents = [] if over else self.agents
        return seen, rewards, {**dict.fromkeys(self.ids, False), "__all__": False}, {**truncated, "__all__": over}, {}


class Waves(Base):
    """A wave follows the other: the next comes in the step in which the last one of the wave before ends."""

    ids = tuple(f"wave_{i}_{j}" for i in range(3) for j in range(2))

    def first(self) -> list[Any]:
        return list(self.ids[:2])

    def step(self, actions: Any) -> Any:
        rewards = self.move(actions)
        ends = self.np_random.random() < 0.2 or any(self.place[a] > 0.85 for a in actions)
        seen = {a: self.look(a) for a in actions}
        terminated = dict.fromkeys(actions, ends)
        if ends:
            index = self.ids.index(self.agents[0]) + 2
            self.agents = list(self.ids[index : index + 2])
            seen.update({a: self.look(a) for a in self.agents})
        terminated["__all__"] = not self.agents
        return seen, rewards, terminated, {**dict.fromkeys(actions, False), "__all__": False}, {}


class StrictTurns(Base):
    """One agent moves at a time; rewards come while the others move, and only `__all__` is flagged at the end."""

    ids = ("x", "o")

    def first(self) -> list[Any]:
        return ["x"]

    def step(self, actions: Any) -> Any:
        (agent,) = actions
        self.move(actions)
        other = "o" if agent == "x" else "x"
        won = self.place[agent] >= 0.9
        rewards = {agent: float(won), other: -float(won)}
        self.agents = [] if won else [other]
        return {other: self.look(other)}, rewards, {"__all__": won}, {"__all__": False}, {}


class UnequalSpaces(Base):
    """Every agent has spaces of another kind; IDs are integers."""

    ids = (0, 1, 2)

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        image = spaces.Box(0, 255, (8, 8, 3), np.uint8)
        nested = spaces.Dict({"here": spaces.Discrete(11), "all": spaces.MultiBinary(3)})
        self.observation_spaces = {0: image, 1: nested, 2: spaces.Discrete(11)}
        self.action_spaces = {0: spaces.Box(-1.0, 1.0, (1,), np.float32), 1: spaces.Discrete(3), 2: spaces.Discrete(3)}

    def look(self, agent: Any) -> Any:
        here = round(10 * self.place[agent])
        if agent == 0:
            return np.full((8, 8, 3), 25 * here, np.uint8)
        return here if agent == 2 else {"here": here, "all": np.array([p > 0.5 for p in self.place.values()], np.int8)}

    def move(self, actions: Any) -> Any:
        return super().move({a: int(np.sign(v[0])) + 1 if a == 0 else v for a, v in actions.items()})


class SharedReward(Base):
    """All get the team's reward and see the same array; who has ended keeps its flags."""

    ids = ("a", "b")

    def look(self, agent: Any) -> Any:
        return np.array([self.place["a"], self.place["b"]], np.float32)

    def step(self, actions: Any) -> Any:
        rewards = self.move(actions)
        state, late = self.look("a"), self.time >= 15
        gone = [a for a in self.ids if a not in actions]
        home = {a: self.place[a] == 1.0 or a in gone for a in self.ids}
        self.agents = [a for a in self.ids if not home[a]] if not late else []
        home["__all__"] = all(home.values())
        team = float(sum(rewards.values()))
        truncated = {a: late and not home[a] for a in self.ids} | {"__all__": late and not home["__all__"]}
        return dict.fromkeys(actions, state), dict.fromkeys(actions, team), home, truncated, {}


class MatrixGame(Base):
    """Each sees what the other did last, and nothing of its own: rock, paper, scissors."""

    ids = ("one", "two")

    def __init__(self, config: Any = None, render_mode: str | None = None) -> None:
        super().__init__(config, render_mode)
        self.observation_spaces = {agent: spaces.Discrete(4) for agent in self.ids}

    def look(self, agent: Any) -> Any:
        return 3

    def step(self, actions: Any) -> Any:
        self.time += 1
        over, (one, two) = self.time == 10, (int(actions[agent]) for agent in self.ids)
        won = float([0, 1, -1][(one - two) % 3])
        flags = {**dict.fromkeys(self.ids, over), "__all__": over}
        return {"one": two, "two": one}, {"one": won, "two": -won}, dict.fromkeys(flags, False), flags, {}


class Resting(Base):
    """Agents act every second or third step, sometimes nobody does; an action for who rests is refused."""

    due: list[Any]

    def step(self, actions: Any) -> Any:
        if set(actions) != set(self.due):
            raise ValueError(f"{self.due} are to act, not {list(actions)}")
        rewards, over = self.move(actions), self.time >= self.limit
        self.due = [a for i, a in enumerate(self.ids) if self.time % (i + 2) == 0]
        seen = {a: self.look(a) for a in (self.ids if over else self.due)}
        self.agents = [] if over else self.agents
        return seen, dict.fromkeys(self.ids, 0.5) | rewards, {"__all__": False}, {"__all__": over}, {}

    def first(self) -> list[Any]:
        self.due = list(self.ids)
        return list(self.ids)


CORRECT = (
    Base, DiesInStepOne, LateJoiner, PoolOfIds, Waves, StrictTurns, UnequalSpaces, SharedReward, MatrixGame, Resting,
)  # fmt: skip
