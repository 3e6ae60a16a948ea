"""Searches PPO's numbers and the fields of EnvConfig for what learns best."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cli import Parser, finite_number, whole_number
from ..errors import RunError, UsageError
from ..files import write_text
from ..policy.find import RUNS, SWEEP
from ..search.search import Search
from ..search.space import ENV, check_params, parse_params, train_options
from ..search.trainer import Trainer
from ..task import Task
from ..training.interrupt import Interrupt
from ..training.run_folder import lock

EXAMPLE = "--param lr=1e-4..3e-3:log --param env.length=8,16 --trials 20 --seeds 3"


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Searches, says whether the best is better than the defaults, and returns the exit code."""
    options = _parse(task, arguments)
    folder, space = RUNS / options.name, parse_params(options.param)
    if folder.parent != RUNS or (folder.exists() and not (folder / SWEEP).exists()):
        raise UsageError(f"--name {options.name}: {folder} can't be the folder of a search; choose another")
    check_params(task, space)
    checked = task.check(quick=True)
    if checked.todo or checked.blocking:
        raise RunError(checked.todo or "the environment can't be trained; the command `check` says why")
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / SWEEP), Interrupt() as interrupt:
        interrupt.is_patient = True  # the runs end first
        trainer = Trainer(task, folder, options.max_env_steps, interrupt)
        search = Search(trainer, space, options.seeds)
        print(
            f"{folder}: {options.trials} candidates on {options.seeds} seeds, {trainer.cpus.qsize()} at once",
            flush=True,
        )
        try:
            best = search.run(options.trials, options.stop_return)
            print(f"{best['trial']} and the defaults train on {options.seeds} fresh seeds", flush=True)
            is_better = say(best["trial"], search.compare(best))
            settings = {name: best[name] for name in space}
            print(f"table and picture: {folder}\nits options of train: {shlex.join(train_options(settings))}")
            numbers = {name: number for name, number in settings.items() if not name.startswith(ENV)}
            if options.write and is_better and numbers:
                file = sys.modules[task.algorithm.partition(":")[0]].__file__ or ""
                print("\n".join(write_numbers(Path(os.path.relpath(file)), numbers)))
            elif options.write:
                print("there is nothing to write into ppo.py")
        except KeyboardInterrupt:
            print(f"{interrupt.reason}; the same command goes on", flush=True)
    return interrupt.exit_code


def say(name: str, found: Mapping[str, Any]) -> bool:
    """Says whether the best is better than the defaults by more than chance, and returns it."""
    for what, one in (name, found["policy"]), ("defaults", found["defaults"]):
        print(f"{what:10} return {one['mean']:.4g}, 95 % interval {one['interval'][0]:.4g} to {one['interval'][1]:.4g}")
    (low, high), mean = (found["defaults"]["difference"][key] for key in ("interval", "mean"))
    verdict = "better" if low > 0 else "no better"
    print(f"{name} is {verdict} than the defaults: by {mean:.4g}, 95 % interval {low:.4g} to {high:.4g}")
    return bool(low > 0)


def write_numbers(path: Path, numbers: Mapping[str, Any]) -> list[str]:
    """Puts PPO's numbers into lines such as `lr=3e-4,` and `HIDDEN_UNITS = [64]`; returns the lines that have changed.

    Raises:
        UsageError: a number has no line of its own; nothing is written then.
    """
    text = old = path.read_text(encoding="utf-8")
    for name, number in numbers.items():
        line = rf"(?im)^([ \t]*{name} ?= ?)(\[.*?\]|[^\s,#]*[^\s,#(](?: if [^,#]*?)?)(?=,?[ \t]*(#.*)?$)"
        text, count = re.subn(line, rf"\g<1>{number!r}", text)
        if count != 1:
            raise UsageError(f"--write: {path} has no line of its own for {name}; write {name}={number!r} by hand")
    write_text(path, text)
    lines = enumerate(zip(old.splitlines(), text.splitlines(), strict=True), 1)
    return [f"{path}:{number}: {new.strip()}" for number, (before, new) in lines if before != new]


def _parse(task: Task, arguments: Sequence[str] | None) -> argparse.Namespace:
    command = task.command("sweep")
    parser = Parser(
        prog=command, usage="%(prog)s [OPTIONS]", description=__doc__, epilog=f"example: {command} {EXAMPLE}"
    )
    values = "one of PPO's numbers, or env.FIELD of EnvConfig, as LOW..HIGH, LOW..HIGH:log or A,B,C; repeatable"
    enough = "a candidate whose interval lies above it ends the search; default: none"
    parser.add_argument("--param", action="append", required=True, metavar="NAME=VALUES", help=values)
    parser.add_argument("--trials", type=whole_number(1), default=20, metavar="N", help="candidates; default: 20")
    parser.add_argument("--seeds", type=whole_number(2), default=3, metavar="N", help="runs of each; default: 3")
    parser.add_argument("--max-env-steps", type=whole_number(1), default=100_000, metavar="N", help="default: 100,000")
    parser.add_argument("--stop-return", type=finite_number, metavar="R", help=enough)
    parser.add_argument("--name", default="sweep", help="the folder below runs/; default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put what is better than the defaults into ppo.py")
    options = parser.parse_args(arguments)
    try:
        import optuna  # noqa: F401  late: an extra
    except ImportError:
        raise UsageError('sweep needs Optuna: pip install -e ".[sweep]"') from None
    return options
