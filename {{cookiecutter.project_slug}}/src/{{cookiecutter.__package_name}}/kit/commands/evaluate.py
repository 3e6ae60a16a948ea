"""Measures a trained policy beside a random one."""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from ..cli import Parser, add_config_options, read_config_options, whole_number
from ..errors import RunError, UsageError, one_line
from ..files import write_json
from ..policy.find import BEST, find_policy, place_of
from ..policy.measure import SEED, compare, play, play_episode
from ..task import Task
from ..training.run_folder import EVALUATION

NO_DISPLAY = "without a display or OpenGL, try xvfb-run before the command, or MUJOCO_GL=egl for MuJoCo"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Plays the episodes, prints what they returned, and returns the exit code."""
    command = task.command("evaluate")
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} first --against second --video")
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--against", metavar="POLICY", help="another one, compared on the same seeds")
    parser.add_argument("--episodes", type=whole_number(2), default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=whole_number(0), default=SEED, help="of the first episode; default: %(default)s")
    parser.add_argument("--workers", type=whole_number(1), default=1, metavar="N", help="processes; default: 1")
    add_config_options(parser)
    parser.add_argument("--video", action="store_true", help="film the median and the best episode")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    folder, config = find_policy(options.policy, task.env_id), read_config_options(options)
    against = find_policy(options.against, task.env_id) if options.against else None
    require(task, options)
    seeds = list(range(options.seed, options.seed + options.episodes))
    shares = [seeds[i :: options.workers] for i in range(min(options.workers, options.episodes))]
    measure = partial(play, task, folder, config, against)
    played = [measure(seeds)] if len(shares) == 1 else spread(measure, shares, "leave out --workers to see more")
    returns = {name: [value for one in played for value in one[name]] for name in played[0]}
    report = {"checkpoint": str(folder), "episodes": options.episodes, "seed": options.seed, **compare(returns)}
    if against:
        report["against"]["checkpoint"] = str(against)
    if config is None and folder.parent.name == BEST and (run := folder.parent.parent.parent / "config.json").is_file():
        with suppress(OSError):  # only `report` needs it, and the run may lie where nothing can be written
            write_json(run.with_name(EVALUATION), report)
    failure = None
    if options.video:
        shown = to_show(returns["policy"], [seed for share in shares for seed in share])
        try:  # in a process of its own, which drawing may end
            at_once = 1 if task.only_one else len(shown)
            filmed = spread(partial(film, task, folder, config), list(shown.items()), f"--video: {NO_DISPLAY}", at_once)
            report["videos"] = {name: str(path) for name, path in zip(shown, filmed, strict=True)}
        except RunError as error:
            failure = error
    print(json.dumps(report, indent=2) if options.json else as_text(report))
    if failure:
        raise failure
    return 0


def to_show(returns: Sequence[float], seeds: Sequence[int]) -> dict[str, int]:
    """Returns the seeds of the median and of the best episode."""
    ranked = sorted(zip(returns, seeds, strict=True))
    return {"median": ranked[(len(ranked) - 1) // 2][1], "best": ranked[-1][1]}


def spread(function: Callable[[Any], Any], inputs: Sequence[Any], hint: str, at_once: int | None = None) -> list[Any]:
    """Calls a function with each input, in a process each; raises RunError, with a hint, if one of them ends."""
    try:
        with ProcessPoolExecutor(at_once or len(inputs), multiprocessing.get_context("spawn")) as pool:
            return list(pool.map(function, inputs))
    except BrokenProcessPool:
        raise RunError(f"the environment has ended its process; {hint}") from None


def require(task: Task, options: argparse.Namespace) -> None:
    """Raises UsageError for what the environment can't do: be copied, draw pictures."""
    if options.workers > 1 and task.only_one:
        raise UsageError("--workers makes copies, but registration.py says only_one; leave it out")
    declared = task.env_class.metadata if options.video else None  # by a wrapper only once it is made
    if isinstance(declared, dict) and "rgb_array" not in declared.get("render_modes", ()):
        name = f'{task.env_class.__name__}.metadata["render_modes"]'
        raise UsageError(f'--video needs "rgb_array" in {name}, and a render() that draws')


def film(task: Task, folder: Path, config: Mapping[str, Any] | None, episode: tuple[str, int]) -> Path:
    """Films an episode, given by what it is and its seed; returns the video's path, in the run's folder if it has one."""
    from ..policy.folder import load_with_env

    gym.logger.min_level = gym.logger.ERROR  # an older film of the same episode may go
    videos, (name, seed) = place_of(folder) / "videos", episode
    try:
        policy, env = load_with_env(task, folder, config, "rgb_array")
        env = gym.wrappers.RecordVideo(env, str(videos), name_prefix=name, disable_logger=True)
        play_episode(env, policy, seed)
        env.close()
    except UsageError:
        raise
    except Exception as error:
        what = str(error) if isinstance(error, RunError) else one_line(error)
        raise RunError(f"--video: {what}; {NO_DISPLAY}") from None
    return (videos / f"{name}-episode-0.mp4").replace(videos / f"{name}.mp4")


def as_text(report: dict[str, Any]) -> str:
    """Formats the report for people."""
    lines = [f"{report['checkpoint']}, {report['episodes']} episodes from seed {report['seed']}"]
    names = [name for name in ("policy", "against", "random") if name in report]
    for name in names:
        low, high = report[name]["interval"]
        mean = f"mean return {report[name]['mean']:8.4g}   95 % interval {low:.4g} to {high:.4g}"
        lines.append(f"{name:8}{mean}   lowest {report[name]['min']:.4g}, highest {report[name]['max']:.4g}")
    for name in names[1:]:
        other = "random actions" if name == "random" else report[name]["checkpoint"]
        difference = report[name]["difference"]
        low, high = difference["interval"]
        verdict = "better than" if low > 0 else "worse than" if high < 0 else "not better than"
        by = f"the difference is {difference['mean']:.4g}, 95 % interval {low:.4g} to {high:.4g}"
        lines.append(f"the policy is {verdict} {other}: {by}")
    return "\n".join(
        [*lines, *(f"video of the {name} episode: {path}" for name, path in report.get("videos", {}).items())]
    )
