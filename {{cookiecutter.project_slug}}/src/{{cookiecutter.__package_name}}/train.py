"""Trains a policy with PPO: `python -m {{cookiecutter.__package_name}}.train --help`."""

import math
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from . import vectorization
from .checks import run_checks
from .cli import Parser, RunError, finite_number, positive_seconds, run, whole_number
from .env import REWARD_THRESHOLD
from .fit import VECTOR_MODE, fit
from .guard import watchdog
from .guard.failure import EnvironmentFailure, write_failure
from .registration import ENV_ID, env_creator, is_vector_env, training_env
from .run.cluster import cluster_cpus, start_ray
from .run.curve import draw_curve
from .run.run_folder import BEST, LAST, RunFolder, read_json, versions, write_json

STARTED = time.perf_counter()
DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "stop_return": REWARD_THRESHOLD,
    "max_env_steps": 1_000_000,
    "max_seconds": None,
    "hang_seconds": 300.0,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the command and the environment, trains, and returns the exit code."""
    options = parse(arguments)
    settings = vectorization.read_settings(overrides={key: getattr(options, key) for key in vectorization.KEYS})
    folder = RunFolder.existing(options.name) if options.resume else RunFolder.new(options.name)
    saved = read_json(folder.path / "config.json") if options.resume else {}
    limits = DEFAULTS | saved.get("options", {})
    limits |= {key: value for key in DEFAULTS if (value := getattr(options, key)) is not None}
    preflight()
    if options.debug:
        settings |= {"num_env_runners": 0, "gym_env_vectorize_mode": VECTOR_MODE if is_vector_env() else "sync"}
        limits["hang_seconds"] = math.inf  # a breakpoint is no hang
    os.environ[watchdog.SECONDS] = str(limits["hang_seconds"])
    try:
        cpus = vectorization.available_cpus()
        if options.address:
            start_ray(options.address)
            cpus = cluster_cpus()
        fitted = fit(settings, training_env, cpus, is_vector_env())
        print(fitted.reason, flush=True)
        if not options.address:
            start_ray(None)
        folder.make()
        config = {
            "env_id": ENV_ID,
            "command": " ".join([f"python -m {__spec__.name}", *(sys.argv[1:] if arguments is None else arguments)]),
            "started": datetime.now().isoformat(timespec="seconds"),
            "options": limits,
            "vectorization": asdict(fitted),
            "versions": versions(),
        }
        write_json(folder.path / "config.json", config)
        return train(folder, config, fitted, options)
    except EnvironmentFailure as failure:
        if options.debug:
            raise
        folder.make()
        raise RunError(write_failure(folder.path, failure.facts)) from None
    except OSError as error:
        raise RunError(f"{folder.path} can't be written: {error}; the checkpoints in it are whole") from None


def parse(arguments: Sequence[str] | None) -> Namespace:
    """Reads the command line; what is not given is None."""
    parser = Parser(prog=f"python -m {__spec__.name}", description="Trains a policy with PPO.")
    parser.add_argument("--name", help="the run's folder below runs/ (default: the date and time)")
    parser.add_argument("--seed", type=whole_number(0), help=f"default: {DEFAULTS['seed']}")
    parser.add_argument("--stop-return", type=finite_number, metavar="R", help=f"default: {DEFAULTS['stop_return']}")
    parser.add_argument("--max-env-steps", type=whole_number(1), metavar="N", help="default: 1,000,000")
    parser.add_argument("--max-seconds", type=positive_seconds, metavar="S", help="default: no limit")
    parser.add_argument("--resume", action="store_true", help="go on with the run --name, or with the newest")
    for key in vectorization.KEYS:
        parser.add_argument(vectorization.flag(key), dest=key, help=f"goes before {vectorization.FILE}")
    parser.add_argument("--address", help='of a Ray cluster, such as "auto" (default: this machine alone)')
    parser.add_argument(
        "--hang-seconds",
        type=positive_seconds,
        metavar="S",
        help=f"a reset or step that takes longer ends the run; default: {DEFAULTS['hang_seconds']:g}",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="after a failure of the environment, go on from the last checkpoint"
    )
    parser.add_argument("--debug", action="store_true", help="all in this process, so that breakpoints work")
    return parser.parse_args(arguments)


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


def train(folder: RunFolder, config: Mapping[str, Any], fitted: vectorization.Vectorization, options: Namespace) -> int:
    """Trains, and writes the curve and the summary, whatever ended the run; returns the exit code."""
    from .run.interrupt import Interrupt
    from .run.loop import Loop
    from .run.recovery import Trainee
    from .run.status import Limits, Status

    numbers = config["options"]
    limits = Limits(numbers["stop_return"], numbers["max_env_steps"], numbers["max_seconds"])
    facts = {"env_id": ENV_ID, "run": folder.path.name, "spaces": spaces(), "versions": config["versions"]}
    status = Status.resumed(folder, facts) if options.resume else Status()
    trainee = Trainee(folder, fitted, numbers["seed"])
    interrupt = Interrupt(lambda i: finish(folder, config, status, str(i.reason)))
    reason = "an error"
    try:
        loop = Loop(trainee, folder, limits, status, facts, options.keep_going)
        reason = loop.run(interrupt, rewrite=not options.debug)
    except EnvironmentFailure:
        reason = "the environment failed"
        raise
    finally:
        finish(folder, config, status, reason)
        trainee.stop()
    return interrupt.exit_code


def spaces() -> dict[str, str]:
    """Returns the spaces that the policy is trained on, as text, to compare with when a checkpoint is loaded."""
    env = env_creator()
    env.close()
    return {"observation": str(env.observation_space), "action": str(env.action_space)}


def finish(folder: RunFolder, config: Mapping[str, Any], status: Any, reason: str) -> None:
    """Writes summary.json and learning_curve.png, and says where things lie."""
    stop_return = config["options"]["stop_return"]
    which = BEST if folder.checkpoint(BEST).is_dir() else LAST
    summary = {
        "ended_by": reason,
        "env_steps": status.env_steps,
        "seconds": round(status.seconds, 3),
        "seconds_total": round(time.perf_counter() - STARTED, 3),
        "steps_per_second": round(status.env_steps / status.seconds, 1) if status.seconds else None,
        "iterations": status.iteration,
        "best_return": status.best_return,
        "last_return": status.mean_return,
        "stop_return": stop_return if stop_return is None or math.isfinite(stop_return) else None,
        "seconds_to_stop_return": status.seconds_to_stop_return,
        "checkpoint": str(folder.checkpoint(which)) if folder.checkpoint(which).is_dir() else None,
        "seed": config["options"]["seed"],
        "vectorization": config["vectorization"],
        "versions": config["versions"],
    }
    write_json(folder.path / "summary.json", summary)
    print(f"{reason}; {status.env_steps:,} steps in {status.seconds:.1f} s")
    if status.iteration:
        print(f"learning curve: {draw_curve(folder, stop_return)}\ncheckpoint: {summary['checkpoint']}", flush=True)


if __name__ == "__main__":
    run(main)
