"""The environment's contract: every mistake that can be caught before the first hour of training.

`run_checks` runs all checks on an environment in a process of its own and reports what they found. The same checks are
the tests in `tests/test_contract.py`, the lines of `check`, and part of the first second of `train`.
"""

from . import (
    actions,
    close,
    config,
    constructor,
    copies,
    determinism,
    ends,
    info,
    leaks,
    observations,
    outside,
    pickling,
    process,
    render,
    reset,
    reward,
    seeds,
    self_reset,
    side_effects,
    signals,
    spaces,
    trainable,
    vector,
    vector_envs,
)
from .registry import CHECKS, Failure, Report, order
from .runner import run_checks
from .targets import TargetError

CONCERNS = (
    constructor,
    side_effects,
    config,
    spaces,
    trainable,
    reset,
    actions,
    observations,
    reward,
    ends,
    self_reset,
    info,
    signals,
    determinism,
    seeds,
    copies,
    pickling,
    render,
    process,
    leaks,
    close,
    vector_envs,
    vector,
    outside,
)
order(CONCERNS)

__all__ = ["CHECKS", "Failure", "Report", "TargetError", "run_checks"]
