"""The options of `train`: the command line, over what an earlier start of the run said, over the defaults."""

import argparse
import ast
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..cli import Parser, add_config_options, finite_number, positive_seconds, read_config_options, whole_number
from ..task import Task
from ..vectorization.settings import FILE, flag

_OF_THIS_START = ("name", "resume", "address", "debug", "given")  # all else is kept by --resume


def _option(default: Any, metavar: str, type: Callable[[str], Any], help: str) -> Any:
    return field(default=default, metadata={"metavar": metavar, "type": type, "help": help})


def _switch(help: str) -> Any:
    return field(default=False, metadata={"action": "store_true", "help": help})


def _number_or_word(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _number_or_none(text: str) -> float | None:
    return None if text == "none" else finite_number(text)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE such as lr=1e-4, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"{value!r} is no number, list or None") from None


_RUNNERS = f'processes that step copies of the environment; 0: the training one. Goes before {FILE}, "auto" fits'
_TRACKER = {
    "action": "append",
    "choices": ("wandb", "mlflow"),
    "help": "send settings and progress there, too; repeatable",
}
_SETTING = {"action": "append", "metavar": "K=V", "type": _setting}


@dataclass(frozen=True)
class TrainOptions:
    """What a run is started with: each field is an option, with its default, its type and its help.

    Attributes:
        config: of the environment.
        given: the names of those that the command line says.
    """

    name: str | None = _option(None, "NAME", str, "the run's folder below runs/ (default: the date and time)")
    seed: int = _option(0, "N", whole_number(0), "default: {default}")
    stop_return: float | None = _option(
        None,
        "R",
        _number_or_none,
        'mean return that ends the run, or "none"; default: the task\'s threshold, {default}',
    )
    max_env_steps: int = _option(1_000_000, "N", whole_number(1), "default: {default:,}")
    max_seconds: float | None = _option(None, "S", positive_seconds, "default: no limit")
    patience: int | None = _option(
        None, "N", whole_number(1), "end after N steps without a better return (default: never)"
    )
    num_env_runners: int | str | None = _option(None, "N", _number_or_word, _RUNNERS)
    num_envs_per_env_runner: int | str | None = _option(
        None, "N", _number_or_word, "copies of the environment in each process"
    )
    gym_env_vectorize_mode: str | None = _option(None, "MODE", str, "sync, async or vector_entry_point")
    address: str | None = _option(
        None, "HOST:PORT", str, 'of a Ray cluster, such as "auto" (default: this machine alone)'
    )
    storage: str | None = _option(None, "URI", str, "keep a copy of the run there: a folder, s3://bucket/path, ...")
    hang_seconds: float = _option(
        300.0, "S", positive_seconds, "a reset or step that takes longer ends the run; default: {default:g}"
    )
    track: Sequence[str] = field(default=(), metadata=_TRACKER)
    set: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=_SETTING | {"help": "one of PPO's numbers in ppo.py, e.g. lr=1e-4; repeatable"},
    )
    config: Mapping[str, Any] = field(default_factory=dict)
    resume: bool = _switch("go on with the run --name, or with the newest")
    strict: bool = _switch("end the run at an observation outside its bounds, too")
    keep_going: bool = _switch("after a failure of the environment, go on from the last checkpoint")
    debug: bool = _switch("all in this process, so that breakpoints work")
    given: frozenset[str] = frozenset()

    def kept(self) -> dict[str, Any]:
        """Returns what config.json keeps for --resume, as JSON values."""
        return {name: value for name, value in vars(self).items() if name not in _OF_THIS_START}

    def over(self, saved: Mapping[str, Any]) -> "TrainOptions":
        """Returns the options with those of an earlier start, where the command line doesn't say otherwise.

        Args:
            saved: what config.json holds.
        """
        before = {**saved["options"], **saved["vectorization"]}
        values = {name: before[name] for name in self.kept() if name in before and name not in self.given}
        both = {name: {**before[name], **getattr(self, name)} for name in ("config", "set")}
        return replace(self, **(values | both))

    def command(self, command: str, vectorization: Mapping[str, Any]) -> str:
        """Returns the line that does the same run again, whatever "auto" or the default is by then."""
        words = command.split()
        for name, value in {**self.kept(), **vectorization, "address": self.address}.items():
            if name == "config":
                words += ["--config", json.dumps(value)] if value else []
            elif name == "set":
                words += [word for key, number in value.items() for word in ("--set", f"{key}={number!r}")]
            elif name == "track":
                words += [word for client in value for word in ("--track", client)]
            elif name == "stop_return":
                words += [flag(name), "none" if value is None else str(value)]
            elif value is True:
                words.append(flag(name))
            elif value is not None and value is not False:
                words += [flag(name), str(value)]
        return shlex.join(words)


def parse(task: Task, arguments: Sequence[str] | None) -> TrainOptions:
    """Reads the command line; what it doesn't say has its default, or the task's.

    Raises:
        UsageError: a wrong option.
    """
    parser = Parser(
        prog=task.command("train"),
        usage="%(prog)s [OPTIONS]",
        description="Trains a policy with PPO.",
        epilog=f"example: {task.command('train')} --name first --seed 1",
        argument_default=argparse.SUPPRESS,
    )
    defaults = {"stop_return": task.reward_threshold}
    for option in fields(TrainOptions):
        if option.metadata:
            help = option.metadata["help"].format(default=defaults.get(option.name, option.default))
            parser.add_argument(flag(option.name), dest=option.name, **{**option.metadata, "help": help})
    add_config_options(parser)
    found = parser.parse_args(arguments)
    given = {name: value for name, value in vars(found).items() if name != "config_file"}
    values = {"config": read_config_options(found) or {}, "set": dict(given.get("set", ()))}
    return TrainOptions(**{**defaults, **given, **values}, given=frozenset(given))
