"""Compares environment checkers on correct environments and on broken ones, each in a process of its own.

python benchmarks/checkers.py                                   # environments that anyone can install, and mutants of five
python benchmarks/checkers.py FOLDER [PACKAGE] [--python PYTHON] [--only PATTERN] [-v]    # a collection of your own

Without FOLDER the environments are those of `installable.py`: with them, MuJoCo, MiniGrid, highway-env, MinAtar, ALE and
PettingZoo must be installed. It runs what is missing in results/checkers.json (`--again PATTERN`: what is to be run once
more), and prints the README's tables; `--table` prints them only. FOLDER holds `bugs/*.py` and `good/*.py`. Each file has
`Env` (or `creator`) and `CONFIG`; the broken ones also have `EXPECT`, a pattern that a message must match to name the fault.

A mistake is caught when a message of the checker (error, warning or exception) matches its pattern, unclear when there is
one but none matches, missed when there is none. A correct environment is accused by an error. Gymnasium's and
Stable-Baselines3's `check_env`, and PettingZoo's tests, are run where PYTHON has them; PACKAGE is the import name of a
generated project, of which one is baked otherwise. No display is needed: what can't be drawn isn't counted for anyone.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import os
import platform
import sys
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import checker_tables
import results
from asking import OURS, THEIRS, ZOO, Asker, Verdict, of_broken, of_correct, ours, theirs, with_both

KEPT = results.RESULTS / "checkers.json"
VERSIONS = (
    "gymnasium", "stable_baselines3", "pettingzoo", "numpy", "minigrid", "highway-env", "MinAtar", "ale-py", "mujoco",
)  # fmt: skip


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a collection of your own")
    parser.add_argument("package", nargs="?", help="import name of a generated project (default: one is baked)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the checkers")
    parser.add_argument("--only", default="*", help="pattern of the environments' names")
    parser.add_argument("--again", default="", help="pattern of those to be run once more")
    parser.add_argument("--table", action="store_true", help="print the tables of what there is, and run nothing")
    parser.add_argument("-v", action="store_true", help="print the verdict on each environment")
    return parser.parse_args()


def askers(python: str, package: str, paths: list[str]) -> dict[str, Asker]:
    """Returns all checkers by name."""
    others = {name: theirs(module, python, paths) for module, name in THEIRS.items()}
    return {**others, OURS: ours(package, python, paths)}


def run_folder(options: argparse.Namespace, package: str, paths: list[str]) -> None:
    """Prints what each checker says of a collection: one line each."""
    counts: dict[str, Counter[str]] = {}
    corpus, checkers = options.folder.resolve(), askers(options.python, package, paths)
    files = [path for kind in ("bugs", "good") for path in sorted((corpus / kind).glob("*.py"))]
    for path in (path for path in files if fnmatch.fnmatch(path.stem, options.only)):
        os.chdir(path.parent)
        module = load(path)
        expect, target = getattr(module, "EXPECT", None), f"{path}:{'creator' if hasattr(module, 'creator') else 'Env'}"
        outcomes = {}
        for name, ask in checkers.items():
            verdict = ask(target, module.CONFIG, path.parent)
            outcomes[name] = of_correct(verdict) if expect is None else of_broken(verdict, expect)
        for name, outcome in with_both(outcomes).items():
            counts.setdefault(name, Counter())[outcome] += 1
        if options.v:
            print(f"{path.stem:36} {outcomes}", flush=True)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", *THEIRS))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores")
    print(checker_tables.collection(counts))


def load(path: Path) -> Any:
    """Returns the module of one environment, for its constants."""
    spec = importlib.util.spec_from_file_location(f"corpus_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_installable(options: argparse.Namespace, package: str, paths: list[str]) -> None:
    """Asks all checkers about what can be installed, as far as it isn't done."""
    from installable import INSTALLABLE  # late: it needs what a collection of one's own doesn't

    kept = [one for one in results.load(KEPT) if not fnmatch.fnmatch(one["environment"], options.again)]
    done = {one["environment"] for one in kept}
    wanted = [one for one in INSTALLABLE if fnmatch.fnmatch(one.target, options.only) and one.target not in done]
    around = results.circumstances(*VERSIONS)
    controls: dict[tuple[str, str], Verdict] = {}
    checkers = askers(options.python, package, paths)
    zoo = {ZOO: theirs("pettingzoo", options.python, paths), OURS: in_project(checkers[OURS], package)}
    for one in wanted:
        asked = zoo if one.library == "PettingZoo" else checkers
        outcomes = {name: look(one, name, ask, controls) for name, ask in asked.items()}
        if options.v:
            print(f"{one.target:44} {[each['outcome'] for each in outcomes.values()]}", flush=True)
        about = {"library": one.library, "environment": one.target, "mistake": one.mistake}
        kept.append({**about, "checkers": outcomes, **around})
        results.save(KEPT, kept)


def look(one: Any, name: str, ask: Asker, controls: dict[tuple[str, str], Verdict]) -> dict[str, Any]:
    """Returns what a checker makes of an environment, and the first of what it says; controls are asked once each."""
    with tempfile.TemporaryDirectory() as folder:  # MuJoCo writes its log where it is
        verdict = ask(one.target, {}, Path(folder))
        if one.mistake is None:
            outcome = of_correct(verdict)
        else:
            if (one.control, name) not in controls:
                controls[one.control, name] = ask(one.control, {}, Path(folder))
            outcome = of_broken(verdict, one.expect, controls[one.control, name])
    return {"outcome": outcome, "says": [text[:200] for text in verdict.said[:3]]}


def in_project(ask: Asker, package: str) -> Asker:
    """Returns a function that has a project's `check` look at an environment of PettingZoo, taken in as the docs say."""

    def wrapped(target: str, config: Any, folder: Path) -> Verdict:
        lines = [
            f"from {package}.kit.multi_agent.pettingzoo import FromPettingZoo",
            f"from {target} import parallel_env",
        ]
        lines += ["class Env(FromPettingZoo):", "    make = parallel_env"]
        path = folder / "taken_in.py"
        path.write_text("\n".join(lines), encoding="utf-8")
        return ask(f"{path}:Env", config, folder)

    return wrapped


def main() -> int:
    """Runs what is asked for, and prints the tables."""
    options = parse()
    if options.folder is None and options.table:
        print(checker_tables.tables(results.load(KEPT)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        paths = list(sys.path)
        if options.package is None:
            from tasks import bake_project

            project = bake_project(Path(folder), project_name="Checked Task")
            options.package, paths = project.package, [*paths, str(project.path / "src")]
        if options.folder is not None:
            run_folder(options, options.package, paths)
            return 0
        run_installable(options, options.package, paths)
    print(checker_tables.tables(results.load(KEPT)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
