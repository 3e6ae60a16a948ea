"""The options of `train`: the command line, over what an earlier start of the run said, over the defaults."""

import argparse
import ast
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..cli import (
    Parser,
    UsageError,
    add_config_options,
    finite_number,
    positive_seconds,
    read_config_options,
    whole_number,
)
from ..files import read_json
from ..task import Task
from ..vectorization.settings import FILE, flag

_OF_THIS_START = ("name", "resume", "address", "debug")


@dataclass(frozen=True)
class TrainOptions:
    """What a run is started with. All but `name`, `resume`, `address` and `debug` is kept by --resume.

    Attributes:
        given: the names of those that the command line says.
    """

    name: str | None = None
    resume: bool = False
    seed: int = 0
    stop_return: float | None = None
    max_env_steps: int = 1_000_000
    max_seconds: float | None = None
    patience: int | None = None
    num_env_runners: int | str | None = None
    num_envs_per_env_runner: int | str | None = None
    gym_env_vectorize_mode: str | None = None
    address: str | None = None
    hang_seconds: float = 300.0
    storage: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    keep_going: bool = False
    track: Sequence[str] = ()
    debug: bool = False
    given: frozenset[str] = frozenset()

    def kept(self) -> dict[str, Any]:
        """Returns what config.json keeps for --resume, as JSON values."""
        names = [one.name for one in fields(self) if one.name not in (*_OF_THIS_START, "given")]
        return {name: getattr(self, name) for name in names}

    def command(self, package: str, vectorization: Mapping[str, Any]) -> str:
        """Returns the line that does the same run again, whatever "auto" or the default is by then."""
        words = ["python", "-m", package, "train"]
        for name, value in (self.kept() | dict(vectorization)).items():
            if name == "config":
                words += ["--config", json.dumps(value)] if value else []
            elif name == "set":
                words += [word for key, number in value.items() for word in ("--set", f"{key}={number!r}")]
            elif name == "track":
                words += [word for client in value for word in ("--track", client)]
            elif value is True:
                words.append(flag(name))
            elif value is not None and value is not False:
                words += [flag(name), str(value)]
        return shlex.join([*words, "--address", self.address] if self.address else words)


def parse(task: Task, arguments: Sequence[str] | None) -> TrainOptions:
    """Reads the command line; what it doesn't say has its default, or the task's.

    Raises:
        UsageError: a wrong option.
    """
    parser = _parser(task)
    found = parser.parse_args(arguments)
    given = {name: value for name, value in vars(found).items() if name not in ("config_file", "config", "set")}
    config = read_config_options(found)
    if config is not None:
        given["config"] = config
    if hasattr(found, "set"):
        given["set"] = dict(found.set)
    return TrainOptions(**({"stop_return": task.reward_threshold} | given), given=frozenset(given))


def resumed(options: TrainOptions, saved: Mapping[str, Any]) -> TrainOptions:
    """Returns the options with those that an earlier start of the run has saved, where this one doesn't say otherwise.

    Args:
        options: of this start.
        saved: what config.json holds.
    """
    values = vars(options).copy()
    for name, value in (saved["options"] | saved["vectorization"]).items():
        if name in ("config", "set"):
            values[name] = {**value, **values[name]}
        elif name in options.kept() and name not in options.given:
            values[name] = value
    return TrainOptions(**values)


def read_saved(path: Any) -> dict[str, Any]:
    """Reads config.json.

    Raises:
        UsageError: it is damaged, or of an older version.
    """
    saved = read_json(path)
    if not saved.keys() >= {"options", "vectorization", "ppo"}:
        raise UsageError(f"{path} was written by an older version; start a new run with another --name")
    return saved


def _parser(task: Task) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {task.package} train",
        usage="%(prog)s [OPTIONS]",
        description="Trains a policy with PPO.",
        epilog=f"example: python -m {task.package} train --name first --seed 1",
        argument_default=argparse.SUPPRESS,
    )
    for name, metavar, kind, help in _valued(TrainOptions(stop_return=task.reward_threshold)):
        parser.add_argument(name, metavar=metavar, type=kind, help=help)
    parser.add_argument(
        "--vectorize-mode", dest="gym_env_vectorize_mode", metavar="MODE", help="sync, async or vector_entry_point"
    )
    setting = "one of PPO's numbers in ppo.py, e.g. lr=1e-4; repeatable"
    parser.add_argument("--set", action="append", type=_setting, metavar="K=V", help=setting)
    where = "send settings and progress there, too; repeatable"
    parser.add_argument("--track", action="append", choices=("wandb", "mlflow"), help=where)
    add_config_options(parser)
    for name, help in (
        ("--resume", "go on with the run --name, or with the newest"),
        ("--strict", "end the run at an observation outside its bounds, too"),
        ("--keep-going", "after a failure of the environment, go on from the last checkpoint"),
        ("--debug", "all in this process, so that breakpoints work"),
    ):
        parser.add_argument(name, action="store_true", help=help)
    return parser


def _valued(default: TrainOptions) -> list[tuple[str, str, Callable[[str], Any], str]]:
    """Lists the options with a value: name, what stands for the value, its type and help."""
    threshold = "none" if default.stop_return is None else f"{default.stop_return:g}, the task's threshold"
    hang = f"a reset or step that takes longer ends the run; default: {default.hang_seconds:g}"
    processes = f'processes that step copies of the environment; 0: the training one. Goes before {FILE}, "auto" fits'
    return [
        ("--name", "NAME", str, "the run's folder below runs/ (default: the date and time)"),
        ("--seed", "N", whole_number(0), f"default: {default.seed}"),
        ("--stop-return", "R", finite_number, f"mean return that ends the run; default: {threshold}"),
        ("--max-env-steps", "N", whole_number(1), f"default: {default.max_env_steps:,}"),
        ("--max-seconds", "S", positive_seconds, "default: no limit"),
        ("--patience", "N", whole_number(1), "end after N steps without a better return (default: never)"),
        ("--num-env-runners", "N", _number_or_word, processes),
        ("--num-envs-per-env-runner", "N", _number_or_word, "copies of the environment in each process"),
        ("--address", "HOST:PORT", str, 'of a Ray cluster, such as "auto" (default: this machine alone)'),
        ("--storage", "URI", str, "keep a copy of the run there: a folder, s3://bucket/path, ..."),
        ("--hang-seconds", "S", positive_seconds, hang),
    ]


def _number_or_word(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE such as lr=1e-4, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"{value!r} is no number, list or None") from None
