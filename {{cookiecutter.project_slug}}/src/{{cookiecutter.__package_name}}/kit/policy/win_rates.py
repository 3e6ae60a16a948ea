"""Self-play: how often each generation of the trained policies wins against each other one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..multi_agent.policies import Roles, roles_of
from ..task import Task
from .find import OPPONENTS, place_of
from .folder import load_folder
from .measure import play_episode
from .multi_agent import others_of
from .with_env import load_with_env

MOST_SNAPSHOTS = 4  # of a run, that play: the first, the last and some between
EPISODES = 10  # of each pair


def win_rates(
    task: Task, folder: Path, config: Mapping[str, Any] | None, seeds: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Lets random actions, snapshots of a run and its policy play each other, where `policy_of` has a PastSelf.

    Returns:
        In `win_rates` the share of episodes that each one, by name, wins in the trained agents' place against each one in
        that of their past selves, on the same seeds; a tie is half a win. Nothing where there is no PastSelf.
    """
    policy, env = load_with_env(task, folder, config)
    roles = roles_of(env, task.policy_of)
    if not (names := set(roles.past.values())):
        env.close()
        return {}
    found = sorted(int(path.name) for path in (place_of(folder) / OPPONENTS).glob("*") if path.name.isdecimal())
    chosen = sorted({round(place) for place in np.linspace(0, len(found) - 1, MOST_SNAPSHOTS)}) if found else []
    generations = {"random": policy.random().policies}
    for steps in (found[i] for i in chosen):
        snapshot = place_of(folder) / OPPONENTS / str(steps)
        generations[f"{steps:,}"] = {name: load_folder(snapshot / name) for name in names}
    generations["policy"] = policy.policies
    rates: dict[str, dict[str, float]] = {}
    for row, ours in generations.items():
        for column, theirs in generations.items():
            players = replace(policy.instead(ours), others=others_of(roles, theirs))
            scores = [_score(play_episode(env, players, seed), roles) for seed in seeds[:EPISODES]]
            rates.setdefault(row, {})[column] = sum(scores) / len(scores)
    env.close()
    return {"win_rates": rates}


def _score(episode: Mapping[Any, float], roles: Roles) -> float:
    """Returns 1 where the trained agents of the policies that play themselves got more, on average; 0.5 for a tie."""
    trained = [agent for agent, name in roles.trained.items() if name in roles.past.values()]
    ours, theirs = (np.mean([episode.get(agent, 0.0) for agent in side]) for side in (trained, roles.past))
    return 0.5 if ours == theirs else float(ours > theirs)
