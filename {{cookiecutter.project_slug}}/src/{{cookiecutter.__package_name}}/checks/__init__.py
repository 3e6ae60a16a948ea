"""The environment's contract: every mistake that can be caught before the first hour of training.

`run_checks` runs all checks on an environment in a process of its own and reports what they found. The same checks are
the tests in `tests/test_contract.py`, the lines of `check`, and part of the first second of `train`.
"""

from . import (
    actions,
    config,
    constructor,
    copies,
    determinism,
    ends,
    info,
    leaks,
    observations,
    outside,
    process,
    render,
    reset,
    reward,
    signals,
    spaces,
    vector,
)
from .registry import CHECKS, Failure, Report, order
from .runner import run_checks
from .targets import TargetError

CONCERNS = (
    constructor,
    config,
    spaces,
    reset,
    actions,
    observations,
    reward,
    ends,
    info,
    signals,
    determinism,
    copies,
    render,
    process,
    leaks,
    vector,
    outside,
)
order(CONCERNS)

__all__ = ["CHECKS", "Failure", "Report", "TargetError", "run_checks"]
