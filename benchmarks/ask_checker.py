"""Asks another library's checker about one environment, and prints its errors and warnings as a line of JSON.

python benchmarks/ask_checker.py CHECKER TARGET [CONFIG]

CHECKER is gymnasium, blind_gymnasium, which renders nothing, stable_baselines3 or pettingzoo. TARGET is a file, whose `Env`
or `creator` is made from CONFIG, an ID of Gymnasium as MODULE:ID, or a module of PettingZoo.
"""

import importlib
import importlib.util
import json
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

OF_A_CHECKER = re.compile(r"[/\\](gymnasium[/\\](?!envs)|stable_baselines3|pettingzoo[/\\](test|utils))")


def maker(target: str, config: str) -> Callable[[], Any]:
    """Returns what makes the environment, without the wrappers that Gymnasium's `make` adds."""
    if target.startswith("pettingzoo."):
        return importlib.import_module(target).parallel_env
    if not target.endswith(".py"):
        import gymnasium

        return lambda: gymnasium.make(target, disable_env_checker=True).unwrapped
    spec = importlib.util.spec_from_file_location("target", target)
    assert spec is not None and spec.loader is not None
    module = sys.modules["target"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, "creator", None) or module.Env

    def make() -> Any:
        try:
            return made(json.loads(config))
        except TypeError:
            return made()

    return make


def ask(checker: str, make: Callable[[], Any]) -> None:
    """Runs a checker, as its documentation shows."""
    if checker == "pettingzoo":
        from pettingzoo.test import parallel_api_test, parallel_seed_test

        parallel_api_test(make(), num_cycles=1000)
        parallel_seed_test(make)
    elif checker.endswith("gymnasium"):
        from gymnasium.utils import env_checker

        env_checker.check_env(make(), skip_render_check=checker.startswith("blind"))
    else:
        from stable_baselines3.common.env_checker import check_env

        check_env(make(), warn=True, skip_render_check=False)


def main() -> None:
    """Prints what the checker says."""
    checker, target, config = (*sys.argv[1:], "{}")[:3]
    errors = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make = maker(target, config)
            if not target.endswith(".py"):
                make().close()
                caught.clear()  # what libraries say when they are imported is not the checker's
            ask(checker, make)
        except BaseException as problem:  # also SystemExit: the environment may do anything
            errors.append(f"{type(problem).__name__}: {problem}")
    said = [one for one in caught if not issubclass(one.category, DeprecationWarning)]
    if not target.endswith(".py"):  # of what is installed, the libraries themselves warn as well
        said = [one for one in said if OF_A_CHECKER.search(one.filename)]
    assert sys.__stdout__ is not None
    sys.__stdout__.write("\n" + json.dumps({"errors": errors, "warnings": [str(one.message) for one in said]}) + "\n")


if __name__ == "__main__":
    main()
