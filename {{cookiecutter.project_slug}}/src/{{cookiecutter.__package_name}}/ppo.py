"""The PPO that trains the environment; every number with its reason."""

from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from .registration import register_env
from .rllib.env_runner import EnvRunner, log_episode_return
from .rllib.learner import PPOLearner
from .rllib.normalization import NormalizedActorCritic
from .vectorization import Vectorization

BATCH_STEPS = 2_048  # steps between two updates of the policy: enough for a stable gradient, few enough to learn soon


def ppo_config(vectorization: Vectorization, seed: int, env_config: Mapping[str, Any] | None = None) -> PPOConfig:
    """Returns the configuration that `train` builds; change the learning here.

    Args:
        vectorization: processes and copies to sample with.
        seed: of the networks and of every copy of the environment.
        env_config: the fields of `EnvConfig` that differ from their defaults.
    """
    config = (
        PPOConfig()
        .environment(
            register_env(),
            env_config=dict(env_config or {}),
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
        .fault_tolerance(restart_failed_env_runners=False)  # an error in the environment ends the run, loudly
        .callbacks(on_episode_end=log_episode_return)
        .debugging(seed=seed, log_level=None, log_sys_usage=False)
    )
    return _learning(config)


def _learning(config: PPOConfig) -> PPOConfig:
    """Sets what decides how, and how well, the policy learns."""
    return config.training(
        lr=3e-4,  # Adam's usual step, where it starts; `kl_target` moves it from there
        kl_target=0.01,  # how far a minibatch may move the policy; further, and it runs from the data it learns from
        use_kl_loss=False,  # the step size keeps to the target, and needs no second loss for it
        gamma=0.99,  # looks about 100 steps ahead
        lambda_=0.95,  # the usual balance of bias and variance (Schulman et al. 2016)
        clip_param=0.2,  # how far an update may move the policy (Schulman et al. 2017)
        vf_clip_param=float("inf"),  # RLlib clips the squared value error, and with it the gradient, at 10
        vf_loss_coeff=0.5,  # the networks share nothing: this weighs only in the common gradient clip
        entropy_coeff=0.0,  # exploration comes from the policy's own noise; raise it when training settles early
        train_batch_size_per_learner=BATCH_STEPS,
        minibatch_size=512,  # 4 gradient steps an epoch; 256 learns no sooner and takes longer
        num_epochs=10,  # passes over a batch; more gains little, and the policy runs from its data
        grad_clip=0.5,  # one bad minibatch can't throw the networks far
    ).rl_module(
        rl_module_spec=RLModuleSpec(
            module_class=NormalizedActorCritic,
            model_config={
                "hidden_units": [64, 64],  # enough for tens of inputs; wider for hundreds
                "image_features": 256,  # numbers that the convolutions make of an image
            },
        )
    )
