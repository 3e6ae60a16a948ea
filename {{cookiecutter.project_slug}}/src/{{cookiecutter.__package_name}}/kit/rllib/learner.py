"""RLlib's PPO learner with a leaner loop, normalised returns, and a step size that follows the policy's change."""

from typing import Any

import torch
import tree
from ray.rllib.algorithms.ppo.ppo import LEARNER_RESULTS_KL_KEY, LEARNER_RESULTS_VF_EXPLAINED_VAR_KEY
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.connectors.learner import GeneralAdvantageEstimation
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY, Learner
from ray.rllib.evaluation.postprocessing import Postprocessing
from torch import nn

from .normalization import NormalizedActorCritic, ObserveBatch

_COLUMNS = (
    Columns.OBS,
    Columns.ACTIONS,
    Columns.ACTION_LOGP,
    Postprocessing.ADVANTAGES,
    Postprocessing.VALUE_TARGETS,
)
# The mean of each over the last pass; the value loss in units of the returns' variance.
_METRICS = (Learner.TOTAL_LOSS_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY, ENTROPY_KEY, LEARNER_RESULTS_KL_KEY)
_LR_RANGE = (1e-5, 1e-2)  # the step size moves between these
_LR_FACTOR = 1.5  # and at most so much after one minibatch


class PPOLearner(PPOTorchLearner):
    """RLlib's learner, with its loss but without its bookkeeping around each minibatch.

    Two things differ, so that one configuration fits any environment. The squared error of the values counts in units
    of the returns' variance. And `kl_target` steers the step size of Adam: it falls after a minibatch whose policy is
    further than twice the target from the one that sampled, and grows after one that is nearer than half of it
    (Rudin et al. 2022, "Learning to Walk in Minutes").
    """

    def build(self) -> None:
        """Makes networks, optimizer and connectors; RLlib calls it."""
        super().build()
        self._learner_connector.insert_before(GeneralAdvantageEstimation, ObserveBatch())
        if self.config.kl_target:
            self._optimizer_lr_schedules.clear()  # they would put the step size back after each update

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Makes Adam as RLlib does, but in its fused form, which takes a fraction of the time on small networks."""
        params = self.get_parameters(self._module[module_id])
        adam = torch.optim.Adam(params, fused=True)
        self.register_optimizer(module_id=module_id, optimizer=adam, params=params, lr_or_lr_schedule=config.lr)

    def update(
        self,
        *,
        training_data: Any,
        timesteps: dict[str, Any],
        num_epochs: int = 1,
        minibatch_size: int | None = None,
        **_: Any,
    ) -> Any:
        """Learns from a batch of episodes; returns RLlib's metrics."""
        self.before_gradient_based_update(timesteps=timesteps)
        training_data.solve_refs()
        self._weights_seq_no += 1
        batch = self._make_batch_if_necessary(training_data)
        for module_id, columns in batch.policy_batches.items():
            if self.should_module_be_updated(module_id, batch):
                metrics = self._update_module(module_id, columns, num_epochs, minibatch_size)
                self.metrics.log_dict(metrics, key=module_id, window=1)
        self._log_steps_trained_metrics(batch)
        self.after_gradient_based_update(timesteps=timesteps)
        return self.metrics.reduce()

    def _update_module(
        self, module_id: str, batch: dict[str, Any], num_epochs: int, minibatch_size: int | None
    ) -> dict[str, float]:
        """Passes `num_epochs` times over the batch of one module; returns the means of the last pass."""
        columns = {name: batch[name] for name in _COLUMNS}
        if Columns.LOSS_MASK in batch:  # leave out the rows that only served to estimate advantages
            columns = tree.map_structure(lambda column: column[batch[Columns.LOSS_MASK]], columns)
        advantages, targets = columns[Postprocessing.ADVANTAGES], columns[Postprocessing.VALUE_TARGETS]
        # RLlib divides them by at least 1e-4, which leaves tiny rewards without effect.
        columns[Postprocessing.ADVANTAGES] = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        module, variance = self.module[module_id].unwrapped(), 1.0
        if isinstance(module, NormalizedActorCritic):
            module.observe_returns(targets)
            variance = float(module.return_statistics.deviation) ** 2
        flat = tree.flatten(columns)
        minibatches = max(1, round(len(targets) / (minibatch_size or len(targets))))
        for _ in range(num_epochs):
            seen = []
            for rows in torch.randperm(len(targets), device=targets.device).tensor_split(minibatches):
                minibatch = tree.unflatten_as(columns, [column[rows] for column in flat])
                seen.append(self._descend(module_id, minibatch, variance))
        metrics = dict(zip(_METRICS, torch.stack(seen).mean(0).tolist(), strict=True))
        unexplained = metrics[VF_LOSS_KEY] * variance / max(float(targets.var(correction=0)), 1e-30)
        return metrics | {LEARNER_RESULTS_VF_EXPLAINED_VAR_KEY: 1 - unexplained}

    def _descend(self, module_id: str, minibatch: dict[str, Any], variance: float) -> torch.Tensor:
        """Takes one step of Adam; returns _METRICS."""
        optimizer = self.get_optimizer(module_id)
        parameters = self._optimizer_parameters[optimizer]
        loss, metrics = self._loss(module_id, minibatch, variance)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        if self.config.grad_clip:
            nn.utils.clip_grad_norm_(parameters, self.config.grad_clip)
        optimizer.step()
        self._follow_kl(optimizer, float(metrics[-1]))
        return metrics

    def _loss(self, module_id: str, batch: dict[str, Any], variance: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns RLlib's PPO loss of a minibatch, and _METRICS."""
        outputs = self.module[module_id].forward_train(batch)
        module = self.module[module_id].unwrapped()
        distribution = module.get_train_action_dist_cls().from_logits(outputs[Columns.ACTION_DIST_INPUTS])
        log_ratio = distribution.logp(batch[Columns.ACTIONS]) - batch[Columns.ACTION_LOGP]
        ratio, clip, advantages = log_ratio.exp(), self.config.clip_param, batch[Postprocessing.ADVANTAGES]
        policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        values = module.compute_values(batch, embeddings=outputs.get(Columns.EMBEDDINGS))
        value_loss = (values - batch[Postprocessing.VALUE_TARGETS]).square().mean() / variance
        entropy = distribution.entropy().mean()
        loss = policy_loss + self.config.vf_loss_coeff * value_loss
        loss = loss - self.entropy_coeff_schedulers_per_module[module_id].get_current_value() * entropy
        kl = (ratio - 1 - log_ratio).mean()  # estimated from the samples: Schulman 2020, "Approximating KL Divergence"
        return loss, torch.stack([loss, policy_loss, value_loss, entropy, kl]).detach()

    def _follow_kl(self, optimizer: Any, kl: float) -> None:
        """Moves the step size to where a minibatch changes the policy by about `kl_target`."""
        target, lr = self.config.kl_target, self._get_optimizer_lr(optimizer)
        if kl > 2 * target > 0:
            self._set_optimizer_lr(optimizer, max(lr / _LR_FACTOR, _LR_RANGE[0]))
        elif kl < target / 2:
            self._set_optimizer_lr(optimizer, min(lr * _LR_FACTOR, _LR_RANGE[1]))
