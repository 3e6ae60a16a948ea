"""Plays an episode that ended training again."""

from collections.abc import Sequence
from pathlib import Path

from ..cli import Parser, RunError, run
from ..guard import Guard
from ..guard.failure import EnvironmentFailure
from ...registration import make_env
from ..files import read_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes the actions of the episode once more; returns the exit code.

    Raises:
        RunError: the environment fails as it did in training.
    """
    parser = Parser(prog=f"python -m {__spec__.name}", description="Plays an episode that ended training again.")
    parser.add_argument("file", type=Path, help="failure.json of a run's folder")
    parser.add_argument("--debug", action="store_true", help="leave the exception to `python -m pdb -m ...`")
    options = parser.parse_args(arguments)
    facts = read_json(options.file)
    env = Guard(make_env(facts["config"]), first_seed=facts["seed"])
    try:
        env.reset()
        for action in env.action_space.from_jsonable(facts["actions"]):
            env.step(action)
    except EnvironmentFailure as failure:
        if options.debug:
            raise
        raise RunError(str(failure)) from None
    print(f"{len(facts['actions'])} steps, no failure: the environment has changed, or depends on more than its seed")
    return 0


if __name__ == "__main__":
    run(main)
