"""Probes of copies that are stepped together: in Gymnasium's SyncVectorEnv, or by the environment itself."""

import copy
from typing import Any

import gymnasium
import numpy as np

from ...spaces.views import FirstCopy, mode_of
from .model import Batches, CallError, NotJudged
from .recorder import Recorder

COPIES, STEPS = 2, 300


def record_stacked(recorder: Recorder) -> CallError | None:
    """Plays copies in a SyncVectorEnv, across ends and automatic resets; returns what raises."""
    if not isinstance(recorder.env, gymnasium.Env) or recorder.cap is not None:
        raise NotJudged("no gymnasium.Env, or longer episodes end the process")
    if any(episode.mask is not None for episode in recorder.episodes):
        raise NotJudged("not every action is allowed")
    recorder.heartbeat.context(f"a vector of {COPIES} copies")
    copies = [recorder.another() for _ in range(COPIES)]
    waiting = copies.copy()
    with recorder.heartbeat.calling("step") as call:
        vector = gymnasium.vector.SyncVectorEnv([waiting.pop] * COPIES)
        vector.closed = True  # the copies are closed below, unless that ends the process
        vector.action_space.seed(4)
        recorder.heartbeat.call("reset")
        vector.reset(seed=0)
        for number in range(min(recorder.plan.small * 2, 120)):
            recorder.heartbeat.call("step", number + 1)
            vector.step(vector.action_space.sample())
    recorder.release(*copies)
    return call.error


def record_vector(recorder: Recorder) -> Batches:
    """Resets and steps a fresh vector environment, all its copies."""
    if not isinstance(recorder.env, FirstCopy):
        raise NotJudged("no VectorEnv")
    if recorder.cap is not None:
        raise NotJudged("longer episodes end the process")
    vector: Any = recorder.another().env
    space = copy.deepcopy(vector.action_space)
    space.seed(0)
    vector.reset(seed=0)
    first = copy.deepcopy(vector.step(space.sample())[:4])
    seeds = list(range(50, 50 + vector.num_envs))
    one, two = (copy.deepcopy(vector.reset(seed=seeds)[0]) for _ in range(2))
    play = Batches(vector.num_envs, mode_of(vector), vector.observation_space, first, (one, two))
    space.seed(1)
    vector.reset(seed=1)
    for number in range(1, min(STEPS, recorder.plan.total) + 1):
        recorder.heartbeat.call("step", number)
        _, rewards, terminated, truncated, infos = vector.step(space.sample())
        flags = np.asarray(terminated) | np.asarray(truncated)
        play.steps.append((np.array(rewards), flags, "final_obs" in infos))
    recorder.release(vector)
    return play
