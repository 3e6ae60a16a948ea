"""The leaner sampling and learner do what RLlib's own do: same seeds, same episodes, same weights."""

import subprocess

import pytest
from conftest import BakedProject

SETUP = """
import numpy as np, ray, torch
from ray.rllib.core.columns import Columns
ray.init(include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
from {package} import TASK
from {package}.kit.rllib.config import algorithm_config
from {package}.kit.vectorization.settings import Vectorization
config = algorithm_config(TASK, Vectorization(0, 3, "sync", ""), seed=1)
"""

# Both runners start from the same weights and draw the same random numbers, in the actor's way.
SAMPLING = """
from {package}.kit.rllib.env_runner import EnvRunner
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical

def episodes(of_rllib):
    torch.manual_seed(0)
    runner = EnvRunner(config=config)
    if of_rllib:
        runner._is_plain = False  # leaves everything to RLlib
        TorchCategorical.sample = lambda self: runner.module.actor.draw(self.logits, torch.default_generator)
    torch.manual_seed(0)
    sampled = [episode for _ in range(4) for episode in runner.sample(num_timesteps=100)]
    metrics = runner.get_metrics()
    returns = [value for sampled in metrics["sampled"].peek() for value in sampled.returns]
    return sampled, returns

ours, our_returns = episodes(of_rllib=False)
theirs, their_returns = episodes(of_rllib=True)
assert len(ours) == len(theirs) > 12, (len(ours), len(theirs))
assert our_returns == their_returns and len(our_returns) > 3, (our_returns, their_returns)
for our, their in zip(ours, theirs, strict=True):
    assert len(our) == len(their) and our.t == their.t and our.t_started == their.t_started
    assert (our.is_terminated, our.is_truncated) == (their.is_terminated, their.is_truncated)
    assert our.get_infos() == their.get_infos()
    np.testing.assert_array_equal(our.get_observations(), their.get_observations())
    np.testing.assert_array_equal(our.get_actions(), their.get_actions())
    np.testing.assert_allclose(our.get_rewards(), their.get_rewards(), rtol=1e-6)
    for column in (Columns.ACTION_LOGP, Columns.ACTION_DIST_INPUTS):
        np.testing.assert_allclose(our.get_extra_model_outputs(column), their.get_extra_model_outputs(column), rtol=1e-5)
assert any(episode.t_started for episode in ours)  # some go on from one sampling to the next
print("same episodes")
"""

# What looks back on earlier steps, or computes elsewhere, is left to RLlib.
LOOKBACK = """
from {package}.kit.rllib.env_runner import EnvRunner
from {package}.kit.rllib import sampling

runner = EnvRunner(config=config.copy(copy_frozen=False).env_runners(episode_lookback_horizon=3))
chunks = [episode for _ in range(4) for episode in runner.sample(num_timesteps=10)]
assert any(chunk.observations.lookback == 3 for chunk in chunks), [chunk.observations.lookback for chunk in chunks]
assert sampling._is_on_cpu(runner.module) and not sampling._is_on_cpu(runner.module.to("meta"))
print("looks back")
"""

# A batch of one minibatch, advantages and returns already standardised, no steering of the step size: RLlib's PPO to the
# letter.
LEARNER = """
from {package}.kit.rllib.learner import PPOLearner
from {package}.kit.rllib.rl_module import ActorCritic
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.rllib.core.learner.training_data import TrainingData

from {package}.registration import env_creator
env = env_creator()
spec = RLModuleSpec(
    module_class=ActorCritic,
    observation_space=env.observation_space,
    action_space=env.action_space,
    model_config={{"hidden_units": [64, 64], "image_features": 256}},
)
generator = torch.Generator().manual_seed(3)
size = 200
advantages, targets = torch.randn(2, size, generator=generator)
columns = {{
    "obs": torch.rand(size, 1, generator=generator),
    "actions": torch.randint(0, 2, (size,), generator=generator),
    "action_logp": torch.full((size,), -0.7),
    "action_dist_inputs": torch.zeros(size, 2),
    "advantages": (advantages - advantages.mean()) / advantages.std(correction=0),
    "value_targets": (targets - targets.mean()) / targets.std(correction=0),
}}

def learnt(learner_class):
    torch.manual_seed(0)
    learner = learner_class(
        # RLlib's own learner knows the seed only where `debugging` puts it.
        config=config.copy(copy_frozen=False).debugging(seed=1).training(kl_target=0.0, entropy_coeff=0.01),
        module_spec=spec,
    )
    learner.build()
    head = learner.module["default_policy"].unwrapped().value.layers[-1]
    for group in learner.get_optimizer("default_policy").param_groups:
        group["betas"] = (0.9, 0.99)  # RLlib can't be told
    torch.nn.init.orthogonal_(head.weight)  # zeros would make Adam follow what is only rounding
    batch = MultiAgentBatch({{"default_policy": SampleBatch(dict(columns))}}, env_steps=size)
    result = learner.update(
        training_data=TrainingData(batch=batch),
        timesteps={{NUM_ENV_STEPS_SAMPLED_LIFETIME: 0}},
        num_epochs=5,
        minibatch_size=None,
    )
    loss = float(result["default_policy"]["total_loss"].peek())
    return loss, learner.module["default_policy"].get_state()

our_loss, ours = learnt(PPOLearner)
their_loss, theirs = learnt(PPOTorchLearner)
np.testing.assert_allclose(our_loss, their_loss, rtol=1e-4)
assert ours.pop("return_statistics.count") == size and theirs.pop("return_statistics.count") == 0
for name, weights in theirs.items():
    np.testing.assert_allclose(ours[name], weights, rtol=1e-4, atol=1e-6, err_msg=name)
print("same weights")
"""

# Generalised advantage estimation, written out: only a terminated episode is worth nothing after its last step.
TARGETS = """
from {package}.kit.rllib.learner import PPOLearner
from {package}.registration import env_creator
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

env, size, value = env_creator(), 5, 10.0
rewards = np.arange(1.0, 1.0 + size)
learner = PPOLearner(config=config, module_spec=config.get_rl_module_spec(env=env))
learner.build()
learner.module["default_policy"].unwrapped().return_statistics.mean.fill_(value)  # what its new network says of all

def targets(**end):
    episode = SingleAgentEpisode(
        observations=list(np.linspace(0, 1, size + 1, dtype=np.float32)[:, None]),
        observation_space=env.observation_space,
        actions=[np.int64(1)] * size,
        action_space=env.action_space,
        rewards=list(rewards),
        extra_model_outputs={{"action_logp": [-0.7] * size, "action_dist_inputs": [np.zeros(2, np.float32)] * size}},
        len_lookback_buffer=0,
        **end,
    )
    columns = learner._make_batch_if_necessary(TrainingData(episodes=[episode])).policy_batches["default_policy"]
    return columns["value_targets"][columns["loss_mask"]].numpy()

def expected(after_the_end):
    advantage, found, next_value = 0.0, [], after_the_end
    for reward in reversed(rewards):
        advantage = reward + config.gamma * next_value - value + config.gamma * config.lambda_ * advantage
        found.append(advantage + value)
        next_value = value
    return found[::-1]

np.testing.assert_allclose(targets(terminated=True), expected(after_the_end=0.0), rtol=1e-5)
np.testing.assert_allclose(targets(truncated=True), expected(after_the_end=value), rtol=1e-5)
np.testing.assert_allclose(targets(), expected(after_the_end=value), rtol=1e-5)  # goes on in the next batch
print("right targets")
"""
# Sampling comes last: it leaves a method of RLlib changed behind.
SCRIPTS = {"looks back": LOOKBACK, "same weights": LEARNER, "right targets": TARGETS, "same episodes": SAMPLING}
# One after the other, each with a configuration of its own, in one process: its start takes longer than they do.
ALL = """
import sys, traceback
{setup}
for script in {scripts}:
    try:
        exec(script, {{**vars(), "config": config.copy()}})
    except Exception:
        traceback.print_exc()
"""


@pytest.fixture(scope="module")
def done(corridor: BakedProject) -> "subprocess.CompletedProcess[str]":
    """What the scripts have printed."""
    setup, *scripts = (text.format(package=corridor.package) for text in (SETUP, *SCRIPTS.values()))
    return corridor.run("-W", "ignore", "-c", ALL.format(setup=setup, scripts=scripts))


@pytest.mark.parametrize("words", SCRIPTS)
def test_agrees_with_rllib(done: "subprocess.CompletedProcess[str]", words: str) -> None:
    assert words in done.stdout, done.stderr
