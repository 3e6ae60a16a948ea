"""Checks an environment against its contract."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import contract
from ..cli import Parser, add_config_options, read_config_options
from ..contract import CHECKS, Failure, Report, checks_of, run_checks, show
from ..contract.ignore import known
from ..errors import UsageError
from ..task import Task

DESCRIPTION = """Checks an environment against its contract.

Exit code: 0 no errors, 1 the environment is at fault, 2 the command was used wrongly.
On GitHub, the findings are annotations of the lines as well.
"""


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = Parser(prog=task.command("check"), description=DESCRIPTION)
    target = "module:attr or file.py:attr, a class or a function of one config; or what Gymnasium knows, as CartPole-v1"
    parser.add_argument("target", nargs="?", metavar="TARGET", help=f"{target} (default: this project's environment)")
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--thorough", action="store_true", help="look also at what is cut for time otherwise: minutes")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one check; may be given again")
    leave_out = "leave a check out; may be given again. For good: [tool.<package>.check] in pyproject.toml"
    parser.add_argument("--ignore", action="append", default=[], metavar="NAME", help=leave_out)
    parser.add_argument("--explain", metavar="NAME", help="say what a check is for, with what fails and what passes")
    options = parser.parse_args(arguments)
    if options.explain:
        print(explained(known(options.explain)))
        return 0
    how = {"ignore": {known(name): "--ignore" for name in options.ignore}, "only": options.only}
    config = read_config_options(options) or {}
    if options.target:
        report = run_checks(options.target, config, thorough=options.thorough, **how)
    else:
        report = task.check(config, thorough=options.thorough, **how)
    refused = [failure.message for failure in report.failures if failure.check == "constructor_takes_config"]
    if config and not options.target and (why := re.search(r" raises (Config|Value)Error: (.*)", "".join(refused))):
        raise UsageError(f"--config: {why[2]}")
    if options.json:
        print(report.to_json())
    else:
        command = " ".join([task.command("check"), *([options.target] if options.target else []), "--thorough"])
        _print(report, command)
    if "GITHUB_ACTIONS" in os.environ:
        _annotate(report.failures)
    return 0 if report.ok else 1


def explained(name: str) -> str:
    """Returns what a check is for, a line that fails it and one that passes, and what to do."""
    check = (CHECKS | checks_of(several=True))[name]
    text = Path(contract.__file__).with_name("EXAMPLES.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {name} \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert row is not None, f"EXAMPLES.md has no {name}"
    about = " ".join(str(check.function.__doc__).split())
    kind = "what it finds may be intended: a warning" if check.mild else "an error, unless it says otherwise"
    fails, passes = (cell.replace("\\|", "|") for cell in row.groups())
    return f"{name}: {kind}\n\n  {about}\n\n  fails:   {fails}\n  passes:  {passes}\n\n  Fix: {check.fix}"


def _print(report: Report, command: str) -> None:
    """Prints a report for people."""
    show(report.failures, report.ignored)
    errors = sum(failure.severity == "error" for failure in report.failures)
    warnings = len(report.failures) - errors
    counts = [f"{errors} error{'s' * (errors != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    counts += [f"{len(report.skipped)} not judged"] if report.skipped else []
    print(f"{report.target}: {report.checks_run} checks in {report.seconds:.1f} s, {', '.join(counts)}")
    if report.cut:
        print(f"Cut for time: {', '.join(report.cut)}. To look at all: {command}")


def _annotate(failures: Iterable[Failure]) -> None:
    """Prints what GitHub shows beside the lines; to stderr, as stdout may hold JSON."""
    for failure in failures:
        file, _, line = (failure.where or "").rpartition(":")
        place = f" file={_escaped(file)},line={line}," if file else " "
        text = _escaped(f"{failure.message}\nFix: {failure.fix}", "%\r\n")
        print(f"::{failure.severity}{place}title={failure.check}::{text}", file=sys.stderr)


def _escaped(text: str, marks: str = "%\r\n:,") -> str:
    return "".join(f"%{ord(mark):02X}" if mark in marks else mark for mark in text)
