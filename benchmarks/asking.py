"""Asks a checker about one environment, in a process of its own, and judges what it says."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 600
ASK = Path(__file__).with_name("ask_checker.py")
QUIET = {"SDL_VIDEODRIVER": "offscreen,dummy", "SDL_AUDIODRIVER": "dummy", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
OF_THE_MACHINE = "render_possible_here"  # a finding that the machine can't draw, which is no word on the environment
THEIRS = {"gymnasium": "Gymnasium `check_env`", "stable_baselines3": "Stable-Baselines3 `check_env`"}
BOTH, ZOO, OURS = "both together", "PettingZoo's tests", "`check` of this template"
RANKS = ("caught", "unclear", "missed", "accused", "warned", "clean")  # of several checkers, the first counts


class Verdict(NamedTuple):
    """The messages of one checker on one environment; None instead of the errors if it gave no answer."""

    errors: list[str] | None
    warnings: list[str]

    @property
    def said(self) -> list[str]:
        """All messages, the errors first."""
        return [*(["no answer"] if self.errors is None else self.errors), *self.warnings]


# Of a target, a config and the folder to work in; a class in a file is written file.py:attr.
Asker = Callable[[str, Any, Path], Verdict]


def variables(paths: Collection[str]) -> dict[str, str]:
    """Returns the environment variables of a checker's process."""
    return {**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(os.path.abspath(path or ".") for path in paths)}


def theirs(name: str, python: str, paths: Collection[str]) -> Asker:
    """Returns a function that asks another library's checker."""

    @cache
    def server(checker: str) -> Any:
        command = [python, str(ASK), checker, str(TIMEOUT_SECONDS)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=variables(paths), text=True, **pipes)

    def answer(checker: str, *request: Any) -> dict[str, Any] | None:
        server(checker).stdin.write(json.dumps(request) + "\n")
        server(checker).stdin.flush()
        lines = list(iter(server(checker).stdout.readline, ".\n"))
        return next((json.loads(line) for line in reversed(lines) if line.startswith("{")), None)

    def ask(target: str, config: Any, folder: Path) -> Verdict:
        place = re.sub(r"\.py:\w+$", ".py", target)
        found = answer(name, str(folder), place, config)
        if found is None and name == "gymnasium" and not place.endswith(".py"):
            found = answer(
                f"blind_{name}", str(folder), place, config
            )  # without OpenGL, MuJoCo ends the process that renders
        return Verdict(None, []) if found is None else Verdict(found["errors"], found["warnings"])

    return ask


def ours(package: str, python: str, paths: Collection[str]) -> Asker:
    """Returns a function that asks the generated project's `check`."""

    def ask(target: str, config: Any, folder: Path) -> Verdict:
        command = [python, "-m", f"{package}.check", target, "--config", json.dumps(config), "--json"]
        how: dict[str, Any] = {"cwd": folder, "env": variables(paths), "timeout": TIMEOUT_SECONDS}
        try:
            answer = json.loads(subprocess.run(command, capture_output=True, text=True, **how).stdout)
        except (subprocess.TimeoutExpired, ValueError):
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


def with_both(outcomes: dict[str, str]) -> dict[str, str]:
    """Returns the outcomes of all checkers, with that of Gymnasium's and Stable-Baselines3's together before ours."""
    both = [outcomes[name] for name in THEIRS.values() if name in outcomes]
    first = {name: outcome for name, outcome in outcomes.items() if name != OURS}
    return {**first, **({BOTH: min(both, key=RANKS.index)} if both else {}), OURS: outcomes[OURS]}
