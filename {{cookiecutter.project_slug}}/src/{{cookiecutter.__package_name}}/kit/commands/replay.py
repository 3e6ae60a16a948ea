"""Plays an episode again that ended training."""

from collections.abc import Sequence
from pathlib import Path

from ..cli import Parser
from ..errors import RunError, UsageError
from ..files import read_json
from ..guard import Guard
from ..guard.failure import EnvironmentFailure
from ..task import Task


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Takes the actions of the episode once more; returns the exit code.

    Raises:
        RunError: the environment fails as it did in training.
    """
    parser = Parser(prog=task.command("replay"), description="Plays an episode again that ended training.")
    parser.add_argument("file", type=Path, help="failure.json of a run's folder")
    parser.add_argument("--debug", action="store_true", help="leave the exception to `python -m pdb -m ...`")
    options = parser.parse_args(arguments)
    facts = read_json(options.file)
    if (env_id := facts.get("env_id", task.env_id)) != task.env_id:
        raise UsageError(f"{options.file} is of {env_id}, not of {task.env_id}")
    env = Guard(task.make(facts["config"]), first_seed=facts["seed"], strict=facts.get("strict"))
    steps = 0
    try:
        env.reset()
        for action in env.action_space.from_jsonable(facts["actions"]):
            env.step(action)
            steps += 1
    except EnvironmentFailure as failure:
        if options.debug:
            raise
        raise RunError(str(failure)) from None
    print(f"{steps} steps, no failure: the environment has changed, or depends on more than its seed")
    return 0
