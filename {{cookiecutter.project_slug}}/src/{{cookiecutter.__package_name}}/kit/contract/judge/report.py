"""What the checks found: failures and the report of all."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Failure:
    """One thing that a check found."""

    check: str
    severity: str  # "error" for what breaks or silently corrupts training, "warning" for what may be intended
    message: str  # what was expected and what came, at which step of which episode
    fix: str  # what to write instead
    where: str | None = None  # "file:line" in the user's code, if there is such a line
    blocks_training: bool = False  # training is impossible or meaningless with it, beyond doubt


@dataclass
class Report:
    """What all checks found on one environment."""

    target: str
    ok: bool
    checks_run: int
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    todo: str | None = None  # where `reset` or `step` is still to be written
    skipped: dict[str, str] = field(default_factory=dict)  # checks that had nothing to look at, and why
    ignored: dict[str, str] = field(default_factory=dict)  # checks that do not count, and why

    @classmethod
    def of(
        cls, target: str, results: Mapping[str, list[Failure] | str], ignored: Mapping[str, str], seconds: float
    ) -> "Report":
        """Returns the report of what each check found, or of why it had nothing to look at."""
        counted = {name: result for name, result in results.items() if name not in ignored}
        failures = [failure for result in counted.values() if isinstance(result, list) for failure in result]
        skipped = {name: result for name, result in counted.items() if isinstance(result, str)}
        ok = not any(failure.severity == "error" for failure in failures)
        todo = next((f"{f.where}: {f.message}" for f in failures if f.check == "implemented"), None)
        return cls(target, ok, len(counted) - len(skipped), seconds, failures, todo, skipped, dict(ignored))

    @property
    def blocking(self) -> list[Failure]:
        """The failures that end `train`."""
        return [failure for failure in self.failures if failure.blocks_training]

    def to_json(self) -> str:
        """Returns the object that `check --json` prints."""
        keys = ("target", "ok", "checks_run", "seconds")
        document: dict[str, Any] = {key: getattr(self, key) for key in keys}
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
