"""Runs the contract: recorders do the work, the parent watches the clock and always gives a report."""

import json
import os
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..ignore import known
from ..judge import Report, judge
from ..manifest import changed_files
from ..record.env_record import EnvRecord
from .child import POLL_SECONDS, Child, Request

# Seconds for everything, and for one call; of the quick checks, of all, and of a thorough look.
QUICK, ALL, THOROUGH = (10.0, 3.0), (60.0, 5.0), (900.0, 30.0)
MORE_HASH_SEEDS = (2, 3, 4, 5, 6, 7)  # where the source uses sets: small ones often keep their order
REPLICA_STEPS = 60
RESTARTS = 3


class _Run:
    """One run of the contract: its recorders, and the record that they have given together."""

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder, self.request = folder, request
        seconds, self.hang_seconds = QUICK if request.quick else THOROUGH if request.thorough else ALL
        self.deadline = time.monotonic() + seconds
        self.record = EnvRecord(quick=request.quick)
        self.children: list[Child] = []

    def start(self, **changes: Any) -> Child:
        """Starts a recorder; replicas get an empty working directory."""
        request = replace(self.request, **changes)
        folder, cwd = self.folder / str(len(self.children)), Path(request.home)
        if request.replica:
            cwd = self.folder / f"elsewhere{len(self.children)}"
            cwd.mkdir()
        self.children.append(Child(folder, request, cwd, self.hang_seconds))
        return self.children[-1]

    def go(self) -> EnvRecord:
        """Runs all recorders to their end."""
        try:
            main = self.start()
            is_alone = self.request.quick or self.request.only_one
            replicas = [] if is_alone else [self.start(replica=1, cap=REPLICA_STEPS, renders=True)]
            self._run_main(main)
            if self.request.only_one and not self.request.quick:
                replicas = [self.start(replica=1, cap=REPLICA_STEPS, renders=True)]
            elif not self.request.quick and self.record.has("about") and self.record.about.uses_order:
                replicas += [self.start(replica=seed, cap=REPLICA_STEPS) for seed in MORE_HASH_SEEDS]
            self._wait(replicas)
            if replicas and replicas[0].stop is not None and self.record.cap is not None:
                replicas[0] = self.start(replica=1, cap=min(REPLICA_STEPS, self.record.cap), renders=True)
                self._wait(replicas[:1])
        finally:
            for child in self.children:
                child.end()
        if replicas:
            self.record.replicas = [child.record() for child in replicas]
            first, stop = vars(self.record.replicas[0]), replicas[0].stop
            vars(self.record).update({name: first[name] for name in ("rendered", "draws") if name in first})
            self.record.render_stop = stop if stop is not None and stop.call == "render" else None
        return self.record

    def _run_main(self, child: Child) -> None:
        """Runs the main recorder, again with shorter episodes or without a probe where one ended or hung."""
        cap: int | None = None
        without: tuple[str, ...] = ()
        for _ in range(RESTARTS + 1):
            self._wait([child])
            record, stop = child.record(), child.stop
            record.late = time.monotonic() > self.deadline
            if record.has("usage"):
                raise UsageError(record.usage[0])
            # what an earlier recorder has written, and this one has not, still stands
            vars(self.record).update(vars(record), stops=[*self.record.stops, *([stop] if stop is not None else [])])
            if stop is None or stop.call in ("start", "import", "__init__") or time.monotonic() > self.deadline:
                return
            if stop.probe == "episodes" and stop.call == "step":
                cap = min(stop.step - 1, 10**9 if cap is None else cap - 1)
            else:
                without += ("close", "closing") if stop.call == "close" else (stop.probe,)
            child = self.start(cap=cap, without=without)

    def _wait(self, children: list[Child]) -> None:
        while (children := [child for child in children if not child.poll()]) and time.monotonic() < self.deadline:
            time.sleep(POLL_SECONDS)
        for child in children:
            child.end()


def _request(target: str, config: Mapping[str, Any] | None, **how: Any) -> Request:
    """Returns what the recorders shall do; raises UsageError where the config can't be sent to them."""
    try:
        json.dumps(config)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the config must hold what JSON can hold: {error}") from error
    place, _, attribute = target.rpartition(":")
    found_anywhere = f"{os.path.abspath(place)}:{attribute}" if place.endswith(".py") else target
    return Request(found_anywhere, dict(config or {}), home=os.getcwd(), **how)


def run_checks(
    target: str,
    config: Mapping[str, Any] | None = None,
    *,
    quick: bool = False,
    thorough: bool = False,
    ignore: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    only_one: bool = False,
) -> Report:
    """Runs the contract on an environment in processes of its own; always returns, whatever the environment does.

    Args:
        target: "module:attr" or "file.py:attr", a class or a creator.
        config: The environment's config.
        quick: Only the checks that fit into the first second of `train`.
        thorough: All that is cut for time otherwise, for up to a quarter of an hour.
        ignore: Checks whose findings do not count, and why.
        only: The checks that are judged; all, where there is none.
        only_one: No two copies may be open at once; what needs them is not judged.

    Returns:
        The report. Its `todo` is set as long as `reset` or `step` are still to be written.

    Raises:
        UsageError: If there is no such target, importing it raises, or `ignore` or `only` names no check.
        RunError: If no process can be started.
    """
    started = time.perf_counter()
    ignored = {known(name): reason for name, reason in (ignore or {}).items()}
    wanted = {known(name) for name in only}
    request = _request(target, config, quick=quick, thorough=thorough, only_one=only_one)
    with tempfile.TemporaryDirectory(prefix="checks-", ignore_cleanup_errors=True) as folder:
        record = _Run(Path(folder), request).go()
    if target.startswith(f"{__name__.partition('.kit.')[0]}.") and not quick:
        record.changed_kit_files = changed_files()
    else:
        record.missing["changed_kit_files"] = "this is another package's environment"
    results = {name: result for name, result in judge(record).items() if name in wanted or not wanted}
    return Report.of(target, results, ignored, round(time.perf_counter() - started, 3))
