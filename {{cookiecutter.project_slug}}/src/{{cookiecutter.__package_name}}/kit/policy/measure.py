"""Measures policies: the same episodes for each of them, and the statistics of their returns."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ..cli import table
from ..kinds import is_multi_agent
from ..task import Task

if TYPE_CHECKING:
    from ..multi_agent.policies import Roles

SEED = 1_000_000_000  # of the first episode: beyond the seeds of training, resumed runs included
MOST_AGENTS = 8  # with a line each


def play(
    task: Task,
    folder: Path,
    config: Mapping[str, Any] | None,
    against: Path | None,
    seeds: Sequence[int],
    deadline: float = math.inf,
) -> dict[str, list[Any]]:
    """Plays an episode from each seed with the policy, one with random actions, and one with the policy `against`.

    Returns:
        The return of each episode as of `play_episode`, in the order of the seeds, by who has played it; of those that
        all have ended before the `deadline`, by `time.monotonic`.
    """
    import torch  # late: a misspelt run is told before

    from .with_env import load_with_env

    torch.set_num_threads(1)  # one observation at a time is too little for more
    policy, env = load_with_env(task, folder, config)
    players: dict[str, Any] = {"policy": policy, "random": policy.random()}
    if against:
        config = policy.facts["env_config"] if config is None else config
        other, unused = load_with_env(task, against, config)
        players["against"] = policy.instead(other.policies) if task.is_multi_agent else other
        unused.close()
    episodes = []
    for seed in seeds:
        episodes.append([play_episode(env, player, seed, deadline) for player in players.values()])
        if time.monotonic() > deadline:
            episodes.pop()
            break
    env.close()
    return {name: [one[place] for one in episodes] for place, name in enumerate(players)}


def play_episode(env: gym.Env[Any, Any], policy: Any, seed: int, deadline: float = math.inf) -> Any:
    """Plays one episode, to the `deadline` at most, and returns its return; of several agents a dict by agent ID."""
    policy.reset(seed=seed)
    observation, _ = env.reset(seed=seed)
    if is_multi_agent(type(env.unwrapped)):
        return _play_together(env, policy, observation, deadline)
    episode_return, ended = 0.0, False
    while not ended and time.monotonic() < deadline:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        episode_return += float(reward)
        ended = terminated or truncated
    return episode_return


def _play_together(env: Any, policy: Any, observations: dict[Any, Any], deadline: float) -> dict[Any, float]:
    from ..multi_agent.env import ALL

    returns, ended = dict.fromkeys(observations, 0.0), False
    while not ended and time.monotonic() < deadline:
        observations, rewards, terminated, truncated, _ = env.step(policy(observations))
        for agent in {**observations, **rewards}:
            returns[agent] = returns.get(agent, 0.0) + float(rewards.get(agent, 0.0))
        ended = terminated[ALL] or truncated[ALL]
        over = {agent for flags in (terminated, truncated) for agent, flag in flags.items() if flag}
        observations = {agent: seen for agent, seen in observations.items() if agent not in over}
    return returns


def report_of(
    task: Task, folder: Path, config: Mapping[str, Any] | None, played: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Any], list[float]]:
    """Returns the statistics of what `play` has returned, and the returns of the policy.

    Of several agents, a return is the sum over those that are trained; beside it stand the mean returns of each agent and
    of each policy.
    """
    if not task.is_multi_agent:
        return compare(played), list(played["policy"])
    from .folder import read_facts

    roles = task.roles(read_facts(folder)["env_config"] if config is None else config)
    returns = {
        name: [sum(episode.get(agent, 0.0) for agent in roles.trained) for episode in episodes]
        for name, episodes in played.items()
    }
    report = compare(returns)
    for name, episodes in played.items():
        report[name] |= by_agent(episodes, roles)
    return report, returns["policy"]


def compare(returns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Returns the statistics of all who have played, and of how much more the policy gets than each of the others."""
    report: dict[str, Any] = {name: statistics(values) for name, values in returns.items()}
    for name in returns.keys() - {"policy"}:
        pairs = zip(returns["policy"], returns[name], strict=True)
        report[name]["difference"] = statistics([ours - theirs for ours, theirs in pairs])
    return report


def by_agent(episodes: Sequence[Mapping[Any, float]], roles: "Roles") -> dict[str, dict[str, float | None]]:
    """Returns the mean returns of the agents and of the policies, each over the episodes that it takes part in.

    Returns:
        `agents` and `policies`, by name; a policy's is the mean over its agents, None that of what never takes part.
    """

    def mean(team: Sequence[Any]) -> float | None:
        found = [episode[agent] for episode in episodes for agent in team if agent in episode]
        return sum(found) / len(found) if found else None

    policies = {name: mean([a for a in roles.trained if roles.trained[a] == name]) for name in roles.policies}
    return {"agents": {str(agent): mean([agent]) for agent in roles.adapters}, "policies": policies}


def statistics(returns: Sequence[float]) -> dict[str, Any]:
    """Returns the mean with its 95 % interval (Student's t), the lowest and the highest return."""
    from scipy.special import stdtrit  # late; scipy.stats would take twice as long

    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / len(returns) ** 0.5
    half = float(stdtrit(len(returns) - 1, 0.975)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "min": min(returns), "max": max(returns)}


def agents_as_text(report: Mapping[str, Any], players: Sequence[str]) -> list[str]:
    """Returns the lines on several agents: the mean returns of each, and who has won against whom."""
    lines = []
    for kind in ("agents", "policies"):
        rows = report["policy"].get(kind, ())
        if rows and (kind == "policies" or len(rows) <= MOST_AGENTS):
            cells = [[row, *(_cell(report[player][kind][row]) for player in players)] for row in rows]
            lines.append(table([[f"mean return of {kind}", *players], *cells]))
    if rates := report.get("win_rates"):
        lines.append(
            "episodes won by the row in the trained agents' place, by the column in that of their past selves:"
        )
        lines.append(table([["", *rates], *([row, *map(_cell, shares.values())] for row, shares in rates.items())]))
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
