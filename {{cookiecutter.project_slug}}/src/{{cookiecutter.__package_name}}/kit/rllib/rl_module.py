"""RLlib's RLModule around the networks: what acts, and the value network that only learning needs."""

from copy import deepcopy
from typing import Any

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.catalog import Catalog
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from ..policy.actor import Actor, require_finite
from ..policy.networks import Network
from ..policy.normalization import RunningStatistics


class ActorCritic(TorchRLModule, ValueFunctionAPI, InferenceOnlyAPI):
    """What PPO learns: a distribution over actions and the value of an observation, by networks that share nothing.

    The statistics of observations and returns are buffers: RLlib sends them to every env runner with the weights.
    """

    def setup(self) -> None:
        """Builds both networks; RLlib calls it."""
        self.actor = Actor(self.observation_space, self.action_space, self.model_config)
        self.value = Network(self.observation_space, 1, **self.actor.model_config, head_gain=1.0)
        nn.init.zeros_(self.value.layers[-1].weight)  # the first returns are measured without a guess of their scale
        self.return_statistics = RunningStatistics()
        self.action_dist_cls = Catalog._get_dist_cls_from_action_space(self.action_space, framework="torch")

    def get_non_inference_attributes(self) -> list[str]:
        """Leaves the value network out where actions are only computed."""
        return ["value"]

    def train(self, mode: bool = True) -> "ActorCritic":
        """Switches between learning and acting; RLlib asks for it at every step, here only a change takes time."""
        return self if mode == self.training else super().train(mode)

    def observe_returns(self, returns: torch.Tensor) -> None:
        """Takes returns into the statistics, and adapts the last layer so that every value stays (van Hasselt 2016)."""
        statistics, head = self.return_statistics, self.value.layers[-1]
        mean, deviation = statistics.mean.clone(), statistics.deviation.clone()
        statistics.update(returns)
        with torch.no_grad():
            head.weight *= deviation / statistics.deviation
            head.bias.copy_((head.bias * deviation + mean - statistics.mean) / statistics.deviation)

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Returns the value of each observation in the environment's own rewards, shape (batch,)."""
        return require_finite(self._values(self.actor.normalized(batch[Columns.OBS])), batch[Columns.OBS])

    def _values(self, normalized: Any) -> torch.Tensor:
        return self.value(normalized).squeeze(-1) * self.return_statistics.deviation + self.return_statistics.mean

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        normalized = self.actor.normalized(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.actor.judge(normalized), Columns.VF_PREDS: self._values(normalized)}

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        observation = batch[Columns.OBS]
        return {Columns.ACTION_DIST_INPUTS: require_finite(self.actor(observation), observation)}


class ObserveBatch(ConnectorV2):
    """Shows each batch to the networks' statistics before the networks judge it."""

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Returns the batch as it is; called by RLlib's learner."""
        for module_id, columns in batch.items():
            rl_module[module_id].unwrapped().actor.observe(columns[Columns.OBS])
        return batch


def trained_actors(algorithm: Algorithm) -> dict[str, Actor]:
    """Returns what the learners of an algorithm have made of each policy, to save it; of a single one by RLlib's name."""

    def actors(learner: Any) -> dict[str, Actor]:
        found = {name: module.unwrapped().actor for name, module in learner.module.items()}
        if learner.config.num_learners:  # in another process, whose GPU this one may not have
            return {name: deepcopy(actor).cpu() for name, actor in found.items()}
        return found

    return next(iter(algorithm.learner_group.foreach_learner(actors))).get()
