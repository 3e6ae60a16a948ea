"""The commands: one module each, with a function `main(task, arguments)` that returns the exit code."""

import importlib
from collections.abc import Sequence

from ..cli import Parser, UsageError, did_you_mean
from ..task import Task
from ..tasks import names_of, task_named

COMMANDS = {
    "check": "says what is wrong with the environment, where, and what to write instead",
    "train": "trains a policy with PPO",
    "evaluate": "measures a trained policy beside a random one",
    "play": "plays the environment by hand; a trained policy may take over",
    "export": "writes a trained policy into one ONNX file, which needs neither Ray nor torch",
    "benchmark": "measures which processes, copies and mode train fastest on this machine",
    "sweep": "searches for better numbers and settings",
    "report": "writes the page of a run; lays several side by side, with what differs",
    "serve": "answers with a policy's actions over HTTP",
    "replay": "plays an episode again that ended training",
    "add": "puts another environment into the project",
    "update": "brings the project to a newer version of its template",
}


def dispatch(task: Task, arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code; without a command, lists them.

    Args:
        task: the project's first; `--env NAME` chooses another one.
        arguments: the command's name, then what it takes.

    Raises:
        UsageError: there is no such command, or no such environment.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"python -m {task.package} COMMAND\n")
        print("\n".join(f"  {name:11}{sentence}" for name, sentence in COMMANDS.items()))
        print(f"\nWhat a command takes: python -m {task.package} COMMAND --help")
        if len(names := names_of(task.package)) > 1:
            print(f"Of which environment: python -m {task.package} COMMAND --env NAME; there are {', '.join(names)}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}; {did_you_mean(name, COMMANDS)}")
    parser = Parser(prog=f"python -m {task.package} {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--env")
    options, rest = parser.parse_known_args(rest)  # the rest is the command's
    task = task if options.env is None else task_named(task.package, options.env)
    if name == "train":  # the project's own page
        return int(importlib.import_module(f"{task.package}.train").main(rest, task))
    return int(importlib.import_module(f"{__name__}.{name}").main(task, rest))
