"""`python -m {{cookiecutter.__package_name}} COMMAND`; without COMMAND, the list of commands."""

from .kit.commands import main
from .registration import TASK

if __name__ == "__main__":
    main(TASK)
