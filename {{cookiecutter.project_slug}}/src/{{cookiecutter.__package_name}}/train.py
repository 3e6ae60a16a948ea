"""Trains a policy with PPO: `python -m {{cookiecutter.__package_name}}.train --help`."""

import json
import logging
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
from .registration import ENV_ID, env_creator
from .run_folder import BEST, CHECKPOINT_FILE, LAST, RunFolder, versions, write_json

STARTED = time.perf_counter()
DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "stop_return": REWARD_THRESHOLD,
    "max_env_steps": 1_000_000,
    "max_seconds": None,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the command and the environment, trains, and returns the exit code."""
    options = parse(arguments)
    settings = vectorization.read_settings(overrides={key: getattr(options, key) for key in vectorization.KEYS})
    folder = RunFolder.existing(options.name) if options.resume else RunFolder.new(options.name)
    saved = json.loads((folder.path / "config.json").read_text(encoding="utf-8")) if options.resume else {}
    limits = DEFAULTS | saved.get("options", {})
    limits |= {key: value for key in DEFAULTS if (value := getattr(options, key)) is not None}
    preflight()
    if options.debug:
        settings |= {"num_env_runners": 0, "gym_env_vectorize_mode": "sync"}
    fitted = vectorization.fit(settings, env_creator, vectorization.available_cpus())
    print(fitted.reason, flush=True)
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
    return train(folder, config, fitted, resume=options.resume, debug=options.debug)


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


def train(
    folder: RunFolder, config: Mapping[str, Any], fitted: vectorization.Vectorization, *, resume: bool, debug: bool
) -> int:
    """Starts Ray, trains, and writes the curve and the summary, whatever ended the run."""
    start_ray()
    from .env_runner import EnvironmentFailure
    from .loop import Limits, Status, train_until
    from .ppo import ppo_config

    options = config["options"]
    limits = Limits(options["stop_return"], options["max_env_steps"], options["max_seconds"])
    status = Status()
    algorithm = ppo_config(fitted, options["seed"]).build_algo()
    facts = {"env_id": ENV_ID, "run": folder.path.name, "spaces": spaces(), "versions": config["versions"]}
    if resume:
        last = folder.checkpoint(LAST)
        status = Status.read(json.loads((last / CHECKPOINT_FILE).read_text(encoding="utf-8")))
        folder.drop_rows_after(status.iteration)
        algorithm.restore_from_path(str(last.resolve()))
    exit_code = 1
    reason = "the environment raised an exception"
    try:
        reason, exit_code = train_until(algorithm, folder, limits, status, facts, debug)
    except EnvironmentFailure as failure:
        if debug:
            raise
        raise RunError(f"the environment raised an exception:\n{failure}") from None
    finally:
        finish(folder, config, status, reason)
    algorithm.stop()
    return exit_code


def start_ray() -> None:
    """Starts Ray on this machine, quietly."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # on small networks more threads cost more than they bring
    import ray
    import ray.rllib
    import torch

    for logger in ("ray", "ray.rllib"):  # importing them has set their levels
        logging.getLogger(logger).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    ray.init(
        num_cpus=max(1, vectorization.available_cpus()),
        include_dashboard=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",  # nothing listens beyond this machine
    )


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
        folder.draw_curve(stop_return)
        print(f"learning curve: {folder.curve}\ncheckpoint: {summary['checkpoint']}", flush=True)


if __name__ == "__main__":
    run(main)
