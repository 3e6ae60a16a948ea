"""The training itself: PPO's configuration, the loop, and what a run leaves behind."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from ray.rllib.algorithms.ppo import PPOConfig

from ..cli import UsageError
from ..config import config_of
from ..files import write_json
from ..guard.failure import EnvironmentFailure
from ..rllib.config import algorithm_config, numbers
from ..vectorization.settings import Vectorization
from .algorithm import RestartableAlgorithm
from .interrupt import Interrupt
from .loop import Loop
from .run_folder import RunFolder, versions
from .status import Limits, Status
from .summary import finish

if TYPE_CHECKING:
    from .run import Run


def learn(run: "Run", interrupt: Interrupt, started: float) -> None:
    """Trains until something ends the run; see `Run.learn`.

    Args:
        run: with its vectorization chosen, and Ray started.
        interrupt: what ends the run from outside.
        started: when the command was started, by `time.perf_counter`.
    """
    task, options, folder = run.task, run.options, run.folder

    def configure(vectorization: Vectorization) -> PPOConfig:
        return algorithm_config(task, vectorization, options.seed, options.config, options.set)

    env = task.make_adapted(options.config)
    env.close()
    config = describe(run, configure(run.vectorization), env)
    facts = {
        "env_id": task.env_id,
        "run": folder.path.name,
        # As text, to compare with when a checkpoint is loaded.
        "spaces": {"observation": str(env.observation_space), "action": str(env.action_space)},
        "versions": config["versions"],
    }
    folder.make()
    status = Status.resumed(folder, facts) if folder.has_checkpoint() else Status()
    if status.iteration:
        _compare(folder, run.saved, config)
    write_json(folder.path / "config.json", config)
    limits = Limits(options.stop_return, options.max_env_steps, options.max_seconds)
    algorithm = RestartableAlgorithm(folder, configure, run.vectorization)
    end = partial(finish, folder, config, status, started=started)
    interrupt.finish = lambda: end(reason=str(interrupt.reason))
    reason = "an error"
    try:
        loop = Loop(algorithm, folder, limits, status, facts, options.keep_going, run.storage)
        reason = loop.run(interrupt, rewrite=not options.debug)
    except KeyboardInterrupt:
        reason = str(interrupt.reason)
    except EnvironmentFailure:
        reason = "the environment failed"
        raise
    finally:
        unwritten: Exception | None = end(reason=reason)
        algorithm.stop()
        if run.storage and status.iteration:
            unwritten = run.storage.finish(folder, status.iteration) or unwritten
    if unwritten:
        raise unwritten


def describe(run: "Run", config: PPOConfig, env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Returns what config.json holds: all that decides the run, and the line that does it again."""
    fitted = asdict(run.vectorization)
    chosen = {name: value for name, value in fitted.items() if name != "reason"}
    return {
        "env_id": run.task.env_id,
        "command": run.options.command(run.task.package, chosen),
        "started": datetime.now().isoformat(timespec="seconds"),
        "options": run.options.kept(),
        "env_config": config_of(env),
        "vectorization": fitted,
        "ppo": numbers(config),
        "versions": versions(run.task.package),
    }


def _compare(folder: RunFolder, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Says which of PPO's numbers have changed since the run was started.

    Raises:
        UsageError: the networks have; the weights of the checkpoint don't fit them.
    """
    before, after = saved.get("ppo", {}), now["ppo"]
    for name in (name for name in after if name in before and before[name] != after[name]):
        if name in ("hidden_units", "image_features"):
            raise UsageError(
                f"{folder.path} was trained with {name} = {before[name]}, now it is {after[name]}: the weights don't fit. "
                f"Go on with --set {name}={str(before[name]).replace(' ', '')}, or start a new run with another --name"
            )
        print(f"{name} is {after[name]} now, the run was started with {before[name]}")
