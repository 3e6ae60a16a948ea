"""The environment's contract: every mistake that can be caught before the first hour of training.

`run_checks` has an environment recorded in a process of its own and judges the record. The same checks are the tests
in `tests/test_contract.py`, the lines of `check`, and part of the first second of `train`.

    record/   the child: makes the environment, plays with it, and writes down what came
    judge/    the checks: pure functions of the record, one module a concern
    process/  the parent: starts recorders, watches them, and reports
"""

from .ignore import ignored
from .judge import CHECKS, Failure, Report, checks_of, show
from .process.run import run_checks

__all__ = ["CHECKS", "Failure", "Report", "checks_of", "ignored", "run_checks", "show"]
