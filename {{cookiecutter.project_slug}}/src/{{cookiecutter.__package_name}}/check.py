"""Checks the environment against its contract: `python -m {{cookiecutter.__package_name}}.check --help`."""

import sys

from .kit.cli import run
from .kit.commands import dispatch
from .registration import TASK

if __name__ == "__main__":
    run(lambda: dispatch(TASK, ["check", *sys.argv[1:]]))
