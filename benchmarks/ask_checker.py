"""Asks another library's checker about environments, each in a fork of this process, which has the library loaded.

python benchmarks/ask_checker.py CHECKER SECONDS

CHECKER is gymnasium, blind_gymnasium, which renders nothing, stable_baselines3 or pettingzoo. A line of input is a JSON list
of a folder to work in, a target and a config; a target is a file, whose `Env` or `creator` is made from the config, an ID
of Gymnasium as MODULE:ID, or a module of PettingZoo. The answer is a line of JSON with errors and warnings, none where the
process ended or took longer than SECONDS, and then a line with a full stop.
"""

import importlib
import importlib.util
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

OF_A_CHECKER = re.compile(r"[/\\](gymnasium[/\\](?!envs)|stable_baselines3|pettingzoo[/\\](test|utils))")


def maker(target: str, config: Any) -> Callable[[], Any]:
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
            return made(config)
        except TypeError:
            return made()

    return make


def loaded(checker: str) -> Callable[[Callable[[], Any]], None]:
    """Imports a checker; returns a function that runs it, as its documentation shows, on what makes an environment."""
    if checker == "pettingzoo":
        from pettingzoo.test import parallel_api_test, parallel_seed_test

        def both(make: Callable[[], Any]) -> None:
            parallel_api_test(make(), num_cycles=200)
            parallel_seed_test(make)

        return both
    if checker == "stable_baselines3":
        from stable_baselines3.common.env_checker import check_env

        return lambda make: check_env(make(), warn=True, skip_render_check=False)
    from gymnasium.utils import env_checker

    return lambda make: env_checker.check_env(make(), skip_render_check=checker.startswith("blind"))


def answer(run: Callable[[Callable[[], Any]], None], target: str, config: Any) -> dict[str, list[str]]:
    """Returns what the checker says."""
    errors = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make = maker(target, config)
            if not target.endswith(".py"):
                make().close()
                caught.clear()  # what libraries say when they are imported is not the checker's
            run(make)
        except BaseException as problem:  # also SystemExit: the environment may do anything
            errors.append(f"{type(problem).__name__}: {problem}")
    said = [one for one in caught if not issubclass(one.category, DeprecationWarning)]
    if not target.endswith(".py"):  # of what is installed, the libraries themselves warn as well
        said = [one for one in said if OF_A_CHECKER.search(one.filename)]
    return {"errors": errors, "warnings": [str(one.message) for one in said]}


def main() -> None:
    """Answers line by line."""
    checker, seconds = sys.argv[1], int(sys.argv[2])
    run, output = loaded(checker), sys.stdout
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(seconds)  # ends this process, whatever it does
            folder, target, config = json.loads(line)
            os.chdir(folder)
            output.write("\n" + json.dumps(answer(run, target, config)) + "\n")
            output.flush()
            os._exit(0)
        os.waitpid(child, 0)
        output.write("\n.\n")
        output.flush()


if __name__ == "__main__":
    main()
