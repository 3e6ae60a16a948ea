"""Checks an environment against the contract.

python -m {package}.check [TARGET] [--config JSON] [--json]

TARGET is `module:attr` or `file.py:attr`: a class or a creator that is called with one config. Without TARGET it is
this project's environment. Exit code: 0 no errors, 1 the environment is at fault, 2 the command was used wrongly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from ..contract import Report, TargetError, run_checks
from ..task import Task


def parse(task: Task, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {task.package} check", description="Checks an environment.")
    parser.add_argument(
        "target", nargs="?", metavar="TARGET", help="module:attr or file.py:attr (default: this project's environment)"
    )
    parser.add_argument(
        "--config", default="{}", metavar="JSON", help="the environment's config, e.g. '{\"length\": 8}'"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    return parser.parse_args(arguments)


def read_config(text: str) -> dict[str, Any]:
    """The config from the command line.

    Raises:
        TargetError: If it is no JSON object.
    """
    try:
        config = json.loads(text)
    except ValueError as problem:
        raise TargetError(f"--config is no valid JSON ({problem}), got {text!r}") from problem
    if not isinstance(config, dict):
        raise TargetError('--config must be a JSON object such as {"length": 8}, got ' + repr(text))
    return config


def show(failures: Sequence[Any]) -> None:
    """Prints findings for people."""
    for failure in failures:
        print(f"{failure.severity.upper()} {failure.check}{f'  {failure.where}' if failure.where else ''}")
        print(f"  {failure.message}")
        print(f"  Fix: {failure.fix}\n")


def summarise(report: Report) -> None:
    """Prints a report for people."""
    show(report.failures)
    errors = sum(failure.severity == "error" for failure in report.failures)
    warnings = len(report.failures) - errors
    print(
        f"{report.target}: {report.checks_run} checks in {report.seconds:.1f} s, {errors} error{'s' * (errors != 1)}, "
        f"{warnings} warning{'s' * (warnings != 1)}{f', {len(report.skipped)} not judged' if report.skipped else ''}"
    )


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(task, arguments)
    try:
        report = run_checks(options.target or task.target, read_config(options.config))
    except TargetError as problem:
        print(f"ERROR: {problem}", file=sys.stderr)
        return 2
    if options.json:
        print(report.to_json())
    else:
        summarise(report)
    return 0 if report.ok else 1
