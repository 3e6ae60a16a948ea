"""PPO in plain torch, as one writes it in a single file, and what of it are the networks alone; for equal_work.py.

Nothing stands between the copies of the environment (Gymnasium's SyncVectorEnv) and the loss: no checks, no adapters, no
normalisation, no episodes, no metrics but the returns. The networks are those of the template, one for the policy and one
for the values, two layers of 64 each.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

GAMMA, LAMBDA, CLIP, LEARNING_RATE, MOST_NORM = 0.99, 0.95, 0.2, 3e-4, 0.5


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Returns the layers of one network."""
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


class PlainPPO:
    """Learns a task of one vector and a Discrete action.

    Args:
        make: makes one copy of the environment.
        copies: of it.
        batch_steps: of all copies, between two updates.
        minibatch: steps of a gradient step.
        epochs: passes over the batch.
    """

    def __init__(self, make: Callable[[], Any], copies: int, batch_steps: int, minibatch: int, epochs: int) -> None:
        self.envs = gym.vector.SyncVectorEnv([make] * copies, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
        self.steps, self.minibatch, self.epochs = batch_steps // copies, minibatch, epochs
        one = make()
        inputs, choices = one.observation_space.shape[0], int(one.action_space.n)
        self.policy, self.value = network(inputs, choices), network(inputs, 1)
        self.params = [*self.policy.parameters(), *self.value.parameters()]
        self.adam = torch.optim.Adam(self.params, lr=LEARNING_RATE, eps=1e-5)
        self.last = torch.from_numpy(self.envs.reset(seed=0)[0])
        self.ended = torch.zeros(copies)

    def train(self) -> None:
        """Samples a batch and learns from it."""
        shape = self.steps, len(self.ended)
        observations = torch.zeros(*shape, *self.last.shape[1:])
        actions, (logps, rewards, ends, values) = torch.zeros(shape, dtype=torch.long), torch.zeros(4, *shape)
        for step in range(self.steps):
            observations[step], ends[step] = self.last, self.ended
            with torch.no_grad():
                distribution = Categorical(logits=self.policy(self.last))
                actions[step] = distribution.sample()
                logps[step] = distribution.log_prob(actions[step])
                values[step] = self.value(self.last)[:, 0]
            results: Any = self.envs.step(actions[step].numpy())
            seen, reward, terminated, truncated, _ = results
            rewards[step] = torch.from_numpy(reward)
            self.last, self.ended = (
                torch.from_numpy(seen),
                torch.from_numpy(np.logical_or(terminated, truncated)).float(),
            )
        advantages, advantage = torch.zeros(shape), torch.zeros(shape[1])
        with torch.no_grad():
            next_value, goes_on = self.value(self.last)[:, 0], 1 - self.ended
        for step in reversed(range(self.steps)):
            delta = rewards[step] + GAMMA * next_value * goes_on - values[step]
            advantages[step] = advantage = delta + GAMMA * LAMBDA * goes_on * advantage
            next_value, goes_on = values[step], 1 - ends[step]
        self._learn(observations, actions, logps, advantages, advantages + values)

    def _learn(self, *columns: torch.Tensor) -> None:
        flat = [column.flatten(0, 1) for column in columns]
        for _ in range(self.epochs):
            for rows in torch.randperm(len(flat[0])).split(self.minibatch):
                observations, actions, logps, advantages, returns = [column[rows] for column in flat]
                distribution = Categorical(logits=self.policy(observations))
                log_ratio = distribution.log_prob(actions) - logps
                ratio = log_ratio.exp()
                with torch.no_grad():
                    _kl = (ratio - 1 - log_ratio).mean()
                advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
                policy_loss = torch.max(-advantages * ratio, -advantages * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                value_loss = (self.value(observations)[:, 0] - returns).square().mean()
                loss = policy_loss + 0.5 * value_loss - 0.0 * distribution.entropy().mean()
                self.adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.params, MOST_NORM)
                self.adam.step()

    def networks_alone(self) -> None:
        """Takes the same batches through the networks, forward and backward, and does nothing else."""
        with torch.inference_mode():
            for _ in range(self.steps):
                self.policy(self.last)
        batch = torch.zeros(self.minibatch, self.last.shape[1])
        for _ in range(self.epochs * self.steps * len(self.last) // self.minibatch):
            outputs, values = self.policy(batch), self.value(batch)
            torch.autograd.grad([outputs, values], self.params, [torch.ones_like(outputs), torch.ones_like(values)])
