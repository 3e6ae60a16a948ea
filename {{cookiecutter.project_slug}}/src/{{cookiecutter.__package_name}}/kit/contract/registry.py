"""What a check is, what it finds, and the ordered registry of all checks."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Failure:
    """One thing that a check found.

    Attributes:
        check: Name of the check.
        severity: "error" for what breaks or silently corrupts training, "warning" for what may be intended.
        message: What was expected and what came, at which step of which episode.
        fix: What to write instead.
        where: "file:line" in the user's code, if there is such a line.
    """

    check: str
    severity: str
    message: str
    fix: str
    where: str | None = None


@dataclass
class Report:
    """What all checks found on one environment."""

    target: str
    ok: bool
    checks_run: int
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    todo: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The object that `check --json` prints."""
        keys = ("target", "ok", "checks_run", "seconds")
        document: dict[str, Any] = {key: getattr(self, key) for key in keys}
        document["failures"] = [asdict(failure) for failure in self.failures]
        return json.dumps(document)


class Finding(NamedTuple):
    """A failure before it carries the name of its check."""

    severity: str
    message: str
    fix: str
    where: str | None = None


Function = Callable[[Any], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A named check.

    Attributes:
        name: The function's name.
        doc: The function's docstring: which mistake it catches and what that mistake does to training.
        function: Takes a `Study` (or an `Outcome`, see `in_parent`) and yields findings.
        quick: Whether it belongs to the checks that fit into the first second of `train`.
        in_parent: Whether it judges the processes from outside instead of the environment from inside.
    """

    name: str
    doc: str
    function: Function
    quick: bool
    in_parent: bool


CHECKS: dict[str, Check] = {}


def order(modules: Iterable[Any]) -> None:
    """Puts the registry into the order of these modules, which is the order of running and reporting."""
    names = [module.__name__ for module in modules]
    ordered = sorted(CHECKS.values(), key=lambda entry: names.index(getattr(entry.function, "__module__", "")))
    CHECKS.clear()
    CHECKS.update({entry.name: entry for entry in ordered})


class NotJudged(Exception):
    """Raised where a check has nothing to look at; its text says why."""


def check(*, quick: bool = True, in_parent: bool = False) -> Callable[[Function], Function]:
    """Registers the decorated function as a check."""

    def register(function: Function) -> Function:
        name = getattr(function, "__name__", "")
        CHECKS[name] = Check(name, inspect.getdoc(function) or "", function, quick, in_parent)
        return function

    return register


def error(message: str, fix: str, where: str | None = None) -> Finding:
    """A finding that breaks or silently corrupts training."""
    return Finding("error", message, fix, where)


def warning(message: str, fix: str, where: str | None = None) -> Finding:
    """A finding that may be intended."""
    return Finding("warning", message, fix, where)
