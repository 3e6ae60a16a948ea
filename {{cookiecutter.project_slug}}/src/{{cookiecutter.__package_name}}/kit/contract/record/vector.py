"""Probes of copies that are stepped together: in Gymnasium's SyncVectorEnv, or by the environment itself."""

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from ...spaces.views import FirstCopy, mode_of
from .model import CallError, NotJudged
from .recorder import Recorder
from .sections import VectorPlay
from .surroundings import quietly

COPIES, STEPS = 2, 300


def parts(space: Any, path: str = "") -> list[tuple[str, Any]]:
    """Returns every leaf of a nested space, with the path to it."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.items() for leaf in parts(part, f"{path}[{key!r}]")]
    if isinstance(space, spaces.Tuple):
        return [leaf for index, part in enumerate(space.spaces) for leaf in parts(part, f"{path}[{index}]")]
    return [(path, space)]


def record_stacked(recorder: Recorder) -> CallError | None:
    """Plays copies in a SyncVectorEnv, across ends and automatic resets; returns what raises."""
    recorder.cheap_copies()
    recorder.stepped()
    if not isinstance(recorder.env, gymnasium.Env) or recorder.cap is not None:
        raise NotJudged("no gymnasium.Env, or longer episodes end the process")
    if any(episode.mask is not None for episode in recorder.episodes):
        raise NotJudged("not every action is allowed")
    vector: Any = None
    recorder.heartbeat.context(f"a vector of {COPIES} copies")
    try:
        vector = gymnasium.vector.SyncVectorEnv([recorder.another for _ in range(COPIES)])
        vector.action_space.seed(4)
        recorder.heartbeat.call("reset")
        vector.reset(seed=0)
        for number in range(min(recorder.plan.small * 2, 120)):
            recorder.heartbeat.call("step", number + 1)
            vector.step(vector.action_space.sample())
    except NotJudged:
        raise
    except BaseException as error:
        return CallError.of("step", error)
    finally:
        if vector is not None:
            quietly(vector.close)
    return None


def record_vector(recorder: Recorder) -> VectorPlay:
    """Resets and steps a fresh vector environment, all its copies."""
    if not isinstance(recorder.env, FirstCopy):
        raise NotJudged("no VectorEnv")
    recorder.stepped()
    if recorder.cap is not None:
        raise NotJudged("longer episodes end the process")
    vector: Any = recorder.another().env
    mode, space = mode_of(vector), copy.deepcopy(vector.action_space)
    space.seed(0)
    vector.reset(seed=0)
    first = copy.deepcopy(vector.step(space.sample()))
    seeds = list(range(50, 50 + vector.num_envs))
    seeded = [copy.deepcopy(vector.reset(seed=seeds)[0]) for _ in range(2)]
    rows = list(iterate(vector.observation_space, seeded[0]))
    play = VectorPlay(vector.num_envs, mode_text=repr(mode), seeds=seeds, seeded=(seeded[0], seeded[1]), rows=rows)
    play.mode = mode.name if isinstance(mode, AutoresetMode) else None
    play.observation_space, play.first = vector.observation_space, first[:4]
    play.is_inside = bool(vector.observation_space.contains(first[0]))
    space.seed(1)
    vector.reset(seed=1)
    for number in range(1, min(STEPS, recorder.plan.total) + 1):
        recorder.heartbeat.call("step", number)
        _, rewards, terminated, truncated, infos = vector.step(space.sample())
        flags = np.asarray(terminated) | np.asarray(truncated)
        play.steps.append((np.array(rewards), flags, "final_obs" in infos))
    recorder.release(vector)
    return play
