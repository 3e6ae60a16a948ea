"""The PPO that trains the environment: change the learning here. Every number has its reason."""

from ray.rllib.algorithms.ppo import PPOConfig

HIDDEN_UNITS = [64, 64]  # of each network, a layer each: enough for tens of inputs; wider for hundreds


def ppo_config(config: PPOConfig) -> PPOConfig:
    """Sets what decides how, and how well, the policy learns.

    Args:
        config: as the kit has prepared it: the environment, env runners, learner and networks.
    """
    side = config.model_config["image_side"]  # of the largest image that is observed, in pixels; 0 where none is
    continuous = config.model_config["continuous_actions"]
    image_features = 64 if side <= 16 else 128 if side <= 48 else 256  # numbers that the convolutions make of an image
    return config.training(
        lr=3e-4,  # where Adam's step size starts: `kl_target` moves it, between 1/30 and 7 times this
        # How far a minibatch may move the policy: more makes the batch off-policy. 0: `lr` stays.
        kl_target=0.02 if continuous else 0.01,  # choices bear less
        use_kl_loss=False,  # the step size keeps to the target, and needs no second loss for it
        gamma=0.995,  # looks about 200 steps ahead; with 100, LunarLander hovers: what landing pays is too far away
        lambda_=0.95,  # the usual balance of bias and variance (Schulman et al. 2016)
        clip_param=0.2,  # how far an update may move the policy (Schulman et al. 2017)
        vf_clip_param=float("inf"),  # RLlib clips the squared value error, and with it the gradient, at 10
        vf_loss_coeff=0.5,  # the networks share nothing: this weighs only in the common gradient clip
        # Keeps choices open; raise it when training settles early. Continuous actions explore by a noise of their own.
        entropy_coeff=0.01 if side else 0.0 if continuous else 0.005,
        train_batch_size_per_learner=2_048,  # steps between two updates: a stable gradient, and soon the next one
        minibatch_size=512,  # 4 gradient steps an epoch; 256 learns no sooner and takes longer
        num_epochs=4 if side else 10,  # passes over a batch; more gains little; of images, it takes most of the time
        grad_clip=0.5,  # one bad minibatch can't throw the networks far
    ).rl_module(model_config={"hidden_units": HIDDEN_UNITS, "image_features": image_features})
