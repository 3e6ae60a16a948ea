"""Checks the environment against its contract: `python -m {{cookiecutter.__package_name}}.check --help`."""

from .kit.cli import run
from .kit.commands.check import main
from .registration import TASK

if __name__ == "__main__":
    run(lambda: main(TASK, None))
