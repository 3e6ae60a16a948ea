"""Checks an environment against its contract."""

import re
from collections.abc import Sequence

from ..cli import Parser, add_config_options, read_config_options
from ..contract import run_checks, show
from ..contract.ignore import known
from ..errors import UsageError
from ..task import Task

DESCRIPTION = """Checks an environment against its contract.

Exit code: 0 no errors, 1 the environment is at fault, 2 the command was used wrongly.
"""


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = Parser(prog=task.command("check"), description=DESCRIPTION)
    target = "module:attr or file.py:attr, a class or a function of one config (default: this project's environment)"
    parser.add_argument("target", nargs="?", metavar="TARGET", help=target)
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    leave_out = "leave a check out; may be given again. For good: [tool.<package>.check] in pyproject.toml"
    parser.add_argument("--ignore", action="append", default=[], metavar="NAME", help=leave_out)
    options = parser.parse_args(arguments)
    ignore = {known(name): "--ignore" for name in options.ignore}
    config = read_config_options(options) or {}
    if options.target:
        report = run_checks(options.target, config, ignore=ignore)
    else:
        report = task.check(config, ignore=ignore)
    refused = [failure.message for failure in report.failures if failure.check == "constructor_takes_config"]
    if config and not options.target and (why := re.search(r" raises (Config|Value)Error: (.*)", "".join(refused))):
        raise UsageError(f"--config: {why[2]}")
    if options.json:
        print(report.to_json())
        return 0 if report.ok else 1
    show(report.failures, report.ignored)
    errors = sum(failure.severity == "error" for failure in report.failures)
    warnings = len(report.failures) - errors
    counts = [f"{errors} error{'s' * (errors != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    counts += [f"{len(report.skipped)} not judged"] if report.skipped else []
    print(f"{report.target}: {report.checks_run} checks in {report.seconds:.1f} s, {', '.join(counts)}")
    return 0 if report.ok else 1
