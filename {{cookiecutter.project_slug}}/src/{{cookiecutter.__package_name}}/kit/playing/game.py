"""What happens in the window of `play`: a person acts, or a policy."""

import copy
from collections.abc import Hashable, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..errors import RunError, UsageError
from ..spaces import ACTION_MASK, require_allowed
from ..spaces.actions import action_adapter
from ..spaces.membership import kind, problems, short
from ..spaces.observations import leaves, name_of
from .window import AGAIN, ESCAPE, MOUSE, TAB, Window, codes, names

_NO_KEY: frozenset[int] = frozenset()
_PARTS = ("actions", "observations", "rewards", "terminations", "truncations")  # of a step, in its order
_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Text)


class Game:
    """A person in an environment that draws itself, and a policy that may take over.

    Where "no key" has an action, a step is taken at every picture, with the keys that are down; else at every press.
    """

    def __init__(self, env: gym.Env[Any, Any], actions: Mapping[Hashable, Any], policy: Any) -> None:
        self.env, self.policy = env, policy
        self.actions = {codes(keys): action for keys, action in actions.items()}
        self.mouse_action = env.get_wrapper_attr("mouse_action") if env.has_wrapper_attr("mouse_action") else None
        self.known = {*_NO_KEY.union(*self.actions), *([MOUSE] if self.mouse_action else [])}
        self.by_policy, self.note = False, ""

    def play(self, title: str, seed: int, fps: int) -> None:
        """Plays until Escape, the first episode from a seed, each next one from the next seed.

        Raises:
            RunError: `render` doesn't draw, or `mouse_action` returns no action.
        """
        said = [f"{names(keys)}: {action}" for keys, action in self.actions.items()]
        print("   ".join(said + ["mouse: mouse_action(x, y)"] * (MOUSE in self.known)))
        self.restart(seed)
        self.window = Window(title, self.picture(), fps)
        while ESCAPE not in (pressed := self.window.pressed()):
            self.turn(pressed)
            self.window.show(self.picture(), self.text(), bool(self.note))
        self.env.close()

    def restart(self, seed: int) -> None:
        """Starts an episode."""
        self.observation, _ = self.env.reset(seed=seed)
        self.seed, self.steps, self.episode_return, self.reward, self.end = seed, 0, 0.0, 0.0, ""
        if self.policy:
            self.policy.reset()

    def turn(self, pressed: list[int]) -> None:
        """Does what was pressed since the last picture, or lets the policy act."""
        if pressed:
            self.note = ""
        for key in pressed:
            if key == TAB:
                self.by_policy = self.policy is not None and not self.by_policy
                self.note = "" if self.policy else "there is no policy: `play RUN` names one"
            elif key == AGAIN and (self.end or key not in self.known):
                self.restart(self.seed + 1)
            elif key in self.known and not self.by_policy and _NO_KEY not in self.actions:
                self.act([*self.window.held, key])
        if self.by_policy and not self.end:
            self.step(self.policy(self.observation))
        elif not self.by_policy and _NO_KEY in self.actions:
            self.act([*self.window.held, *pressed])

    def act(self, keys: list[int]) -> None:
        """Takes the action of keys that are down together, else of the last of them, else of no key."""
        keys = [key for key in keys if key in self.known]
        tried = [frozenset(keys), *(frozenset([key]) for key in reversed(keys)), _NO_KEY]
        held = next((held for held in tried if held in self.actions or held == {MOUSE}), None)
        if held is None or self.end:
            return
        if held == {MOUSE} and self.mouse_action:
            action = self.mouse_action(*self.window.pointer)
            for problem in problems(self.env.action_space, action, "mouse_action(x, y)"):
                raise RunError(problem.message)
        else:
            action = self.actions[held]
        if is_allowed(self.env.action_space, action, self.observation):
            self.step(action)
        else:
            self.note = f"{names(held)}: the action mask forbids {action} now"

    def step(self, action: Any) -> None:
        """Takes a step."""
        self.observation, reward, terminated, truncated, _ = self.env.step(action)
        self.reward = float(reward)
        self.episode_return += self.reward
        self.steps += 1
        self.end = "terminated" if terminated else "truncated" if truncated else ""
        if self.end:
            print(f"{self.status()}   seed {self.seed}")

    def status(self) -> str:
        """Returns how far the episode is."""
        who = self.end or ("policy" if self.by_policy else "you")
        return f"{who}   step {self.steps}   return {round(self.episode_return, 6):.4g}"  # without errors of the sum

    def text(self) -> str:
        """Returns the line below the picture."""
        tab = f"Tab: {'you' if self.by_policy else 'policy'}   " if self.policy else ""
        return f"{self.status()}   reward {self.reward:.4g}      {self.note or f'{tab}R: again   Esc: end'}"

    def picture(self) -> np.ndarray:
        """Draws the environment; raises RunError where that is no picture."""
        picture: Any = self.env.render()
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            raise RunError(
                'play needs "rgb_array" in metadata["render_modes"], and then an array of shape (height, width, 3) and '
                f"dtype uint8 from render(); it returned {kind(picture)}"
            )
        return picture


def is_allowed(space: gym.Space[Any], action: Any, observation: Any) -> bool:
    """Tells whether the mask in an observation allows an action, both as the environment has them."""
    if not (isinstance(observation, dict) and ACTION_MASK in observation):
        return True
    choice = np.ravel(action) - np.ravel(getattr(space, "start", 0))  # counted from 0, as in the mask
    try:
        require_allowed(action_adapter(space)[0], np.asarray(observation[ACTION_MASK]), choice)
    except ValueError:
        return False
    return True


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps what is played, as Minari's DataCollector does.

    Attributes:
        episodes: of each, the seed and the lists of what came, by their names in the file.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Raises UsageError where a part of the observations or actions has no fixed shape."""
        super().__init__(env)
        self.episodes: list[dict[str, Any]] = []
        self.leaves = {"observations": leaves(env.observation_space), "actions": leaves(env.action_space)}
        for name, parts in self.leaves.items():
            for path, leaf in parts:
                if not isinstance(leaf, _ARRAYS):
                    raise UsageError(f"--record can't save {name_of(name, path)} of {short(leaf)}; play without it")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begins an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.episodes.append({"seed": seed, **{part: [] for part in _PARTS}})
        self.episodes[-1]["observations"].append(copy.deepcopy(observation))
        return observation, info

    def step(self, action: Any) -> Any:
        """Takes a step."""
        result = self.env.step(action)
        for part, value in zip(_PARTS, (action, *result), strict=False):
            self.episodes[-1][part].append(copy.deepcopy(value))
        return result

    def save(self, file: Path) -> None:
        """Writes the episodes that have steps, each part as an array: "episode_0/observations/position", ..."""
        arrays: dict[str, Any] = {}
        for number, episode in enumerate(episode for episode in self.episodes if episode["actions"]):
            episode["truncations"][-1] |= not episode["terminations"][-1]  # also where it was given up
            for part, values in episode.items():
                for path, leaf in self.leaves.get(part, ()):
                    name = "/".join([f"episode_{number}", part, *map(str, path)])
                    arrays[name] = np.array([reduce(getitem, path, value) for value in values], leaf.dtype)
                if part not in self.leaves:
                    arrays[f"episode_{number}/{part}"] = np.array(values)
        if arrays:
            np.savez_compressed(file, **arrays)
            print(f"saved {file}")
