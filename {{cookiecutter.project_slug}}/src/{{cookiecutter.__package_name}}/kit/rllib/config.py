"""RLlib's configuration for a task: what the kit needs of it, then the numbers that the project's ppo.py sets."""

import inspect
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from ..cli import did_you_mean
from ..errors import RunError, UsageError, one_line
from ..task import Task
from ..vectorization.settings import Vectorization
from .env_runner import EnvRunner
from .learner import PPOLearner, unsupported
from .rl_module import ActorCritic

_NETWORK = ("hidden_units", "image_features")
# What `training` takes, of PPO and of every algorithm, but for RLlib's old names and what is no number.
_LEARNING = {
    name
    for owner in (PPOConfig, AlgorithmConfig)
    for name in inspect.signature(owner.training).parameters
    if isinstance(getattr(PPOConfig(), name, ()), int | float | str | list | None)
} - {
    *("num_sgd_iter", "train_batch_size", "vf_share_layers", "learner_class"),
    *("add_default_connectors_to_learner_pipeline", "num_aggregator_actors_per_learner"),
    *("max_requests_in_flight_per_aggregator_actor", "max_requests_in_flight_per_sampler_worker"),
}


def algorithm_config(
    task: Task,
    vectorization: Vectorization,
    seed: int,
    env_config: Mapping[str, Any] | None = None,
    changed: Mapping[str, Any] | None = None,
) -> PPOConfig:
    """Returns the configuration that an algorithm is built from.

    Args:
        task: whose environment is trained, with the numbers of its ppo.py.
        vectorization: processes and copies to sample with.
        seed: of the networks and of every copy of the environment.
        env_config: the fields of the environment's config that differ from their defaults.
        changed: PPO's numbers from the command line, which go before those of ppo.py.

    Raises:
        RunError: ppo.py fails, or has a value that can't be used.
        UsageError: `changed` has one.
    """
    config = _base(task, vectorization, seed, env_config or {})
    try:
        config = task.configured(config)
    except Exception as error:
        raise RunError(one_line(error)) from None
    _check(config, RunError, os.path.relpath(sys.modules[task.algorithm.partition(":")[0]].__file__ or "ppo.py"))
    if changed:
        _change(config, changed)
        _check(config, UsageError, "--set")
    return config


def numbers(config: AlgorithmConfig) -> dict[str, Any]:
    """Returns what decides how a policy learns, by name, as JSON values; infinity as text."""
    values = {name: getattr(config, name, None) for name in sorted(_LEARNING)} | _network(config)
    return {name: json.loads(json.dumps(_plain(value), default=str)) for name, value in values.items()}


def _base(task: Task, vectorization: Vectorization, seed: int, env_config: Mapping[str, Any]) -> PPOConfig:
    return (
        PPOConfig()
        .environment(
            task.register_with_rllib(),
            env_config=dict(env_config),
            normalize_actions=False,  # the adapters turn the policy's -1 to 1 into the environment's bounds
        )
        .env_runners(
            env_runner_cls=EnvRunner,
            num_env_runners=vectorization.num_env_runners,
            num_envs_per_env_runner=vectorization.num_envs_per_env_runner,
            gym_env_vectorize_mode=vectorization.gym_env_vectorize_mode,
            sample_timeout_s=None,  # a slow environment is waited for; RLlib's 60 s would train on nothing
        )
        .learners(learner_class=PPOLearner, num_learners=0)  # the update runs in this process
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActorCritic))
        .fault_tolerance(restart_failed_env_runners=False)  # an error in the environment ends the run, loudly
        .debugging(seed=seed, log_level=None, log_sys_usage=False)
    )


def _change(config: PPOConfig, changed: Mapping[str, Any]) -> None:
    for name in changed:
        if name not in _LEARNING and name not in _NETWORK:
            hint = did_you_mean(name, sorted(_LEARNING | {*_NETWORK}))
            raise UsageError(f"--set {name}: PPO has no such number; {hint}")
    config.training(**{name: value for name, value in changed.items() if name in _LEARNING})
    config.rl_module(model_config=_network(config) | {n: value for n, value in changed.items() if n in _NETWORK})


def _network(config: AlgorithmConfig) -> dict[str, Any]:
    return {name: config.model_config.get(name) for name in _NETWORK}


def _check(config: PPOConfig, error: type[Exception], where: str) -> None:
    """Raises the error, with a line that says what is wrong, unless the values can be used."""
    network = _network(config)
    units, features = network["hidden_units"], network["image_features"]
    if (
        not isinstance(units, list | tuple)
        or not units
        or not all(isinstance(unit, int) and unit > 0 for unit in units)
    ):
        raise error(f"{where}: hidden_units is {units!r}; write a list with the size of each layer, such as [64, 64]")
    if not isinstance(features, int) or features < 1:
        raise error(f"{where}: image_features is {features!r}; write a whole number such as 256")
    for name in ("lr", "gamma", "lambda_", "clip_param", "vf_loss_coeff", "train_batch_size_per_learner", "num_epochs"):
        value = getattr(config, name)
        if name == "lr" and isinstance(value, list):
            continue  # a schedule
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise error(f"{where}: {name} is {value!r}; write a number of at least 0")
    if line := unsupported(config):
        raise error(f"{where}: {line}")
    try:
        config.copy(copy_frozen=False).validate()
    except Exception as problem:
        raise error(f"{where}: {' '.join(str(problem).split()).partition(' To suppress')[0]}") from None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
