"""RLlib's configuration for a task: what the kit needs of it, then the numbers that the project's ppo.py sets."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from ..cli import did_you_mean
from ..errors import RunError, UsageError, one_line
from ..policy.networks import seen_and_chosen, space_facts
from ..task import Task
from ..vectorization.settings import Vectorization
from .env_runner import EnvRunner
from .learner import PPOLearner, unsupported
from .rl_module import ActorCritic
from .seeding import take_over_seed

_NETWORK = ("hidden_units", "image_features")
# What decides how PPO learns, beside its networks.
_LEARNING = (
    *("lr", "gamma", "lambda_", "use_gae", "use_critic", "clip_param", "vf_clip_param", "vf_loss_coeff"),
    *("entropy_coeff", "kl_target", "kl_coeff", "use_kl_loss", "grad_clip", "grad_clip_by"),
    *("train_batch_size_per_learner", "minibatch_size", "num_epochs", "shuffle_batch_per_epoch"),
)


def algorithm_config(
    task: Task,
    vectorization: Vectorization,
    seed: int,
    env_config: Mapping[str, Any] | None = None,
    changed: Mapping[str, Any] | None = None,
    policies: Sequence[tuple[gym.Space[Any], gym.Space[Any]]] | None = None,
) -> PPOConfig:
    """Returns the configuration that an algorithm is built from.

    Args:
        task: whose environment is trained, with the numbers of its ppo.py.
        vectorization: processes and copies to sample with.
        seed: of the networks and of every copy of the environment.
        env_config: the fields of the environment's config that differ from their defaults.
        changed: PPO's numbers from the command line, which go before those of ppo.py.
        policies: what each observes and does, adapted; None makes a copy of the environment to look.

    Raises:
        RunError: ppo.py fails, or has a value that can't be used.
        UsageError: `changed` has one.
    """
    config = _base(task, vectorization, seed, env_config or {})
    if task.is_multi_agent:
        config = _for_several_agents(config, task)
    config.rl_module(model_config=space_facts(_policies(task, env_config) if policies is None else policies))
    try:
        config = task.configured(config)
    except Exception as error:
        raise RunError(one_line(error)) from None
    if mistake := _mistake(config):
        file = sys.modules[task.algorithm.partition(":")[0]].__file__ or "ppo.py"
        raise RunError(f"{os.path.relpath(file)}: {mistake}")
    _change(config, changed or {})
    if changed and (mistake := _mistake(config)):
        raise UsageError(f"--set: {mistake}")
    take_over_seed(config)
    return config


def numbers(config: AlgorithmConfig) -> dict[str, Any]:
    """Returns what decides how a policy learns, by name, as JSON values; infinity as the text "inf"."""
    values = {name: getattr(config, name, None) for name in sorted((*_LEARNING, "num_learners"))} | _network(config)
    return json.loads(json.dumps(values, default=str), parse_constant=lambda text: str(float(text)))


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
        .learners(learner_class=PPOLearner, num_learners=0)  # the update runs in this process, unless ppo.py says more
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActorCritic))
        .fault_tolerance(restart_failed_env_runners=False)  # an error in the environment ends the run, loudly
        .debugging(seed=seed, log_level=None, log_sys_usage=False)
    )


def _policies(task: Task, env_config: Mapping[str, Any] | None) -> list[tuple[gym.Space[Any], gym.Space[Any]]]:
    with closing(task.make_adapted(env_config)) as env:
        return seen_and_chosen(env)


def _for_several_agents(config: PPOConfig, task: Task) -> PPOConfig:
    from ray.tune.registry import register_env

    from .multi_agent import MultiAgentEnvRunner  # late: few have several agents

    roles, name = task.roles(config.env_config), f"{task.env_id}:agents"  # the task's own is for RLlib's env runner
    register_env(name, task.make_guarded)
    mapping = task.policy_of or dict(roles.trained).__getitem__
    config.environment(name).env_runners(env_runner_cls=MultiAgentEnvRunner)
    return config.multi_agent(policies=set(roles.policies), policy_mapping_fn=mapping)


def _change(config: PPOConfig, changed: Mapping[str, Any]) -> None:
    for name in changed:
        if name not in _LEARNING + _NETWORK:
            hint = did_you_mean(name, sorted(_LEARNING + _NETWORK))
            raise UsageError(f"--set {name}: PPO has no such number; {hint}")
    config.training(**{name: value for name, value in changed.items() if name in _LEARNING})
    config.rl_module(model_config=_network(config) | {n: value for n, value in changed.items() if n in _NETWORK})


def _network(config: AlgorithmConfig) -> dict[str, Any]:
    return {name: config.model_config.get(name) for name in _NETWORK}


def _looks_at_episodes(config: PPOConfig) -> bool:
    """Tells whether a callback waits for what happens to an episode."""
    given = config.callbacks_class
    classes = given if isinstance(given, list | tuple) else [given]
    names = [f"on_episode_{what}" for what in ("created", "start", "step", "end")]
    return any(
        getattr(config, f"callbacks_{name}")
        or any(getattr(one, name) is not getattr(RLlibCallback, name) for one in classes)
        for name in names
    )


def _mistake(config: PPOConfig) -> str | None:
    """Returns a line on a value that can't be used, with what to write instead, or None."""
    units, features = _network(config).values()
    if not (isinstance(units, list | tuple) and units and all(isinstance(one, int) and one > 0 for one in units)):
        return f"hidden_units is {units!r}; write a list with the size of each layer, such as [64, 64]"
    if not isinstance(features, int) or features < 1:
        return f"image_features is {features!r}; write a whole number such as 256"
    for name in ("lr", "gamma", "lambda_", "clip_param", "vf_loss_coeff", "train_batch_size_per_learner", "num_epochs"):
        value = getattr(config, name)
        if name == "lr" and isinstance(value, list):
            continue  # a schedule
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            return f"{name} is {value!r}; write a number of at least 0"
    if line := unsupported(config):
        return line
    if config.is_multi_agent and _looks_at_episodes(config):
        return "callbacks on episodes are not called for several agents; use on_sample_end or on_train_result"
    try:
        config.copy(copy_frozen=False).validate()
    except Exception as error:
        return " ".join(str(error).split()).partition(" To suppress")[0]
    return None
