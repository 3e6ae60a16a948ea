"""What a check is, and how all of them look at a record."""

import traceback
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

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
    """A named check: the function, and what `@check` declares of it."""

    function: Judge  # its docstring says which mistake it catches, and what that does to training
    fix: str  # what to write instead
    at: str = ""  # the method of the user's to point at: "__init__", "reset", "step", "render" or "close"
    mild: bool = False  # what it finds may be intended: warnings
    after: str = ""  # checks whose error makes this one moot; ANY for all
    quick: bool = True  # it belongs to the checks that fit into the first second of `train`
    blocks: bool = False  # its errors end `train`
    once: bool = False  # its first finding is enough

    def failure(self, found: str | Finding, record: EnvRecord) -> Failure:
        """Returns what was found, with what the check declares filled in."""
        finding = found if isinstance(found, Finding) else Finding(found)
        where = shorten(finding.where or record.where(finding.at or self.at))
        severity = finding.severity or ("warning" if self.mild else "error")
        blocks = self.blocks and severity == "error" if finding.blocks is None else finding.blocks
        return Failure(self.function.__name__, severity, finding.message, finding.fix or self.fix, where, blocks)


CHECKS: dict[str, Check] = {}


def check(**declared: Any) -> Callable[[Judge], Judge]:
    """Registers the decorated function as a check; `declared` are the fields of `Check`."""

    def register(function: Judge) -> Judge:
        CHECKS[function.__name__] = Check(function, **declared)
        return function

    return register


def faults(record: EnvRecord, name: str) -> Findings:
    """Yields a fault of what was returned, see `Episode.faults`, once for each episode that has it."""
    for episode in record.resets:
        if name in episode.faults:
            number, text = episode.faults[name]
            yield Finding(f"{text}, {episode.at(number)}", at="step" if number else "reset")


def judge(record: EnvRecord) -> dict[str, list[Failure] | str]:
    """Returns what each check found, in the order of the checks, or why it had nothing to look at; never raises."""
    results: dict[str, list[Failure] | str] = {}
    for name in CHECKS:
        _judge(name, record, results)
    return {name: results[name] for name in CHECKS}


def _judge(name: str, record: EnvRecord, results: dict[str, list[Failure] | str]) -> None:
    check = CHECKS[name]
    if name in results:
        return
    if record.quick and not check.quick:
        results[name] = "not part of the quick checks"
        return
    for other in [*results] if check.after == ANY else check.after.split():
        _judge(other, record, results)
        if any(failure.severity == "error" for failure in results[other] if isinstance(failure, Failure)):
            results[name] = f"see {other}"
            return
    failures: list[Failure] = []
    results[name] = failures
    try:
        findings = islice(check.function(record), 1 if check.once else None)
        failures.extend(check.failure(found, record) for found in findings)
    except NotJudged as reason:
        results[name] = failures or str(reason)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        failed = f"the check itself failed: {described(error)} at {line.filename}:{line.lineno}"
        results[name] = failures or failed
