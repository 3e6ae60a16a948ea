"""Asks a checker about one environment, in a process of its own, and judges what it says."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 180
ASK = Path(__file__).with_name("ask_checker.py")
QUIET = {"SDL_VIDEODRIVER": "offscreen,dummy", "SDL_AUDIODRIVER": "dummy", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
OF_THE_MACHINE = "render_possible_here"  # a finding that the machine can't draw, which is no word on the environment
RANKS = ("caught", "unclear", "missed", "accused", "warned", "clean")  # of several checkers, the first counts


class Verdict(NamedTuple):
    """The messages of one checker on one environment; None instead of the errors if it gave no answer."""

    errors: list[str] | None
    warnings: list[str]

    @property
    def said(self) -> list[str]:
        """All messages, the errors first."""
        return [*(["no answer"] if self.errors is None else self.errors), *self.warnings]


Asker = Callable[[str, Any], Verdict]  # of a target and a config; a file's class is written file.py:attr


def last_json(command: list[str], folder: Path, paths: Collection[str]) -> dict[str, Any] | None:
    """Runs a command in a folder and reads the last line of its output that is JSON."""
    environment = {**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(os.path.abspath(path or ".") for path in paths)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return None


def theirs(name: str, python: str, folder: Path, paths: Collection[str]) -> Asker:
    """Returns a function that asks another library's checker."""

    def ask(target: str, config: Any) -> Verdict:
        place = re.sub(r"\.py:\w+$", ".py", target)
        commands = [[python, str(ASK), checker, place, json.dumps(config)] for checker in (name, f"blind_{name}")]
        answer = last_json(commands[0], folder, paths)
        if answer is None and name == "gymnasium" and not place.endswith(".py"):
            answer = last_json(commands[1], folder, paths)  # without OpenGL, MuJoCo ends the process that renders
        return Verdict(None, []) if answer is None else Verdict(answer["errors"], answer["warnings"])

    return ask


def ours(package: str, python: str, folder: Path, paths: Collection[str]) -> Asker:
    """Returns a function that asks the generated project's `check`."""

    def ask(target: str, config: Any) -> Verdict:
        command = [python, "-m", f"{package}.check", target, "--config", json.dumps(config), "--json"]
        answer = last_json(command, folder, paths)
        if answer is None:
            return Verdict(None, [])
        texts: dict[str, list[str]] = {"error": [], "warning": []}
        for failure in answer["failures"]:
            if failure["check"] != OF_THE_MACHINE:
                texts[failure["severity"]].append(f"{failure['check']} {failure['message']} {failure['fix']}")
        return Verdict(texts["error"], texts["warning"])

    return ask


def of_correct(verdict: Verdict) -> str:
    """Returns what a checker makes of a correct environment: an error or no answer accuses it."""
    return "accused" if verdict.errors is None or verdict.errors else "warned" if verdict.warnings else "clean"


def of_broken(verdict: Verdict, expect: str, control: Verdict | None = None) -> str:
    """Returns what a checker makes of a mistake; what it says of the unbroken environment as well doesn't count.

    It is caught when a message (error, warning or exception) matches `expect`, unclear when none of them does, and missed
    when there is none.
    """
    known = {_without_numbers(text) for text in control.said} if control is not None else set()
    texts = [text for text in verdict.said if _without_numbers(text) not in known]
    if any(re.search(expect, text, re.IGNORECASE) for text in texts):
        return "caught"
    return "unclear" if texts else "missed"


def _without_numbers(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+|[\d.]+(e-?\d+)?", "#", text)
