"""The commands: `python -m {{cookiecutter.__package_name}} COMMAND`; without COMMAND, a list of them."""

import sys

from .kit.cli import run
from .kit.commands import dispatch
from .registration import TASK


def main() -> None:
    """Runs the command that the command line names, and leaves with its exit code."""
    run(lambda: dispatch(TASK, sys.argv[1:]))


if __name__ == "__main__":
    main()
