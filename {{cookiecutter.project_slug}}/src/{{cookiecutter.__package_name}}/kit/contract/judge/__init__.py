"""The judges: pure functions of a record, one module a concern.

To add a check, write a function with `@check(...)` in the module of its concern; nothing else lists it.
"""

import importlib

from ..record.env_record import EnvRecord
from .registry import CHECKS, NEVER, SEVERAL_AGENTS_CHECKS, Check, Failure, Report, Results, look, show

# In the order of the report; a check may be moot after an earlier one.
CONCERNS = "construction spaces calls observations rewards ends seeds process copies rendering".split()
for _concern in CONCERNS:
    importlib.import_module(f".{_concern}", __name__)

__all__ = ["CHECKS", "Failure", "Report", "checks_of", "judge", "show"]


def checks_of(several: bool) -> dict[str, Check]:
    """Returns the checks of environments of one agent, or of several, by name and in the order of the report."""
    if not several:
        return CHECKS
    importlib.import_module(f"{__name__.rpartition('.')[0]}.multi_agent.judge")  # late: most have one agent
    common = {name: check for name, check in CHECKS.items() if check.several != NEVER}
    first = {name: check for name, check in common.items() if check.function.__module__.endswith(".construction")}
    return first | SEVERAL_AGENTS_CHECKS | common


def judge(record: EnvRecord) -> Results:
    """Returns what each check found on a record, or why it had nothing to look at; never raises."""
    return look(checks_of(record.several), record)
