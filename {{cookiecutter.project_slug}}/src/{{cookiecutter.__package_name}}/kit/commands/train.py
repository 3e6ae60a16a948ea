"""Checks the command and the environment, then trains."""

import math
import os
import secrets
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from ..vectorization import settings as vectorization
from ..contract import run_checks
from ..cli import RunError, run
from ..guard import spool, watchdog
from ..guard.failure import EnvironmentFailure, write_failure
from ...registration import ENV_ID, env_creator, is_vector_env, training_env
from ..training.cluster import cluster_cpus, start_ray
from ..files import write_json
from ..training.interrupt import Interrupt
from ..training.options import config_of, parse, places
from ..training.run_folder import RunFolder
from ..vectorization.choose import VECTOR_MODE, fit

STARTED = time.perf_counter()


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the command and the environment, trains, and returns the exit code."""
    options = parse(arguments)
    with Interrupt() as interrupt:
        try:
            return begin(options, interrupt)
        except KeyboardInterrupt:
            print(interrupt.reason)
            return interrupt.exit_code


def begin(options: Namespace, interrupt: Interrupt) -> int:
    """Readies the run's folder, the environment and Ray, then trains; returns the exit code."""
    folder, storage, limits = places(options)
    settings = vectorization.read_settings(overrides={key: limits[key] for key in vectorization.KEYS})
    preflight()
    if options.debug:
        settings |= {"num_env_runners": 0, "gym_env_vectorize_mode": VECTOR_MODE if is_vector_env() else "sync"}
        limits["hang_seconds"] = None  # a breakpoint is no hang
    os.environ[watchdog.SECONDS] = str(limits["hang_seconds"] or math.inf)
    os.environ[spool.RUN] = secrets.token_hex(8)
    try:
        cpus = vectorization.available_cpus()
        if options.address:
            start_ray(options.address)
            cpus = cluster_cpus()
        fitted = fit(settings, training_env, cpus, is_vector_env())
        print(fitted.reason, flush=True)
        if not options.address:
            start_ray(None)
        return train(folder, config_of(limits, fitted, options), fitted, options, interrupt, storage)
    except EnvironmentFailure as failure:
        if options.debug:
            raise
        folder.make()
        raise RunError(write_failure(folder.path, failure.facts)) from None
    except OSError as error:
        raise RunError(f"{folder.path} can't be written: {error}; the checkpoints in it are whole") from None
    finally:
        spool.clean()


def preflight() -> None:
    """Runs the checks that fit into a second.

    Raises:
        RunError: the environment is not filled in yet, or breaks its contract.
    """
    report = run_checks(quick=True)
    if report.todo:
        raise RunError(report.todo)
    for failure in report.failures:
        print(f"{failure.severity}: {failure.check}: {failure.message} {failure.fix}", file=sys.stderr)
    if not report.ok:
        raise RunError("the environment breaks its contract, see above; the command `check` looks at all of it")


def train(
    folder: RunFolder,
    config: Mapping[str, Any],
    fitted: vectorization.Vectorization,
    options: Namespace,
    interrupt: Interrupt,
    storage: Any,
) -> int:
    """Trains, and writes the curve and the summary, whatever ended the run; returns the exit code."""
    from ..training.loop import Loop
    from ..training.recovery import Trainee
    from ..training.status import Limits, Status
    from ..training.summary import finish

    numbers = config["options"]
    limits = Limits(numbers["stop_return"], numbers["max_env_steps"], numbers["max_seconds"])
    facts = {"env_id": ENV_ID, "run": folder.path.name, "spaces": spaces(), "versions": config["versions"]}
    folder.make()
    status = Status.resumed(folder, facts) if folder.has_checkpoint() else Status()
    write_json(folder.path / "config.json", config)
    trainee = Trainee(folder, fitted, numbers["seed"])
    interrupt.finish = lambda: finish(folder, config, status, str(interrupt.reason), STARTED)
    reason = "an error"
    try:
        reason = Loop(trainee, folder, limits, status, facts, options.keep_going, storage).run(
            interrupt, rewrite=not options.debug
        )
    except KeyboardInterrupt:
        reason = str(interrupt.reason)
    except EnvironmentFailure:
        reason = "the environment failed"
        raise
    finally:
        unwritten: Exception | None = finish(folder, config, status, reason, STARTED)
        trainee.stop()
        if storage and status.iteration:
            unwritten = storage.finish(folder, status.iteration) or unwritten
    if unwritten:
        raise unwritten
    return interrupt.exit_code


def spaces() -> dict[str, str]:
    """Returns the spaces that the policy is trained on, as text, to compare with when a checkpoint is loaded."""
    env = env_creator()
    env.close()
    return {"observation": str(env.observation_space), "action": str(env.action_space)}


if __name__ == "__main__":
    run(main)
