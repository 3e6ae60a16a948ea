"""What a search varies: PPO's numbers and the fields of EnvConfig, each over a range or a few values."""

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..cli import finite_number
from ..errors import UsageError
from ..task import Task
from ..vectorization.settings import Vectorization

ENV = "env."  # before the name of a field of EnvConfig
LOG = ":log"  # after a range that is even in its logarithm


def parse_params(texts: Sequence[str]) -> dict[str, Any]:
    """Returns a distribution of Optuna's for each name; raises UsageError where a text is none."""
    space = {}
    for text in texts:
        name, _, given = text.partition("=")
        try:
            space[name] = _distribution(given if name else "")
        except (ValueError, argparse.ArgumentTypeError) as error:
            forms = "write NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B with text in quotes"
            raise UsageError(f"--param {text}: {str(error).rstrip('.')}; {forms}") from None
    return space


def _distribution(given: str) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # late: an extra

    if ".." not in given:
        try:
            return CategoricalDistribution([repr(choice) for choice in ast.literal_eval(f"[{given}]")])
        except (ValueError, SyntaxError):
            raise ValueError(f"expected values, got {given!r}") from None
    ends = given.removesuffix(LOG).split("..", 1)
    low, high = map(finite_number, ends)
    if all(end.lstrip("-").isdecimal() for end in ends):
        return IntDistribution(int(low), int(high), log=given.endswith(LOG))
    return FloatDistribution(low, high, log=given.endswith(LOG))


def check_params(task: Task, space: Mapping[str, Any]) -> None:
    """Raises UsageError where there is no such number or field, or where it refuses a choice or an end of a range."""
    from ..rllib import quieten
    from ..rllib.config import algorithm_config  # late: RLlib takes two seconds

    quieten()
    for name, one in space.items():
        for drawn in getattr(one, "choices", None) or (one.low, one.high):
            setting = {name.removeprefix(ENV): value(drawn)}
            try:
                if name.startswith(ENV):
                    task.check_config(setting)
                else:
                    algorithm_config(task, Vectorization(0, 1, "sync"), 0, changed=setting, policies=())
            except UsageError as error:
                raise UsageError(f"--param {name}: {str(error).partition(': ')[2]}") from None


def value(drawn: Any) -> Any:
    """Returns what to train with for what Optuna has drawn: a choice is text; of a number, three digits are enough."""
    if isinstance(drawn, str):
        return ast.literal_eval(drawn)
    return float(f"{drawn:.3g}") if isinstance(drawn, float) else drawn


def train_options(settings: Mapping[str, Any]) -> list[str]:
    """Returns the options of `train` for the settings of a candidate."""
    env = {name.removeprefix(ENV): setting for name, setting in settings.items() if name.startswith(ENV)}
    words = [word for key in settings if not key.startswith(ENV) for word in ("--set", f"{key}={settings[key]!r}")]
    return [*words, "--config", json.dumps(env)] if env else words
