"""Plays episodes and keeps everything that the environment returned."""

import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...spaces.membership import kind, short
from .channel import Heartbeat
from .locations import described
from .model import Episode, Step
from .policies import Chooser, mask_allowed, mask_in
from .surroundings import snapshot
from .values import copy_value, leaves, same, size_in_bytes, truth

INFO_STEPS = 5  # the infos of so many steps are looked at closely, and the last, where new keys come
KINDS: dict[str, Any] = {"str": str, "number": (int, float, np.number, np.bool_), "dict": dict, "list": (list, tuple)}
REFUSED = re.compile("illegal|invalid|forbidden|refused", re.IGNORECASE)  # what infos say of actions
KEPT_INFOS = 40  # the infos of so many steps are kept, to see whether they change afterwards


class Play:
    """One episode being played: an environment, what is recorded of it, and what gives the actions."""

    def __init__(self, env: Any, episode: Episode, chooser: Chooser, heartbeat: Heartbeat) -> None:
        self.env, self.episode, self.chooser, self.heartbeat = env, episode, chooser, heartbeat
        self._keep: list[tuple[Any, Any, Any]] = []  # the observation and the info themselves, a copy of the info
        self._kinds: dict[Any, tuple[str, int]] = {}  # of the values of each key of the infos, and since which step

    def run(self, cap: int) -> Episode:
        """Plays to the end or to `cap` steps."""
        for _ in self.moves(cap):
            pass
        return self.close()

    def moves(self, cap: int) -> Iterator[None]:
        """Plays to the end or to `cap` steps; pauses after each call, so that two copies can be interleaved."""
        episode = self.episode
        self.heartbeat.context(episode.name)
        episode.around.append(snapshot())
        if not self._reset():
            return
        episode.around.append(snapshot())
        yield
        obs, info = episode.obs, self._keep[0][1]
        while len(episode.steps) < cap and not episode.ended:
            if not self._step(self._choose(obs, info)):
                break
            step = episode.steps[-1]
            episode.ended = self._is_end(step)
            obs, info = step.obs, self._keep[-1][1]
            yield
        episode.around.append(snapshot())

    def close(self) -> Episode:
        """Looks which returned objects have changed since, and at the infos; then lets them go."""
        faults, last = self.episode.faults, len(self._keep) - 1
        for (number, was), (obs, info, copied) in zip(self.episode.observations(), self._keep, strict=True):
            if not same(obs, was):
                text = "the returned observation was overwritten in place afterwards"
                faults.setdefault("observation overwritten", (number, text))
            if copied is not None and not same(info, copied):
                faults.setdefault("info overwritten", (number, "the returned info was overwritten in place afterwards"))
            if isinstance(info, dict):
                self._look_at_keys(number, info)
                if number < INFO_STEPS or number == last:
                    self._look_at_info(number, info)
        self._keep = []
        return self.episode

    def _choose(self, obs: Any, info: Any) -> Any:
        return self.chooser(obs, info)

    def _is_end(self, step: Step) -> bool:
        return truth(step.terminated) or truth(step.truncated)

    def _reset(self) -> bool:
        episode = self.episode
        given = {"seed": episode.seed, "options": episode.options}
        with self.heartbeat.calling("reset") as call:
            result = self.env.reset(**{name: value for name, value in given.items() if value is not None})
        if call.error is not None:
            episode.error = call.error
            return False
        episode.reset_seconds = call.seconds
        pair = isinstance(result, tuple) and len(result) == 2
        as_list = isinstance(result, list) and len(result) == 2 and isinstance(result[1], dict)
        obs, info = result if pair or as_list else (result, {})
        if not pair:
            episode.malformed["reset"] = kind(result)
        episode.obs, episode.mask = self._taken(obs, info)
        episode.has_reset = True
        return True

    def _step(self, action: Any) -> bool:
        episode = self.episode
        number, kept = len(episode.steps) + 1, copy_value(action)
        with self.heartbeat.calling("step", number) as call:
            result = self.env.step(action)
        if call.error is not None:
            episode.error = call.error._replace(text=f"{call.error.text} (action {short(kept)})", action=kept)
            return False
        if not isinstance(result, tuple) or len(result) != 5:
            episode.malformed["step"] = f"{len(result)} values" if isinstance(result, tuple) else kind(result)
            if isinstance(result, tuple | list) and len(result) == 4:  # the old API: obs, reward, done, info
                result = (*result[:3], False, result[3])
            elif not isinstance(result, list) or len(result) != 5:
                return False
        obs, reward, terminated, truncated, info = result
        obs, next_mask = self._taken(obs, info)
        self._look_at_refusal(number, kept, info)
        reward, terminated, truncated = copy_value((reward, terminated, truncated))
        step = Step(kept, obs, reward, terminated, truncated, call.seconds, next_mask)
        if not isinstance(action, np.generic | int) and not same(action, kept):
            step.action_after = copy_value(action)
        episode.steps.append(step)
        return True

    def _taken(self, obs: Any, info: Any) -> tuple[Any, Any]:
        """Keeps what was returned for `close`; returns a copy of the observation, and the action mask."""
        number = len(self._keep)
        if not isinstance(info, dict):
            self.episode.faults.setdefault("info type", (number, f"info must be a dict, got {kind(info)}"))
        self._keep.append((obs, info, _info_copy(info) if number <= KEPT_INFOS else None))
        return copy_value(obs), mask_in(obs, info)

    def _look_at_refusal(self, number: int, action: Any, info: Any) -> None:
        """Notes where an info calls an action illegal that the mask before it allows."""
        info = info if isinstance(info, dict) else {}
        refused = [key for key, value in info.items() if REFUSED.search(str(key)) and value is True]
        if refused and mask_allowed(self.episode, number, action):
            text = f"action_mask allows action {action!s}, but info[{refused[0]!r}] is True after it"
            self.episode.faults.setdefault("mask refused", (number, text))

    def _look_at_info(self, number: int, info: dict[Any, Any]) -> None:
        sizes = {key: size_in_bytes(value) for key, value in info.items()}
        if sum(sizes.values()) > self.episode.info_largest[0]:
            self.episode.info_largest = (sum(sizes.values()), max(sizes, key=sizes.__getitem__), number)
        for key, value in info.items() if "info unpicklable" not in self.episode.faults else ():
            try:
                pickle.dumps(value)
            except Exception as error:
                why = f"info[{key!r}] is a {type(value).__name__} that cannot be pickled: {described(error)}"
                self.episode.faults["info unpicklable"] = (number, why)

    def _look_at_keys(self, number: int, info: dict[Any, Any]) -> None:
        for key, value in info.items():
            name = next((name for name, types in KINDS.items() if isinstance(value, types)), type(value).__name__)
            name = "number" if getattr(value, "shape", None) == () else name
            first, since = self._kinds.setdefault(key, (name, number))
            if not isinstance(key, str):
                text = f"info key {key!r} is a {type(key).__name__}, not a str"
            elif first != name and ({first, name} & {"number", "dict"} or value is not None and first != "NoneType"):
                text = f"info[{key!r}] is a {first} at step {since} and a {name} later"
            else:
                continue
            self.episode.faults.setdefault("info keys", (number, text))


def _info_copy(info: Any) -> Any:
    """Returns a copy of a small info; None where that would be dear or can't be compared."""
    simple = (int, float, str, bool, np.generic, np.ndarray)
    if not isinstance(info, dict) or len(info) > 30 or size_in_bytes(info) > 3000:
        return None
    return copy_value(info) if all(isinstance(leaf, simple) for _, leaf in leaves(info)) else None
