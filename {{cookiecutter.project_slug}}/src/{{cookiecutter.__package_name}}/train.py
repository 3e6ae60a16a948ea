"""Trains a policy with PPO: `python -m {{cookiecutter.__package_name}} train --help`."""

import sys
from collections.abc import Sequence

from .kit.cli import run
from .kit.commands import dispatch
from .kit.task import Task
from .kit.training.options import parse
from .kit.training.run import Run
from .registration import TASK


def main(arguments: Sequence[str] | None = None, task: Task = TASK) -> int:
    """Trains, and returns the exit code."""
    # The command line, over what the run was started with (with --resume), over the defaults.
    options = parse(task, arguments)

    # From here on Ctrl-C, SIGTERM and failures end the run in order, and nothing that was learnt is lost.
    with Run(task, options) as training:
        # The checks of the environment's contract that fit into a second.
        training.preflight()

        # How many copies of the environment, in how many processes: vectorization.toml, measured where it says "auto".
        training.choose_vectorization()

        # Ray, on this machine or on the cluster at --address.
        training.start_ray()

        # PPO with the numbers of ppo.py: sample a batch, learn from it, save; until solved, or a limit is reached.
        training.learn()

    return training.exit_code


if __name__ == "__main__":
    run(lambda: dispatch(TASK, ["train", *sys.argv[1:]]))
