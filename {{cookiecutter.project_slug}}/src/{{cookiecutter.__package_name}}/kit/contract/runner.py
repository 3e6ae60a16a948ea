"""Runs the contract: child processes do the work, the parent watches the clock and always gives a report."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .children import POLL_SECONDS, Child
from .locations import shorten
from .outside import Outcome
from .registry import CHECKS, Failure, NotJudged, Report
from .targets import TargetError

TOTAL_SECONDS = 30.0
QUICK_TOTAL_SECONDS = 10.0
HANG_SECONDS = 5.0
QUICK_HANG_SECONDS = 3.0
HASH_SEEDS = (1,)
MORE_HASH_SEEDS = (2, 3, 4, 5, 6, 7)  # Where the source uses sets: small ones often keep their order.
RESTARTS = 3


class _Run:
    """One run of the contract: its children and what they have told so far."""

    def __init__(self, folder: Path, target: str, config: dict[str, Any], quick: bool) -> None:
        self.folder = folder
        self.request = {"target": _absolute(target), "config": config, "quick": quick, "replica": 0}
        self.quick = quick
        self.deadline = time.monotonic() + (QUICK_TOTAL_SECONDS if quick else TOTAL_SECONDS)
        self.outcome = Outcome()
        self.findings: dict[str, list[list[Any]]] = {}
        self.skipped: dict[str, str] = {}
        self.count = 0

    def child(self, hash_seed: int = 0, **changes: Any) -> Child:
        """Starts a child; replicas get an empty working directory."""
        self.count += 1
        folder = self.folder / str(self.count)
        request = {"cap": None, "skip": [], **self.request, **changes}
        cwd = Path.cwd()
        if request["replica"]:
            cwd = self.folder / f"elsewhere{self.count}"
            cwd.mkdir()
        return Child(folder, request, cwd, hash_seed, QUICK_HANG_SECONDS if self.quick else HANG_SECONDS)

    def go(self) -> None:
        """Runs all children to their end."""
        main = self.child()
        replicas = [] if self.quick else [self.child(seed, replica=seed) for seed in HASH_SEEDS]
        try:
            cap: int | None = None
            for attempt in range(RESTARTS + 1):
                self._wait([main])
                self._take(main)
                changes = self._continue(main, cap)
                if changes is None or attempt == RESTARTS or time.monotonic() > self.deadline:
                    break
                cap = changes["cap"]
                main = self.child(**changes)
            if self.outcome.facts.get("order") and not self.quick:
                replicas += [self.child(seed, replica=seed) for seed in MORE_HASH_SEEDS]
            self._wait(replicas)
        finally:
            for child in (main, *replicas):
                child.end()
        self.outcome.replicas = [_facts(child) for child in replicas]

    def _wait(self, children: list[Child]) -> None:
        waiting = list(children)
        while waiting and time.monotonic() < self.deadline:
            waiting = [child for child in waiting if not child.poll()]
            if waiting:
                time.sleep(POLL_SECONDS)
        for child in waiting:
            child.end()

    def _take(self, child: Child) -> None:
        for line in child.lines():
            if "usage" in line:
                raise TargetError(line["usage"])
            if "fact" in line:
                self.outcome.facts.update(line["fact"])
            elif "skipped" in line:
                self.skipped[line["check"]] = line["skipped"]
            elif "findings" in line:
                self.findings[line["check"]] = line["findings"]
        if child.stop is not None:
            self.outcome.stops.append(child.stop)

    def _continue(self, child: Child, cap: int | None) -> dict[str, Any] | None:
        """How the next child shall go on after this one was stopped; None if it need not or cannot."""
        stop = child.stop
        if stop is None or stop.beat.call in ("start", "import", "__init__"):
            return None
        done = [*self.findings, *self.skipped]
        if stop.beat.call == "step":
            return {"cap": min(stop.beat.step - 1, 10**9 if cap is None else cap - 1), "skip": done}
        if stop.beat.call == "reset":
            return {"cap": -1, "skip": done}
        names = [check.name for check in CHECKS.values() if not check.in_parent and check.name not in done]
        return {"cap": cap, "skip": done + names[:1]}

    def report(self, target: str, seconds: float) -> Report:
        """All findings in the order of the checks."""
        self.outcome.failed = {name for name, found in self.findings.items() if any(f[0] == "error" for f in found)}
        for check in CHECKS.values():
            if not check.in_parent or (self.quick and not check.quick):
                continue
            try:
                self.findings[check.name] = [list(finding) for finding in check.function(self.outcome)]
            except NotJudged as reason:
                self.skipped[check.name] = str(reason)
        failures = [
            Failure(name, severity, message, fix, shorten(where))
            for name in CHECKS
            for severity, message, fix, where in self.findings.get(name, [])
        ]
        for name in CHECKS:
            if name not in self.findings and name not in self.skipped:
                self.skipped[name] = (
                    "not part of the quick checks" if self.quick else "the time was up or the environment had ended"
                )
        ok = not any(failure.severity == "error" for failure in failures)
        todo = next((f"{f.where}: {f.message}" for f in failures if f.check == "implemented"), None)
        name = target
        return Report(name, ok, len(self.findings), round(seconds, 3), failures, todo, self.skipped)


def _facts(child: Child) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for line in child.lines():
        facts.update(line.get("fact", {}))
        if "usage" in line:
            facts["trouble"] = {"call": "the import", "text": line["usage"], "where": line["where"]}
    return facts


def _absolute(target: str) -> str:
    """The target with an absolute path, for children that run elsewhere."""
    if target is not None and ":" in target and target.rpartition(":")[0].endswith(".py"):
        place, _, attribute = target.rpartition(":")
        return f"{os.path.abspath(place)}:{attribute}"
    return target


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="checks-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_checks(target: str, config: dict[str, Any] | None = None, *, quick: bool = False) -> Report:
    """Runs the contract on an environment in a child process; always returns, whatever the environment does.

    Args:
        target: "module:attr" or "file.py:attr", a class or a creator; None means this project's `make_env`.
        config: The environment's config.
        quick: Only the checks that fit into the first second of `train`.

    Returns:
        The report. Its `todo` is set as long as `reset` or `step` are still to be written.

    Raises:
        TargetError: If there is no such target, or importing it raises.
    """
    started = time.perf_counter()
    try:
        json.dumps(config)
    except (TypeError, ValueError) as problem:
        raise TargetError(f"the config must hold what JSON can hold: {problem}") from problem
    with _folder() as folder:
        run = _Run(folder, target, dict(config or {}), quick)
        run.go()
        return run.report(target, time.perf_counter() - started)
