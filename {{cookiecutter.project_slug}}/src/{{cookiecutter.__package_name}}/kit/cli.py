"""What the commands share: errors of one line, types of arguments, and exit codes that a script can use.

0: good. 1: the environment or the run is at fault. 2: the command was used wrongly.
"""

import argparse
import difflib
import gc
import json
import math
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import RunError, UsageError


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
            number = math.nan
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
        number = finite_number(text)
    except argparse.ArgumentTypeError:
        number = 0.0
    if number <= 0.0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return number


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds --config and --config-file, the environment's config; `read_config_options` reads them."""
    example = "the environment's config, e.g. '{\"length\": 8}'"
    parser.add_argument("--config", metavar="JSON", default=argparse.SUPPRESS, help=example)
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the same, from a JSON file; --config goes before",
    )


def read_config_options(options: argparse.Namespace) -> dict[str, Any] | None:
    """Returns the environment's config from the command line, or None where neither option was given.

    Raises:
        UsageError: it is no JSON object, or the file can't be read.
    """
    found: dict[str, Any] | None = None
    for name in ("config_file", "config"):
        if not hasattr(options, name):
            continue
        where = "--" + name.replace("_", "-")
        text = given = getattr(options, name)
        try:
            if name == "config_file":
                text = Path(given).read_text(encoding="utf-8")
            value = json.loads(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"{where} {given} can't be read as JSON: {error}") from None
        if not isinstance(value, dict):
            raise UsageError(f'{where} must be a JSON object such as {{"length": 8}}, got {given!r}')
        found = (found or {}) | value
    return found


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Returns a hint at the nearest known word, else at all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of text as lines with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


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
    gc.freeze()  # or Python, as it ends, searches all that torch and RLlib hold for garbage: a second
    sys.exit(code)
