"""The commands: one module each, with a function `main(task, arguments)` that returns the exit code."""

import importlib
from collections.abc import Sequence

from ..cli import UsageError, did_you_mean
from ..task import Task

COMMANDS = {
    "check": "says what is wrong with the environment, where, and what to write instead",
    "train": "trains a policy with PPO",
    "evaluate": "measures a trained policy beside a random one",
    "play": "plays the environment by hand; a trained policy may take over",
    "benchmark": "measures which processes, copies and mode train fastest on this machine",
    "sweep": "searches for better numbers and settings",
    "report": "writes the page of a run; lays several side by side, with what differs",
    "replay": "plays an episode again that ended training",
}


def dispatch(task: Task, arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code; without a command, lists them.

    Args:
        task: of the project.
        arguments: the command's name, then what it takes.

    Raises:
        UsageError: there is no such command.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"python -m {task.package} COMMAND\n")
        print("\n".join(f"  {name:11}{sentence}" for name, sentence in COMMANDS.items()))
        print(f"\nWhat a command takes: python -m {task.package} COMMAND --help")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}; {did_you_mean(name, COMMANDS)}")
    if name == "train":  # the project's own page
        return int(importlib.import_module(f"{task.package}.train").main(rest))
    return int(importlib.import_module(f"{__name__}.{name}").main(task, rest))
