"""Compares environment checkers on a folder of broken and correct environments.

python benchmarks/checkers.py CORPUS PACKAGE [--python PYTHON] [--only PATTERN] [-v]

CORPUS holds `bugs/*.py` and `good/*.py`. Each file has `Env` (or `creator`) and `CONFIG`; the broken ones also have
`EXPECT`, a pattern that a message must match to name the fault. Every environment is checked in a process of its own.
A fault is caught when a message of the checker (error, warning or exception) matches, unclear when there is one but
none matches, missed when there is none. A correct environment must give no error. Every
checker gets the environment made from its config, or, if it takes none, without.

Gymnasium's and Stable-Baselines3's `check_env` are run where PYTHON has them; PACKAGE is a generated project.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 60
THEIRS = """
import importlib.util, json, logging, sys, warnings
spec = importlib.util.spec_from_file_location("target", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["target"] = module
texts, errors = [], []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        spec.loader.exec_module(module)
        if sys.argv[1] == "gymnasium":
            from gymnasium.utils.env_checker import check_env
        else:
            from stable_baselines3.common.env_checker import check_env
        maker = getattr(module, "creator", None) or module.Env
        try:
            env = maker(module.CONFIG)
        except TypeError:
            env = maker()
        if sys.argv[1] == "gymnasium":
            check_env(env)
        else:
            check_env(env, warn=True, skip_render_check=False)
    except BaseException as problem:
        errors.append(f"{type(problem).__name__}: {problem}")
texts = [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]
sys.__stdout__.write("\\n" + json.dumps({"errors": errors, "warnings": texts}) + "\\n")
"""


class Verdict(NamedTuple):
    """The messages of one checker on one environment; None instead of them if it gave no answer."""

    errors: list[str] | None
    warnings: list[str]


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("package", help="import name of a generated project")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the checkers")
    parser.add_argument("--only", default="*", help="pattern of file names")
    parser.add_argument("-v", action="store_true", help="print the verdict on each environment")
    return parser.parse_args()


def load(path: Path) -> Any:
    """The module of one environment, for its constants."""
    spec = importlib.util.spec_from_file_location(f"corpus_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_json(command: list[str], folder: Path) -> dict[str, Any] | None:
    """Runs a command in a folder and reads the last line of its output that is JSON."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path or ".") for path in sys.path)}
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


def theirs(name: str, python: str) -> Callable[[Path, Any], Verdict]:
    """A function that asks another library's `check_env`."""

    def ask(path: Path, module: Any) -> Verdict:
        answer = last_json([python, "-c", THEIRS, name, str(path)], path.parent)
        return Verdict(None, []) if answer is None else Verdict(answer["errors"], answer["warnings"])

    return ask


def ours(package: str, python: str) -> Callable[[Path, Any], Verdict]:
    """A function that asks the generated project's `check`."""

    def ask(path: Path, module: Any) -> Verdict:
        attribute = "creator" if hasattr(module, "creator") else "Env"
        config = json.dumps(module.CONFIG)
        command = [python, "-m", f"{package}.check", f"{path}:{attribute}", "--config", config, "--json"]
        answer = last_json(command, path.parent)
        if answer is None:
            return Verdict(None, [])
        texts: dict[str, list[str]] = {"error": [], "warning": []}
        for failure in answer["failures"]:
            texts[failure["severity"]].append(f"{failure['check']} {failure['message']} {failure['fix']}")
        return Verdict(texts["error"], texts["warning"])

    return ask


def judge(verdict: Verdict, expect: str | None) -> str:
    """The outcome of one checker on one environment, by the rule in the module's docstring."""
    if expect is None:
        return "false alarm" if verdict.errors is None or verdict.errors else "warned" if verdict.warnings else "clean"
    texts = (verdict.errors or []) + verdict.warnings
    if any(re.search(expect, text, re.IGNORECASE) for text in texts):
        return "caught"
    return "unclear" if texts or verdict.errors is None else "missed"


def version(name: str) -> str:
    """An installed version."""
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


def main() -> int:
    """Prints one line for each checker."""
    options = parse()
    checkers = {
        "Gymnasium check_env": theirs("gymnasium", options.python),
        "Stable-Baselines3 check_env": theirs("stable_baselines3", options.python),
        "all of theirs together": None,
        "this template's check": ours(options.package, options.python),
    }
    counts: dict[str, Counter[str]] = {name: Counter() for name in checkers}
    corpus = options.corpus.resolve()
    paths = [path for kind in ("bugs", "good") for path in sorted((corpus / kind).glob("*.py"))]
    for path in (path for path in paths if fnmatch.fnmatch(path.stem, options.only)):
        os.chdir(path.parent)
        module = load(path)
        expect = getattr(module, "EXPECT", None)
        outcomes = {name: judge(ask(path, module), expect) for name, ask in checkers.items() if ask is not None}
        ranks = ("caught", "unclear", "missed", "false alarm", "warned", "clean")
        both = [outcome for name, outcome in outcomes.items() if "template" not in name]
        outcomes["all of theirs together"] = min(both, key=ranks.index)
        for name, outcome in outcomes.items():
            counts[name][outcome] += 1
        if options.v:
            print(f"{path.stem:36} {outcomes}", flush=True)
    names = ("numpy", "gymnasium", "stable_baselines3")
    print(f"Python {platform.python_version()}, {', '.join(map(version, names))}, {os.cpu_count()} cores")
    print("| checker | caught | unclear | missed | correct, no error | of these warned |\n|---|---|---|---|---|---|")
    for name, count in counts.items():
        bugs = count["caught"] + count["unclear"] + count["missed"]
        good = count["clean"] + count["warned"] + count["false alarm"]
        print(
            f"| {name} | {count['caught']} of {bugs} | {count['unclear']} | {count['missed']} | "
            f"{count['clean'] + count['warned']} of {good} | {count['warned']} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
