"""The PPO that trains the environment; every number with its reason."""

from collections.abc import Mapping
from typing import Any

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from .env_runner import EnvRunner, log_episode_return
from .registration import register_env
from .vectorization import Vectorization

BATCH_STEPS = 2_048  # steps between two updates of the policy: enough for a stable gradient, few enough to learn soon


def ppo_config(vectorization: Vectorization, seed: int, env_config: Mapping[str, Any] | None = None) -> PPOConfig:
    """Returns the configuration that `train` builds; change the learning here.

    Args:
        vectorization: processes and copies to sample with.
        seed: of the networks and of every copy of the environment.
        env_config: the fields of `EnvConfig` that differ from their defaults.
    """
    return (
        PPOConfig()
        .environment(register_env(), env_config=dict(env_config or {}))
        .env_runners(
            env_runner_cls=EnvRunner,
            num_env_runners=vectorization.num_env_runners,
            num_envs_per_env_runner=vectorization.num_envs_per_env_runner,
            gym_env_vectorize_mode=vectorization.gym_env_vectorize_mode,
            sample_timeout_s=None,  # a slow environment is waited for; RLlib's 60 s would train on nothing
        )
        .training(
            lr=3e-4,  # Adam's usual step; lower learns slower, higher forgets
            gamma=0.99,  # looks about 100 steps ahead
            lambda_=0.95,  # the usual balance of bias and variance (Schulman et al. 2016)
            clip_param=0.2,  # how far an update may move the policy (Schulman et al. 2017)
            vf_clip_param=float("inf"),  # RLlib clips the squared value error, and with it the gradient, at 10
            vf_loss_coeff=0.5,  # the networks share nothing: this weighs only in the common gradient clip
            entropy_coeff=0.0,  # exploration comes from the policy's own noise; raise it when training settles early
            use_kl_loss=False,  # the clip alone bounds the update
            train_batch_size_per_learner=BATCH_STEPS,
            minibatch_size=256,  # 8 gradient steps an epoch
            num_epochs=10,  # passes over a batch; more gains little, and the policy runs from its data
            grad_clip=0.5,  # one bad minibatch can't throw the networks far
        )
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=[64, 64],  # enough for tens of inputs; wider for hundreds
                fcnet_activation="tanh",  # keeps the first actions moderate
                fcnet_kernel_initializer="orthogonal_",  # with these gains: Andrychowicz et al. 2021, section 3.2
                fcnet_kernel_initializer_kwargs={"gain": 2**0.5},
                head_fcnet_kernel_initializer="orthogonal_",
                head_fcnet_kernel_initializer_kwargs={"gain": 0.01},  # the first policy is close to even
                vf_share_layers=False,  # shared, a large value loss drowns the policy's gradient
            )
        )
        .learners(num_learners=0)  # the update runs in this process
        .fault_tolerance(restart_failed_env_runners=False)  # an error in the environment ends the run, loudly
        .callbacks(on_episode_end=log_episode_return)
        .debugging(seed=seed, log_level="ERROR", log_sys_usage=False)
    )


