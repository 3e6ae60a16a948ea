"""Plays the environment by hand; a trained policy may take over."""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..cli import Parser, add_config_options, read_config_options, whole_number
from ..errors import RunError, UsageError, one_line
from ..policy.find import find_policy
from ..spaces.membership import problems, short
from ..task import Task


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Opens the window, prints how each episode went, and returns the exit code."""
    command = task.command("play")
    epilog = f'Tab: the policy, and back; R: again; Esc: end. Example: {command} first --keys \'{{"a": 0, "d": 1}}\''
    parser = Parser(prog=command, description=__doc__, epilog=epilog)
    parser.add_argument("policy", nargs="?", help="who may take over: a run's name, or a folder (default: nobody)")
    parser.add_argument("--keys", metavar="JSON", help='what they do, e.g. \'{"left": 0, "d": 1}\'; "" is no key')
    parser.add_argument("--fps", type=whole_number(1), metavar="N", help='default: metadata["render_fps"], or 30')
    parser.add_argument("--seed", type=whole_number(0), help="of the first episode; the next ones count up from it")
    parser.add_argument("--record", type=Path, metavar="FILE.npz", help="save the episodes, named as in Minari")
    add_config_options(parser)
    options = parser.parse_args(arguments)
    try:
        from ..playing.game import Game, Recorder  # late, with pygame
        from ..playing.window import open_display
    except ModuleNotFoundError as error:
        raise UsageError(f'play needs {error.name}: pip install -e ".[play]"') from None
    if (file := options.record) and (file.suffix != ".npz" or file.exists() or not file.parent.is_dir()):
        raise UsageError(f"--record {file}: name a file that isn't there yet, as FILE.npz, in a folder that is")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    open_display()
    try:
        policy, env = make_players(task, options.policy, read_config_options(options))
        actions, fps = keys_to_action(env, options.keys), options.fps or env.metadata.get("render_fps") or 30
        recorder = Recorder(env) if file else None
        try:
            Game(recorder or env, actions, policy).play(task.env_id, seed, int(fps))
        finally:
            if recorder:
                recorder.save(file)
    except (UsageError, RunError):
        raise
    except Exception as error:
        raise RunError(one_line(error)) from None
    return 0


def make_players(task: Task, name: str | None, config: dict[str, Any] | None) -> tuple[Any, gym.Env[Any, Any]]:
    """Returns the policy, or None where none is named, and the environment, which draws itself.

    Raises:
        UsageError: there is no such policy, or it is not this environment's.
    """
    gym.logger.min_level = gym.logger.ERROR  # an environment that doesn't draw is refused later
    if name is None:
        return None, task.make(config, "rgb_array")
    folder = find_policy(name, task.env_id)
    from ..policy.folder import load_with_env  # late: torch takes a second

    return load_with_env(task, folder, config, "rgb_array")


def keys_to_action(env: gym.Env[Any, Any], given: str | None) -> dict[Any, Any]:
    """Returns the action of each key: what is given as JSON, else what the environment declares, else its few actions.

    Raises:
        UsageError: there is none of these, or one that is given is no action.
        RunError: one that the environment declares is no action.
    """
    space: Any = env.action_space
    where, found = 'metadata["keys_to_action"]', env.metadata.get("keys_to_action")
    if given is not None:
        where = "--keys"
        try:
            found = json.loads(given)
        except ValueError as error:
            raise UsageError(f"--keys {given} can't be read as JSON: {error}") from None
    elif found is None and env.has_wrapper_attr("get_keys_to_action"):
        where, found = "get_keys_to_action()", env.get_wrapper_attr("get_keys_to_action")()
    elif found is None and env.has_wrapper_attr("mouse_action"):
        found = {}
    elif found is None and isinstance(space, spaces.Discrete) and (count := int(space.n)) <= 10:
        names = ["left", "right"] if count == 2 else list("0123456789")[:count]
        found = {name: int(space.start) + i for i, name in enumerate(names)}
    fault = RunError if given is None and found is not None else UsageError
    if not isinstance(found, dict):
        example = '{"left": ..., "d": ...}'
        where = '--keys, or metadata["keys_to_action"],' if found is None else where
        raise fault(f"{where} has to say what keys do, such as {example}, with actions of {short(space)}")
    actions = {}
    for key, action in found.items():
        if isinstance(action, (int, float, list)) and not isinstance(space, spaces.Discrete):  # as JSON has arrays
            action = np.array(action, space.dtype if isinstance(space, spaces.Box) else None)
        for problem in problems(space, action, f"{where}: {key!r}"):
            raise fault(problem.message)
        actions[key] = action
    return actions
