"""Measures a trained policy beside a random one."""

import json
import multiprocessing
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
from ..policy.find import find_policy, place_of
from ..task import Task

SEED = 1_000_000  # far from the seeds of training, so that the episodes are new to the policy
NO_DISPLAY = "without a display or OpenGL, try xvfb-run before the command, or MUJOCO_GL=egl for MuJoCo"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Plays the episodes, prints what they returned, and returns the exit code."""
    command = f"python -m {task.package} evaluate"
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} first --episodes 20 --video")
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--episodes", type=whole_number(2), default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=whole_number(0), default=SEED, help="of the first episode; default: %(default)s")
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes; default: 1")
    add_config_options(parser)
    parser.add_argument("--video", action="store_true", help="film the first episode into the run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    folder, config = find_policy(options.policy), read_config_options(options)
    report: dict[str, Any] = {"checkpoint": str(folder), "episodes": options.episodes, "seed": options.seed}
    if options.video:  # in a process of its own, which drawing may end
        report["video"] = str(spread(partial(film, task, folder, config), [options.seed], f"--video: {NO_DISPLAY}")[0])
    seeds = range(options.seed, options.seed + options.episodes)
    shares = [seeds[i :: options.workers] for i in range(min(options.workers, options.episodes))]
    measure = partial(play, task, folder, config)
    returns = [measure(seeds)] if len(shares) == 1 else spread(measure, shares, "leave out --workers to see more")
    for name in ("policy", "random"):
        report[name] = statistics([value for share in returns for value in share[name]])
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    return 0


def spread(function: Callable[[Any], Any], inputs: Sequence[Any], hint: str) -> list[Any]:
    """Calls a function with each input, in a process each; raises RunError, with a hint, if one of them ends."""
    try:
        with ProcessPoolExecutor(len(inputs), multiprocessing.get_context("spawn")) as pool:
            return list(pool.map(function, inputs))
    except BrokenProcessPool:
        raise RunError(f"the environment has ended its process; {hint}") from None


def play(task: Task, folder: Path, config: Mapping[str, Any] | None, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Plays an episode from each seed with the policy and one with random actions; returns their returns."""
    import torch  # late: a misspelt run is told before

    from ..policy.folder import load_with_env
    from ..policy.policy import RandomPolicy

    torch.set_num_threads(1)  # one observation at a time is too little for more
    policy, env = load_with_env(task, folder, config)
    players: dict[str, Any] = {"policy": policy, "random": RandomPolicy(policy.adapters)}
    returns = {name: [play_episode(env, player, seed) for seed in seeds] for name, player in players.items()}
    env.close()
    return returns


def play_episode(env: gym.Env[Any, Any], policy: Any, seed: int) -> float:
    """Plays one episode and returns its return."""
    policy.reset(seed=seed)
    observation, _ = env.reset(seed=seed)
    episode_return, ended = 0.0, False
    while not ended:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        episode_return += float(reward)
        ended = terminated or truncated
    return episode_return


def film(task: Task, folder: Path, config: Mapping[str, Any] | None, seed: int) -> Path:
    """Films an episode of the policy; returns the video's path, in the run's folder or beside the policy's."""
    from ..policy.folder import load_with_env

    gym.logger.min_level = gym.logger.ERROR  # an older film of the same episode may go
    declared = task.env_class.metadata  # by a wrapper only once it is made
    if isinstance(declared, dict) and "rgb_array" not in declared.get("render_modes", ()):
        name = f'{task.env_class.__name__}.metadata["render_modes"]'
        raise UsageError(f'--video needs "rgb_array" in {name}, and a render() that draws')
    videos = place_of(folder) / "videos"
    try:
        policy, env = load_with_env(task, folder, config, "rgb_array")
        env = gym.wrappers.RecordVideo(env, str(videos), name_prefix=f"seed-{seed}", disable_logger=True)
        play_episode(env, policy, seed)
        env.close()
    except UsageError:
        raise
    except Exception as error:
        what = str(error) if isinstance(error, RunError) else one_line(error)
        raise RunError(f"--video: {what}; {NO_DISPLAY}") from None
    return videos / f"seed-{seed}-episode-0.mp4"


def statistics(returns: Sequence[float]) -> dict[str, Any]:
    """Returns the mean with its 95 % interval (Student's t), the lowest and the highest return."""
    from scipy.special import stdtrit  # late; scipy.stats would take twice as long

    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1)) / len(returns) ** 0.5
    half = float(stdtrit(len(returns) - 1, 0.975)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "min": min(returns), "max": max(returns)}


def as_text(report: dict[str, Any]) -> str:
    """Formats the report for people."""
    lines = [f"{report['checkpoint']}, {report['episodes']} episodes from seed {report['seed']}"]
    for name in ("policy", "random"):
        mean, (low, high), least, most = report[name].values()
        mean = f"mean return {mean:8.4g}   95 % interval {low:.4g} to {high:.4g}"
        lines.append(f"{name:8}{mean}   lowest {least:.4g}, highest {most:.4g}")
    return "\n".join([*lines, f"video: {report['video']}"] if "video" in report else lines)
