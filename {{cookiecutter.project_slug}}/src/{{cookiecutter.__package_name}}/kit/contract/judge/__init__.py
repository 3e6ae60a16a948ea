"""The judges: pure functions of a record, one module a concern.

To add a check, write a function with `@check(...)` in the module of its concern; nothing else lists it.
"""

import importlib

from .registry import CHECKS, Failure, Report, judge, show

# In the order of the report; a check may be moot after an earlier one.
CONCERNS = "construction spaces calls observations rewards ends seeds process copies rendering".split()
for _concern in CONCERNS:
    importlib.import_module(f".{_concern}", __name__)

__all__ = ["CHECKS", "Failure", "Report", "judge", "show"]
