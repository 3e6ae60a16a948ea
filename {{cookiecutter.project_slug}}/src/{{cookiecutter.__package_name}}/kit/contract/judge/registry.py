"""What a check is, how all of them look at a record, and the report of what they found."""

import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

from ..record.env_record import EnvRecord
from ..record.locations import described, shorten
from ..record.model import NotJudged

ANY = "any"  # in `after`: every check before this one
# In `several`: at the whole record, at each agent's part of it, likewise but only what all agents have in common counts,
# at the whole with the flags of `__all__`, not at all, or at such environments only.
WHOLE, EACH, ALL_ALIKE, TEAM, NEVER, ONLY = "whole", "each", "all alike", "team", "never", "only"


@dataclass(frozen=True)
class Failure:
    """One thing that a check found."""

    check: str
    severity: str  # "error" for what breaks or silently corrupts training, "warning" for what may be intended
    message: str  # what was expected and what came, at which step of which episode
    fix: str  # what to write instead
    where: str | None = None  # "file:line" in the user's code, if there is such a line
    blocks_training: bool = False  # training is impossible or meaningless with it, beyond doubt


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
Results = dict[str, list[Failure] | str]  # by check: what it found, or why it had nothing to look at


class Check(NamedTuple):
    """A named check: the function, and what `@check` declares of it."""

    function: Judge  # its docstring says which mistake it catches, and what that does to training
    fix: str  # what to write instead
    at: str = ""  # the method of the user's to point at: "__init__", "reset", "step", "render" or "close"
    mild: bool = False  # what it finds may be intended: warnings
    after: str = ""  # checks before this one whose error makes it moot; ANY for all
    blocks: bool = False  # its errors end `train`
    once: bool = False  # its first finding is enough
    several: str = WHOLE  # how it looks at an environment of several agents

    def failure(self, found: str | Finding, record: EnvRecord) -> Failure:
        """Returns what was found, with what the check declares filled in."""
        finding = found if isinstance(found, Finding) else Finding(found)
        where = shorten(finding.where or record.where(finding.at or self.at))
        severity = finding.severity or ("warning" if self.mild else "error")
        blocks = self.blocks and severity == "error" if finding.blocks is None else finding.blocks
        return Failure(self.function.__name__, severity, finding.message, finding.fix or self.fix, where, blocks)


CHECKS: dict[str, Check] = {}
SEVERAL_AGENTS_CHECKS: dict[str, Check] = {}  # what only several agents have


def check(**declared: Any) -> Callable[[Judge], Judge]:
    """Registers the decorated function as a check; `declared` are the fields of `Check`."""

    def register(function: Judge) -> Judge:
        made = Check(function, **declared)
        (SEVERAL_AGENTS_CHECKS if made.several == ONLY else CHECKS)[function.__name__] = made
        return function

    return register


def faults(record: EnvRecord, name: str) -> Findings:
    """Yields a fault of what was returned, see `Episode.faults`, once for each episode that has it."""
    for episode in record.resets:
        if name in episode.faults:
            number, text = episode.faults[name]
            yield Finding(f"{text}, {episode.at(number)}", at="step" if number else "reset")


def look(checks: Mapping[str, Check], record: EnvRecord) -> Results:
    """Returns what each check found, in the order of the checks, or why it had nothing to look at; never raises."""
    results: Results = {}
    for name, check in checks.items():
        for other in results if check.after == ANY else check.after.split():
            if any(failure.severity == "error" for failure in results.get(other, ()) if isinstance(failure, Failure)):
                results[name] = f"see {other}"
                break
        else:
            results[name] = _judge_parts(check, record) if record.several else _judge(check, record)
    return results


def _judge_parts(check: Check, record: EnvRecord) -> list[Failure] | str:
    """Returns what a check found on several agents: of each one's part, the worst, and who else has as much."""
    from ..multi_agent.views import each, team  # late: most environments have one agent

    if check.several not in (EACH, ALL_ALIKE):
        return _judge(check, team(record) if check.several == TEAM else record)
    results = {agent: _judge(check, part) for agent, part in each(record).items()}
    found = {agent: result for agent, result in results.items() if isinstance(result, list) and result}
    judged = [result for result in results.values() if isinstance(result, list)]
    if not judged:
        return next(iter(results.values()), "no agent was observed")
    if not found or (check.several == ALL_ALIKE and len(found) < len(judged)):
        return []
    worst = next((agent for agent in found if any(f.severity == "error" for f in found[agent])), next(iter(found)))
    others = ", ".join(repr(agent) for agent in [agent for agent in found if agent != worst][:3])
    also = f" (also {others}{', …' if len(found) > 4 else ''})" if others else ""
    return [replace(one, message=f"agent {worst!r}{also}: {one.message}") for one in found[worst]]


def _judge(check: Check, record: EnvRecord) -> list[Failure] | str:
    failures: list[Failure] = []
    try:
        for found in islice(check.function(record), 1 if check.once else None):
            failures.append(check.failure(found, record))
    except NotJudged as reason:
        return failures or str(reason)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        return failures or f"the check itself failed: {described(error)} at {line.filename}:{line.lineno}"
    return failures


@dataclass
class Report:
    """What all checks found on one environment."""

    target: str
    ok: bool
    checks_run: int
    seconds: float
    failures: list[Failure]
    todo: str | None  # where `reset` or `step` is still to be written
    skipped: dict[str, str]  # checks that had nothing to look at, and why
    ignored: dict[str, str]  # checks that do not count, and why

    @classmethod
    def of(cls, target: str, results: Results, ignored: Mapping[str, str], seconds: float) -> "Report":
        """Returns the report of what each check found, or of why it had nothing to look at."""
        counted = {name: result for name, result in results.items() if name not in ignored}
        failures = [failure for result in counted.values() if isinstance(result, list) for failure in result]
        skipped = {name: result for name, result in counted.items() if isinstance(result, str)}
        ok = not any(failure.severity == "error" for failure in failures)
        todo = next((f"{f.where}: {f.message}" for f in failures if f.check == "implemented"), None)
        return cls(target, ok, len(counted) - len(skipped), seconds, failures, todo, skipped, dict(ignored))

    @property
    def cut(self) -> list[str]:
        """The checks that a thorough run would judge."""
        return [name for name, reason in self.skipped.items() if reason.startswith(NotJudged.CUT)]

    @property
    def blocking(self) -> list[Failure]:
        """The failures that end `train`."""
        return [failure for failure in self.failures if failure.blocks_training]

    def to_json(self) -> str:
        """Returns the object that `check --json` prints."""
        document = {key: getattr(self, key) for key in ("target", "ok", "checks_run", "seconds", "ignored")}
        document["cut_for_time"] = self.cut
        document["failures"] = [asdict(failure) for failure in self.failures]
        for failure in document["failures"]:
            del failure["blocks_training"]
        return json.dumps(document)


def show(failures: Iterable[Failure], ignored: Mapping[str, str]) -> None:
    """Prints findings for people: the place, the message and the fix, a line each; then what is ignored, and why."""
    for failure in failures:
        print(f"{failure.severity.upper()} {failure.check}{f'  {failure.where}' if failure.where else ''}")
        print(f"  {failure.message}")
        print(f"  Fix: {failure.fix}\n")
    if ignored:
        print(f"{len(ignored)} ignored: {', '.join(f'{name} ({reason})' for name, reason in ignored.items())}")
