"""Measures policies: the same episodes for each of them, and the statistics of their returns."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..cli import table
from ..kinds import is_multi_agent
from ..task import Task

SEED = 1_000_000_000  # of the first episode: beyond the seeds of training, resumed runs included
MOST_AGENTS = 8  # that get a line, or a column, each; of more, only the policies do


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
        env.close()  # there may be no two
        other, env = load_with_env(task, against, config)
        players["against"] = policy.instead(other.policies) if task.is_multi_agent else other
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
    returns = {name: [sum(one.get(a, 0.0) for a in roles.trained) for one in played[name]] for name in played}
    teams = {name: [a for a in roles.trained if roles.trained[a] == name] for name in roles.policies}
    report = compare(returns)
    for name, episodes in played.items():
        report[name]["agents"] = {str(agent): _mean([agent], episodes) for agent in roles.adapters}
        report[name]["policies"] = {policy: _mean(team, episodes) for policy, team in teams.items()}
    return report, returns["policy"]


def _mean(agents: Sequence[Any], episodes: Sequence[Mapping[Any, float]]) -> float | None:
    """Returns the mean return of agents in the episodes that they take part in; None where there is none."""
    found = [episode[agent] for episode in episodes for agent in agents if agent in episode]
    return sum(found) / len(found) if found else None


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


def agents_as_text(report: Mapping[str, Any], players: Sequence[str]) -> list[str]:
    """Returns the lines on several agents: the mean returns of each, and who has won against whom."""
    lines = []
    if "agents" in report["policy"]:
        kinds = ("agents", "policies") if len(report["policy"]["agents"]) <= MOST_AGENTS else ("policies",)
        means = [{name: mean for kind in kinds for name, mean in report[player][kind].items()} for player in players]
        rows = [[name, *(_cell(one[name]) for one in means)] for name in means[0]]
        lines.append(table([["mean return of", *players], *rows]))
    if rates := report.get("win_rates"):
        lines.append(
            "episodes won by the row in the trained agents' place, by the column in that of their past selves:"
        )
        lines.append(table([["", *rates], *([row, *map(_cell, shares.values())] for row, shares in rates.items())]))
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
