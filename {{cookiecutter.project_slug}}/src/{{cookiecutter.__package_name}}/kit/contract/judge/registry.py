"""What a check is, and how all of them look at a record."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..record.env_record import EnvRecord
from ..record.locations import described, raised, shorten
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


@dataclass(frozen=True)
class Check:
    """A named check.

    Attributes:
        name: The function's name.
        doc: The function's docstring: which mistake it catches and what that mistake does to training.
        function: Takes a record and yields messages or findings.
        severity: "error" or "warning".
        fix: What to write instead.
        at: The method of the user's to point at: "__init__", "reset", "step", "render" or "close".
        after: Checks whose error makes this one moot; ANY for all.
        quick: Whether it belongs to the checks that fit into the first second of `train`.
        blocks: Whether its errors end `train`.
    """

    name: str
    doc: str
    function: Judge
    severity: str
    fix: str
    at: str
    after: tuple[str, ...]
    quick: bool
    blocks: bool

    def failure(self, found: str | Finding, record: EnvRecord) -> Failure:
        """Returns what was found, with what the check declares filled in."""
        finding = found if isinstance(found, Finding) else Finding(found)
        where = shorten(finding.where or record.where(finding.at or self.at))
        severity = finding.severity or self.severity
        blocks = self.blocks and severity == "error" if finding.blocks is None else finding.blocks
        return Failure(self.name, severity, finding.message, finding.fix or self.fix, where, blocks)


CHECKS: dict[str, Check] = {}


def check(
    *, fix: str, at: str = "", severity: str = "error", after: str = "", quick: bool = True, blocks: bool = False
) -> Callable[[Judge], Judge]:
    """Registers the decorated function as a check; `after` holds names, separated by blanks."""

    def register(function: Judge) -> Judge:
        name, doc = getattr(function, "__name__", ""), inspect.getdoc(function) or ""
        CHECKS[name] = Check(name, doc, function, severity, fix, at, tuple(after.split()), quick, blocks)
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
    names = [*results] if ANY in check.after else check.after
    for name in names:
        _judge(CHECKS[name], record, results)
        if any(failure.severity == "error" for failure in results[name] if isinstance(failure, Failure)):
            results[check.name] = f"see {name}"
            return
    failures: list[Failure] = []
    results[check.name] = failures
    try:
        for found in check.function(record):
            failures.append(check.failure(found, record))
    except NotJudged as reason:
        if not failures:
            results[check.name] = str(reason)
    except Exception as error:
        if not failures:
            results[check.name] = f"the check itself failed: {described(error)} at {_line(error)}"


def _line(error: BaseException) -> Any:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return raised(error) if frame is None else f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
