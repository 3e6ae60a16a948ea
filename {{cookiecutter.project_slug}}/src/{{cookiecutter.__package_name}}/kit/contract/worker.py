"""The child process: runs the checks on one environment and writes what they find, line by line, into a file."""

from __future__ import annotations

import ast
import faulthandler
import inspect
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ..spaces.membership import short
from . import CHECKS
from .locations import described, of_user, raised, unwrapped
from .policies import RANDOM, must_be_sampled
from .pulse import Pulse
from .recording import Episode, moves
from .registry import Check, Finding, NotJudged, error
from .study import Study
from .surroundings import Events, predictable_entropy, seed_global
from .targets import TargetError, load
from .values import digest

TRACE_STEPS = 60
REPLICA_SECONDS = 4.0


def main(folder: Path) -> None:
    """Does what `request.json` in the folder asks for."""
    request = json.loads((folder / "request.json").read_text())
    results = (folder / "results.jsonl").open("a")

    def write(**line: Any) -> None:
        results.write(json.dumps(line) + "\n")
        results.flush()

    pulse = Pulse(folder / "pulse")
    _isolate(folder)
    events = Events()
    events.install()
    seed_global(request["replica"])
    predictable_entropy(request["replica"])
    pulse.call("import")
    try:
        maker = load(request["target"])
    except TargetError as problem:
        cause = problem.__cause__
        write(usage=str(problem), where=raised(cause) if cause is not None else None)
        return
    study = Study(maker, request["config"], pulse, events, request["quick"], request["cap"])
    (_replicate if request["replica"] else _run)(study, request, write)
    write(done=True)


def _isolate(folder: Path) -> None:
    """Keeps prints, tracebacks and questions of the environment away from the parent's terminal."""
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    silence = os.open(os.devnull, os.O_RDONLY)
    os.dup2(silence, 0)
    os.close(silence)
    stack = (folder / "stack.txt").open("a")
    faulthandler.enable(stack)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, stack, all_threads=False)


def _run(study: Study, request: dict[str, Any], write: Any) -> None:
    for check in CHECKS.values():
        if check.in_parent or check.name in request["skip"] or (request["quick"] and not check.quick):
            continue
        study.pulse.context(check.name)
        start = time.perf_counter()
        findings, reason = _judge(check, study)
        study.failed.update(check.name for finding in findings if finding.severity == "error")
        line = {"skipped": reason} if reason else {"findings": [list(finding) for finding in findings]}
        write(check=check.name, seconds=time.perf_counter() - start, **line)
        if "built" in vars(study) and not study.facts_written:
            study.facts_written = True
            write(fact=_facts(study))
    if "recorded" in vars(study) and study.recorded.episodes[0].has_reset:
        write(fact={"trace": trace(study.recorded.episodes[0])})


def _judge(check: Check, study: Study) -> tuple[list[Finding], str | None]:
    """The findings of a check, or why there is nothing to judge; never raises."""
    findings: list[Finding] = []
    try:
        findings.extend(check.function(study))
    except NotJudged as reason:
        return findings, None if findings else str(reason) or "nothing to judge"
    except BaseException as problem:
        where = raised(problem)
        if where is not None and of_user(where.rpartition(":")[0]):
            text = f"the environment raises {described(problem)} where nothing may raise ({check.name} looked at it)"
            findings.append(error(text, "the exception tells the line", where))
        elif not findings:
            return [], f"the check itself failed: {described(problem)} at {where}"
    return findings, None


def _facts(study: Study) -> dict[str, Any]:
    facts: dict[str, Any] = {"built": True, "order": _depends_on_order(study)}
    for call in ("reset", "step", "render", "close", "__init__"):
        facts[f"where {call}"] = study.where(call)
    return facts


def _depends_on_order(study: Study) -> bool:
    """Whether the user's source uses sets or hashes, whose order changes from process to process."""
    for owner in type(unwrapped(study.env)).__mro__[:-1]:
        module = sys.modules.get(owner.__module__)
        if not of_user(getattr(module, "__file__", None) or "<none>"):
            continue
        try:
            tree = ast.parse(inspect.getsource(sys.modules[owner.__module__]))
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(tree):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Set | ast.SetComp) or name in ("set", "frozenset", "hash", "id"):
                return True
    return False


def trace(episode: Episode) -> list[tuple[int, str]]:
    """Checksum and text of each step, to compare with those of other processes."""
    rows = [(digest(episode.obs), short(episode.obs, 60))]
    for step in episode.steps[:TRACE_STEPS]:
        values = (step.obs, step.reward, step.terminated, step.truncated)
        rows.append((digest(values), short(values, 60)))
    return rows


def _replicate(study: Study, request: dict[str, Any], write: Any) -> None:
    """Plays the first episode once more, here in another process."""
    try:
        env = study.env
    except NotJudged:
        trouble = study.context.trouble
        if trouble is not None:
            write(fact={"trouble": {"call": "the constructor", "text": trouble.text, "where": trouble.where}})
        return
    try:
        must_be_sampled(study.space("action_space"))
        chooser = RANDOM.chooser(study.space("action_space"), 0)
    except NotJudged:
        return
    episode = Episode(1, RANDOM, 0, fresh=True)
    cap = TRACE_STEPS if request["cap"] is None else min(request["cap"], TRACE_STEPS)
    deadline = time.monotonic() + REPLICA_SECONDS
    for _ in moves(env, episode, chooser, cap, study.pulse):
        if time.monotonic() > deadline:
            break
    trouble = episode.trouble
    if trouble is not None and trouble.step <= 1:
        write(fact={"trouble": {"call": f"{trouble.call}()", "text": trouble.text, "where": trouble.where}})
    if episode.has_reset:
        write(fact={"trace": trace(episode)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # Threads and exit handlers of the environment shall not keep the process alive.
