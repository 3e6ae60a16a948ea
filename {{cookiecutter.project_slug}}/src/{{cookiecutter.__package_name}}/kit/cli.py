"""What the commands share: errors of one line, types of arguments, and exit codes that a script can use.

0: good. 1: the environment or the run is at fault. 2: the command was used wrongly.
"""

import argparse
import difflib
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

_KIT = str(Path(__file__).parent)


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


@contextmanager
def importing(package: str) -> Iterator[None]:
    """Says in one line what is wrong with a module of the project, where a command or pytest imports it.

    `python -m package` imports the package before any command runs, so that the command itself could not say it.
    Elsewhere, in a notebook or another program, the exception stays what it is.
    """
    try:
        yield
    except Exception as error:
        line = one_line(error)
        if "pytest" in sys.modules:
            sys.modules["pytest"].exit(line, returncode=1)  # once, not once for each file of tests
        command = Path(sys.argv[0]).stem if sys.argv else ""
        if command not in ("-m", package.replace("_", "-")):  # "-m": Python still looks for the command's module
            raise
        print(f"ERROR: {line}", file=sys.stderr)
        sys.exit(1)


def one_line(error: BaseException) -> str:
    """Returns "file:line: what", the place being the deepest one in the project's own files."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_the_users(frame.filename)]
    place = f"{_relative(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {text}" if text else f"{place}{type(error).__name__}"


def _is_the_users(file: str) -> bool:
    installed = any(part in file for part in (f"{os.sep}site-packages{os.sep}", f"{os.sep}lib{os.sep}python"))
    return not (installed or file.startswith((_KIT, "<")))


def _relative(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
