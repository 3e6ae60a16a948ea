"""Measures a trained policy beside a random one."""

import json
import multiprocessing
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..cli import Parser, add_config_options, read_config_options, whole_number
from ..errors import RunError, UsageError, one_line
from ..policy.find import find_policy
from ..spaces import random_action
from ..task import Task

SEED = 1_000_000  # far from the seeds of training, so that the episodes are new to the policy
NO_DISPLAY = "Where the machine has no display or no OpenGL, try it under xvfb-run, or with MUJOCO_GL=egl for MuJoCo"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Plays the episodes, prints what they returned, and returns the exit code."""
    command = f"python -m {task.package} evaluate"
    parser = Parser(
        prog=command,
        description="Measures a trained policy beside a random one, on the same seeds.",
        epilog=f"example: {command} first --episodes 20 --video",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--episodes", type=whole_number(2), default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=whole_number(0), default=SEED, help="of the first episode; default: %(default)s")
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes; default: 1")
    add_config_options(parser)  # the default is what the run was trained with
    parser.add_argument("--video", action="store_true", help="film the first episode into the run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    folder, config = find_policy(options.policy), read_config_options(options)
    seeds = range(options.seed, options.seed + options.episodes)
    video = film(task, folder, config, options.seed) if options.video else None
    if options.workers == 1:
        returns = [play(task, folder, config, seeds)]
    else:
        shares = [seeds[i :: options.workers] for i in range(min(options.workers, options.episodes))]
        with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
            returns = list(pool.map(partial(play, task, folder, config), shares))
    results = {name: statistics([value for share in returns for value in share[name]]) for name in ("policy", "random")}
    report = {"checkpoint": str(folder), "episodes": options.episodes, "seed": options.seed, **results}
    if video is not None:
        report["video"] = str(video)
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return 0


def play(task: Task, folder: Path, config: Mapping[str, Any] | None, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Plays an episode from each seed with the policy and one with random actions; returns their returns."""
    import torch  # late: a misspelt run is told before

    from ..policy.folder import load_with_env

    torch.set_num_threads(1)  # one observation at a time is too little for more
    policy, env = load_with_env(task, folder, config)
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
    from scipy.special import stdtrit  # late, and not scipy.stats, which takes half a second

    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / len(returns) ** 0.5
    half = float(stdtrit(len(returns) - 1, 0.975)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "min": min(returns), "max": max(returns)}


def film(task: Task, folder: Path, config: Mapping[str, Any] | None, seed: int) -> Path:
    """Films one episode of the policy in a process of its own, which drawing without a display may end.

    Returns:
        The video's path, in the run's folder; beside the policy's folder where it lies in no run.

    Raises:
        RunError: the environment can't draw, or not on this machine.
    """
    checkpoints = folder.parent.parent
    run = checkpoints.parent if checkpoints.name == "checkpoints" else folder.parent
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_film, task, folder, config, seed, run / "videos").result()
    except BrokenProcessPool:
        raise RunError(f"--video: drawing ended its process. {NO_DISPLAY}") from None


def _film(task: Task, folder: Path, config: Mapping[str, Any] | None, seed: int, videos: Path) -> Path:
    from ..policy.folder import load_with_env

    gym.logger.min_level = gym.logger.ERROR  # an older film of the same episode may go
    policy, env = load_with_env(task, folder, config, "rgb_array")
    if "rgb_array" not in env.metadata.get("render_modes", ()):
        raise UsageError(
            f'--video needs "rgb_array" in {task.env_class.__name__}.metadata["render_modes"], and a render() that draws'
        )
    try:
        env = gym.wrappers.RecordVideo(env, str(videos), name_prefix=f"seed-{seed}", disable_logger=True)
        play_episode(env, policy.act, seed)
        env.close()
    except Exception as error:
        raise RunError(f"--video: {one_line(error)}. {NO_DISPLAY}") from None
    return videos / f"seed-{seed}-episode-0.mp4"


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
