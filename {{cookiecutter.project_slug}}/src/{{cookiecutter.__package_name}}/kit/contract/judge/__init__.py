"""The judges: pure functions of a record, one module a concern.

To add a check, write a function with `@check(...)` in the module of its concern; nothing else lists it.
"""

import importlib

from .registry import CHECKS, Check, Finding, check, judge
from .report import Failure, Report, show

# In the order of the report.
CONCERNS = "construction spaces calls observations rewards ends info seeds rendering process copies".split()
for _concern in CONCERNS:
    importlib.import_module(f".{_concern}", __name__)

__all__ = ["CHECKS", "Check", "Failure", "Finding", "Report", "check", "judge", "show"]
