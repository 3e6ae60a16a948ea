"""Probes of copies that are stepped together: in Gymnasium's SyncVectorEnv, or by the environment itself."""

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from ...spaces.views import FirstCopy, mode_of
from .model import CallError, Episode, NotJudged, Step
from .policies import RANDOM, mask_in, sample
from .recorder import Recorder
from .sections import VectorPlay
from .surroundings import quietly, seed_global
from .values import attribute

COPIES = 2
STEPS = 300
PLAIN = (spaces.Discrete, spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)


def parts(space: Any, path: str = "") -> list[tuple[str, Any]]:
    """Returns every leaf of a nested space, with the path to it."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.items() for leaf in parts(part, f"{path}[{key!r}]")]
    if isinstance(space, spaces.Tuple):
        return [leaf for index, part in enumerate(space.spaces) for leaf in parts(part, f"{path}[{index}]")]
    return [(path, space)]


def record_stacked(recorder: Recorder) -> tuple[list[Episode], CallError | None]:
    """Plays the first episodes of seeds 0 and 1 again, in a SyncVectorEnv; the infos are not kept."""
    recorder.cheap_copies()
    recorder.stepped()
    observed = [part for _, part in parts(attribute(recorder.env, "observation_space"))]
    if not isinstance(recorder.env, gymnasium.Env) or recorder.cap is not None:
        raise NotJudged("no gymnasium.Env, or longer episodes end the process")
    if not isinstance(recorder.action_space(), PLAIN) or not all(isinstance(part, PLAIN) for part in observed):
        raise NotJudged("observations or actions are not stacked in one array")
    first = recorder.episodes[0]
    references = [first, next((episode for episode in recorder.episodes if episode.seed == 1), first)]
    episodes = [Episode(1, RANDOM, reference.seed) for reference in references]
    seed_global(99)
    vector: Any = None
    try:
        vector = gymnasium.vector.SyncVectorEnv([recorder.another for _ in range(COPIES)])
        _play_stacked(recorder, vector, references, episodes)
    except NotJudged:
        raise
    except BaseException as error:
        return episodes, CallError.of("step", error)
    finally:
        if vector is not None:
            quietly(vector.close)
    return episodes, None


def _play_stacked(recorder: Recorder, vector: Any, references: list[Episode], episodes: list[Episode]) -> None:
    recorder.heartbeat.context(f"a vector of {COPIES} copies")
    recorder.heartbeat.call("reset")
    observations, infos = vector.reset(seed=[episode.seed for episode in references])
    for episode, row in zip(episodes, iterate(vector.observation_space, observations), strict=True):
        episode.obs, episode.has_reset = copy.deepcopy(row), True
    space = copy.deepcopy(recorder.action_space())
    space.seed(4)
    for number in range(min(recorder.plan.small * 2, 120)):
        rows, actions = list(iterate(vector.observation_space, observations)), []
        for index, reference in enumerate(references):
            if number < len(reference.steps):
                actions.append(reference.steps[number].action)
            else:
                masks = infos.get("action_mask")
                mask = mask_in(rows[index], {} if masks is None else {"action_mask": masks[index]})
                actions.append(sample(space, mask))
        recorder.heartbeat.call("step", number + 1)
        stacked = np.stack([np.asarray(action) for action in actions])
        observations, rewards, terminated, truncated, infos = vector.step(stacked)
        for index, row in enumerate(iterate(vector.observation_space, observations)):
            if number < len(references[index].steps):
                values = (rewards[index], bool(terminated[index]), bool(truncated[index]))
                episodes[index].steps.append(Step(actions[index], copy.deepcopy(row), *values))


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
    play = VectorPlay(
        num_envs=vector.num_envs,
        mode=mode.name if isinstance(mode, AutoresetMode) else None,
        mode_text=repr(mode),
        observation_space=vector.observation_space,
        is_inside=bool(vector.observation_space.contains(first[0])),
        first=first[:4],
        seeds=seeds,
        seeded=(seeded[0], seeded[1]),
        rows=list(iterate(vector.observation_space, seeded[0])),
    )
    space.seed(1)
    vector.reset(seed=1)
    for number in range(1, min(STEPS, recorder.plan.total) + 1):
        recorder.heartbeat.call("step", number)
        _, rewards, terminated, truncated, infos = vector.step(space.sample())
        flags = np.asarray(terminated) | np.asarray(truncated)
        play.steps.append((np.array(rewards), flags, "final_obs" in infos))
    recorder.release(vector)
    return play
