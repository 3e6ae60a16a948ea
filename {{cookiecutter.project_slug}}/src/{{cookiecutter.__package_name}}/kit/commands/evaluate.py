"""Measures a trained policy beside a random one."""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..cli import Parser, UsageError, whole_number
from ..spaces import random_action
from ..task import Task
from ..training.cluster import quieten

SEED = 1_000_000  # far from the seeds of training, so that the episodes are new to the policy


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Plays the episodes, prints what they returned, and returns the exit code."""
    parser = Parser(
        prog=f"python -m {task.package} evaluate", description="Measures a trained policy beside a random one."
    )
    parser.add_argument("checkpoint", nargs="?", help="a run's name or folder, or a checkpoint (default: newest run)")
    parser.add_argument("--episodes", type=whole_number(2), default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=whole_number(0), default=SEED, help="of the first episode; default: %(default)s")
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes to play them in")
    parser.add_argument("--video", action="store_true", help="film the first episode into the run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)

    from ..policy import find_checkpoint  # late: RLlib takes two seconds that --help shouldn't

    checkpoint = find_checkpoint(options.checkpoint)
    if options.video:
        require_drawing(task)
    seeds = range(options.seed, options.seed + options.episodes)
    if options.workers == 1:
        returns = [play(task, checkpoint, seeds)]
    else:
        shares = [seeds[i :: options.workers] for i in range(min(options.workers, options.episodes))]
        with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
            returns = list(pool.map(partial(play, task, checkpoint), shares))
    results = {name: statistics([value for share in returns for value in share[name]]) for name in ("policy", "random")}
    report = {"checkpoint": str(checkpoint), "episodes": options.episodes, "seed": options.seed, **results}
    if options.video:
        report["video"] = str(film(task, checkpoint, options.seed))
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return 0


def play(task: Task, checkpoint: Path, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Plays an episode from each seed with the policy and one with random actions; returns their returns."""
    import torch

    from ..policy import Policy

    quieten()
    torch.set_num_threads(1)  # one observation at a time is too little for more
    env = task.make_adapted()
    policy = Policy(task, checkpoint, env)
    returns: dict[str, list[float]] = {"policy": [], "random": []}
    for seed in seeds:
        env.action_space.seed(seed)
        returns["policy"].append(play_episode(env, policy.act, seed))
        returns["random"].append(play_episode(env, partial(random_action, env), seed))
    env.close()
    return returns


def play_episode(env: gym.Env[Any, Any], act: Callable[[Any], Any], seed: int) -> float:
    """Plays one episode and returns its return."""
    observation, _ = env.reset(seed=seed)
    episode_return, ended = 0.0, False
    while not ended:
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        episode_return += float(reward)
        ended = terminated or truncated
    return episode_return


def statistics(returns: Sequence[float]) -> dict[str, Any]:
    """Returns the mean with its 95 % interval (Student's t), the lowest and the highest return."""
    from scipy import stats  # late: half a second

    mean, error = float(np.mean(returns)), float(stats.sem(returns))
    half = float(stats.t.ppf(0.975, len(returns) - 1)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "min": min(returns), "max": max(returns)}


def require_drawing(task: Task) -> None:
    """Raises UsageError if the environment can't draw itself."""
    env = task.make_adapted()
    env.close()
    if "rgb_array" not in env.metadata.get("render_modes", ()):
        raise UsageError('--video needs "rgb_array" in metadata["render_modes"] of env.py, and a render() that draws')


def film(task: Task, checkpoint: Path, seed: int) -> Path:
    """Films one episode of the policy; returns the video's path, in the run's folder."""
    from ..policy import Policy

    gym.logger.min_level = gym.logger.ERROR  # an older film of the same episode may go
    folder, name = checkpoint.parents[1] / "videos", f"seed-{seed}"
    env: gym.Env[Any, Any] = gym.wrappers.RecordVideo(
        task.make_adapted(render_mode="rgb_array"), str(folder), name_prefix=name, disable_logger=True
    )
    play_episode(env, Policy(task, checkpoint, env).act, seed)
    env.close()
    return folder / f"{name}-episode-0.mp4"


def as_text(report: dict[str, Any]) -> str:
    """Formats the report for people."""
    lines = [f"{report['checkpoint']}, {report['episodes']} episodes from seed {report['seed']}"]
    for name in ("policy", "random"):
        row = report[name]
        low, high = row["interval"]
        lines.append(
            f"{name:8}mean return {row['mean']:8.4g}   95 % interval {low:.4g} to {high:.4g}   "
            f"lowest {row['min']:.4g}, highest {row['max']:.4g}"
        )
    return "\n".join([*lines, f"video: {report['video']}"] if "video" in report else lines)
