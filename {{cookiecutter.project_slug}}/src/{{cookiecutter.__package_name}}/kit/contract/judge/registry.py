"""What a check is, and how all of them look at a record."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..record.env_record import EnvRecord
from ..record.locations import described, shorten
from ..record.model import NotJudged
from .report import Failure

ANY = "any"  # in `after`: every check before


class Finding(NamedTuple):
    """A message that differs from what its check declares: in its fix, its place, or how severe it is."""

    message: str
    fix: str | None = None
    where: str | None = None
    at: str | None = None
    severity: str | None = None
    blocks: bool | None = None


Findings = Iterator[str | Finding]
Judge = Callable[[EnvRecord], Findings]


class Check(NamedTuple):
    """A named check."""

    name: str  # the function's
    doc: str  # its docstring: which mistake it catches, and what that does to training
    function: Judge
    fix: str  # what to write instead
    at: str  # the method of the user's to point at: "__init__", "reset", "step", "render" or "close"
    severity: str
    after: list[str]  # checks whose error makes this one moot, declared as one text; ANY for all
    quick: bool  # it belongs to the checks that fit into the first second of `train`
    blocks: bool  # its errors end `train`

    def failure(self, found: str | Finding, record: EnvRecord) -> Failure:
        """Returns what was found, with what the check declares filled in."""
        finding = found if isinstance(found, Finding) else Finding(found)
        where = shorten(finding.where or record.where(finding.at or self.at))
        severity = finding.severity or self.severity
        blocks = self.blocks and severity == "error" if finding.blocks is None else finding.blocks
        return Failure(self.name, severity, finding.message, finding.fix or self.fix, where, blocks)


CHECKS: dict[str, Check] = {}


def check(
    *, fix: str, at: str = "", mild: bool = False, after: str = "", quick: bool = True, blocks: bool = False
) -> Callable[[Judge], Judge]:
    """Registers the decorated function as a check, see `Check`; what a `mild` one finds may be intended: warnings."""

    def register(function: Judge) -> Judge:
        name, doc, severity = function.__name__, inspect.getdoc(function) or "", "warning" if mild else "error"
        CHECKS[name] = Check(name, doc, function, fix, at, severity, after.split(), quick, blocks)
        return function

    return register


def judge(record: EnvRecord) -> dict[str, list[Failure] | str]:
    """Returns what each check found, in the order of the checks, or why it had nothing to look at; never raises."""
    results: dict[str, list[Failure] | str] = {}
    for name in CHECKS:
        _judge(CHECKS[name], record, results)
    return {name: results[name] for name in CHECKS}


def _judge(check: Check, record: EnvRecord, results: dict[str, list[Failure] | str]) -> None:
    if check.name in results:
        return
    if record.quick and not check.quick:
        results[check.name] = "not part of the quick checks"
        return
    for name in [*results] if ANY in check.after else check.after:
        _judge(CHECKS[name], record, results)
        if any(failure.severity == "error" for failure in results[name] if isinstance(failure, Failure)):
            results[check.name] = f"see {name}"
            return
    failures: list[Failure] = []
    results[check.name] = failures
    try:
        failures.extend(check.failure(found, record) for found in check.function(record))
    except NotJudged as reason:
        results[check.name] = failures or str(reason)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        failed = f"the check itself failed: {described(error)} at {line.filename}:{line.lineno}"
        results[check.name] = failures or failed
