"""What the commands share: errors of one line, and exit codes that a script can use.

0: good. 1: the environment or the run is at fault. 2: the command was used wrongly.
"""

import argparse
import math
import sys
from collections.abc import Callable
from typing import NoReturn


class UsageError(Exception):
    """The command was used wrongly; the message is one line that says what is wrong and what to write instead."""


class RunError(Exception):
    """The environment or the run is at fault; the message says what happened and where."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage above them."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def whole_number(minimum: int) -> Callable[[str], int]:
    """Returns an argparse type: a whole number of at least `minimum`; 200_000 and 2e5 are both understood."""

    def parse(text: str) -> int:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not (number >= minimum and number.is_integer()):
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, got {text!r}")
        return int(number)

    return parse


def finite_number(text: str) -> float:
    """The argparse type of a number that is neither infinite nor NaN."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return number


def positive_seconds(text: str) -> float:
    """The argparse type of a duration in seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return number


def run(command: Callable[[], int]) -> NoReturn:
    """Runs a command and leaves with its exit code; errors that are the user's to mend become one line on stderr."""
    try:
        code = command()
    except UsageError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        code = 2
    except RunError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
