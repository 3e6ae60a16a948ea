"""Measures policies: the same episodes for each of them, and the statistics of their returns."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..task import Task

SEED = 1_000_000_000  # of the first episode: beyond the seeds of training, resumed runs included


def play(
    task: Task,
    folder: Path,
    config: Mapping[str, Any] | None,
    against: Path | None,
    seeds: Sequence[int],
    deadline: float = math.inf,
) -> dict[str, list[float]]:
    """Plays an episode from each seed with the policy, one with random actions, and one with the policy `against`.

    Returns:
        The return of each episode, in the order of the seeds, by who has played it; of those that all have ended
        before the `deadline`, by `time.monotonic`.
    """
    import torch  # late: a misspelt run is told before

    from .folder import load_with_env
    from .policy import RandomPolicy

    torch.set_num_threads(1)  # one observation at a time is too little for more
    policy, env = load_with_env(task, folder, config)
    players: dict[str, Any] = {"policy": policy, "random": RandomPolicy(policy.adapters)}
    if against:
        config = policy.facts["env_config"] if config is None else config
        env.close()  # there may be no two
        players["against"], env = load_with_env(task, against, config)
    episodes = []
    for seed in seeds:
        episodes.append([play_episode(env, player, seed, deadline) for player in players.values()])
        if time.monotonic() > deadline:
            episodes.pop()
            break
    env.close()
    return {name: [one[place] for one in episodes] for place, name in enumerate(players)}


def play_episode(env: gym.Env[Any, Any], policy: Any, seed: int, deadline: float = math.inf) -> float:
    """Plays one episode, to the `deadline` at most, and returns its return."""
    policy.reset(seed=seed)
    observation, _ = env.reset(seed=seed)
    episode_return, ended = 0.0, False
    while not ended and time.monotonic() < deadline:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        episode_return += float(reward)
        ended = terminated or truncated
    return episode_return


def compare(returns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Returns the statistics of all who have played, and of how much more the policy gets than each of the others."""
    report: dict[str, Any] = {name: statistics(values) for name, values in returns.items()}
    for name in returns.keys() - {"policy"}:
        pairs = zip(returns["policy"], returns[name], strict=True)
        report[name]["difference"] = statistics([ours - theirs for ours, theirs in pairs])
    return report


def statistics(returns: Sequence[float]) -> dict[str, Any]:
    """Returns the mean with its 95 % interval (Student's t), the lowest and the highest return."""
    from scipy.special import stdtrit  # late; scipy.stats would take twice as long

    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / len(returns) ** 0.5
    half = float(stdtrit(len(returns) - 1, 0.975)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "min": min(returns), "max": max(returns)}
