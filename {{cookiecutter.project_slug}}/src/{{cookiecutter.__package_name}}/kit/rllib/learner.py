"""RLlib's PPO learner with a leaner loop, normalised returns, and a step size that follows the policy's change."""

from typing import Any

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.ppo import LEARNER_RESULTS_KL_KEY, LEARNER_RESULTS_VF_EXPLAINED_VAR_KEY
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.connectors.learner import GeneralAdvantageEstimation
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY, Learner
from torch import nn

from ..errors import RunError
from ..policy.actor import require_finite
from ..policy.normalization import moments, total
from . import map_leaves, quieten
from .adam import Adam
from .rl_module import ActorCritic, ObserveBatch
from .seeding import seed_process

_COLUMNS = (Columns.OBS, Columns.ACTIONS, Columns.ACTION_LOGP, Columns.ADVANTAGES, Columns.VALUE_TARGETS)
# The mean of each over the last pass; the value loss in units of the returns' variance.
_METRICS = (Learner.TOTAL_LOSS_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY, ENTROPY_KEY, LEARNER_RESULTS_KL_KEY)
# The step size moves between so many times `lr`. It grows while batches say little, and the first one that says much
# moves the policy by it: at 30 times `lr`, LunarLander forgot how to land and hovered for hundreds of thousands of steps.
_LR_RANGE = (1 / 30, 7.0)
_LR_FACTOR = 1.5  # and at most so much after one minibatch


def unsupported(config: PPOConfig) -> str | None:
    """Returns a line about a setting that the learner would ignore, with what to write instead, or None."""
    if not issubclass(config.rl_module_spec.module_class, ActorCritic):
        return "rl_module_spec: only the kit's own networks can be saved as a policy; change its model_config instead"
    is_schedule = not isinstance(config.lr, int | float)
    for name, is_ignored, advice in (
        ("use_kl_loss", config.use_kl_loss, "write use_kl_loss=False; kl_target steers the step size instead"),
        ("kl_coeff", config.kl_coeff not in (0.0, PPOConfig().kl_coeff), "leave it out; use kl_target"),
        ("use_critic", not config.use_critic, "leave it out; advantages are estimated with the value network"),
        ("use_gae", not config.use_gae, "leave it out; lambda_=1.0 sums the rewards as they are"),
        ("shuffle_batch_per_epoch", not config.shuffle_batch_per_epoch, "leave it out"),
        ("grad_clip_by", config.grad_clip_by != "global_norm", 'write "global_norm"'),
        ("num_gpus_per_learner", config.num_gpus_per_learner > 1, "write 1; more GPUs take as many num_learners"),
        ("lr", bool(config.kl_target) and is_schedule, "write one number, or kl_target=0.0 to keep to a schedule"),
    ):
        if is_ignored:
            return f"{name}={getattr(config, name)!r} has no effect with this learner: {advice}"
    if config.is_multi_agent and config.num_learners > 1:  # who has no step of a policy would be waited for without end
        return f"num_learners={config.num_learners}, but several agents are learnt by at most one; write 1 or 0"
    return None


class PPOLearner(PPOTorchLearner):
    """RLlib's learner, with its loss but without its bookkeeping around each minibatch.

    Two things differ, so that one configuration fits any environment. The squared error of the values counts in units
    of the returns' variance. And `kl_target` steers the step size of Adam: it falls after a minibatch whose policy is
    further than twice the target from the one that sampled, and grows after one that is nearer than half of it
    (Rudin et al. 2022, "Learning to Walk in Minutes").
    """

    def __init__(self, **kwargs: Any) -> None:
        quieten()  # where it has a process of its own
        super().__init__(**kwargs)

    def build(self) -> None:
        """Makes networks, optimizer and connectors; RLlib calls it.

        Raises:
            RunError: a setting would be ignored.
        """
        if line := unsupported(self.config):
            raise RunError(line)
        seed_process(self.config)
        super().build()
        self._learners = max(1, self.config.num_learners)  # all start from the same seed, hence the same weights
        self._learner_connector.insert_before(GeneralAdvantageEstimation, ObserveBatch())

    def _make_modules_ddp_if_necessary(self) -> None:
        """Wraps nothing: `_descend` averages the gradients, where torch's wrapper stops at a parameter without one."""

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Makes Adam as RLlib does, but in its fused form, which takes a fraction of the time on small networks."""
        params = self.get_parameters(self.module[module_id])
        schedule = None if config.kl_target else config.lr  # RLlib would put the step size back after each update
        # The second moment of gradients is of the last 100 minibatches. With Adam's own 1,000, which are 25 batches, the
        # first falls from a cliff kept the value network from seeing anything smaller until long after the last one.
        adam = Adam(params, lr=config.lr if schedule is None else 0.0, betas=(0.9, 0.99), fused=True)
        self.register_optimizer(module_id=module_id, optimizer=adam, params=params, lr_or_lr_schedule=schedule)

    def update(self, *, num_epochs: int = 1, minibatch_size: int | None = None, **kwargs: Any) -> Any:
        """Learns from a batch of episodes; returns RLlib's metrics. RLlib hands the batch over in one piece."""
        self._epochs, self._minibatch_size = num_epochs, minibatch_size
        return super().update(num_epochs=1, minibatch_size=None, **kwargs)

    def _update(self, batch: dict[str, Any], **kwargs: Any) -> tuple[dict, dict[str, float], dict]:
        """Passes over the batch of each module; returns outputs, losses and metrics, of which RLlib reads the losses."""
        losses = {}
        for module_id, columns in batch.items():
            metrics = self._update_module(module_id, columns)
            losses[module_id] = metrics.pop(Learner.TOTAL_LOSS_KEY)
            self.metrics.log_dict(metrics, key=module_id, window=1)
        return {}, losses, {}

    def _update_module(self, module_id: str, batch: dict[str, Any]) -> dict[str, float]:
        """Passes over the batch of one module; returns the means of the last pass."""
        columns = {name: batch[name] for name in _COLUMNS}
        if Columns.LOSS_MASK in batch:  # leave out the rows that only served to estimate advantages
            columns = _rows(columns, batch[Columns.LOSS_MASK].nonzero()[:, 0])
        advantages, targets = columns[Columns.ADVANTAGES], columns[Columns.VALUE_TARGETS]
        # RLlib divides them by at least 1e-4, which leaves tiny rewards without effect.
        count, mean, spread = moments(advantages)
        columns[Columns.ADVANTAGES] = (advantages - mean) / (spread.sqrt() + 1e-8)
        module = self.module[module_id].unwrapped()
        module.observe_returns(targets)
        variance = float(module.return_statistics.deviation) ** 2
        share = float(count) / self._learners  # of the batch; learners that share one take equally many steps
        minibatches = max(1, round(share / (self._minibatch_size or share)))
        for _ in range(self._epochs):
            seen = []
            for rows in torch.randperm(len(targets), device=targets.device).tensor_split(minibatches):
                seen.append(self._descend(module_id, _rows(columns, rows), variance))
        metrics = dict(zip(_METRICS, torch.stack(seen).mean(0).tolist(), strict=True))
        unexplained = metrics[VF_LOSS_KEY] * variance / max(float(targets.var(correction=0)), 1e-30)
        return metrics | {LEARNER_RESULTS_VF_EXPLAINED_VAR_KEY: 1 - unexplained}

    def _descend(self, module_id: str, minibatch: dict[str, Any], variance: float) -> torch.Tensor:
        """Takes one step of Adam; returns _METRICS."""
        optimizer = self.get_optimizer(module_id)
        (group,) = optimizer.param_groups
        loss, metrics = self._loss(module_id, minibatch, variance)
        require_finite(metrics, minibatch[Columns.OBS])
        optimizer.zero_grad()
        loss.backward()
        if self._learners > 1:
            gradients = [parameter.grad for parameter in group["params"] if parameter.grad is not None]
            average = total(nn.utils.parameters_to_vector(gradients)) / self._learners
            nn.utils.vector_to_parameters(average, gradients)
        if self.config.grad_clip:
            _clip(group["params"], self.config.grad_clip)
        optimizer.step()
        if self.config.kl_target:
            group["lr"] = self._step_size(group["lr"], float(total(metrics[-1].clone())) / self._learners)
        return metrics

    def _loss(self, module_id: str, batch: dict[str, Any], variance: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns RLlib's PPO loss of a minibatch, and _METRICS."""
        module = self.module[module_id]
        actor, seen = module.unwrapped().actor, module.forward_train(batch)
        outputs, values = seen[Columns.ACTION_DIST_INPUTS], seen[Columns.VF_PREDS]
        log_ratio = actor.log_probability(outputs, batch[Columns.ACTIONS]) - batch[Columns.ACTION_LOGP]
        ratio, clip, advantages = log_ratio.exp(), self.config.clip_param, batch[Columns.ADVANTAGES]
        policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        squares = (values - batch[Columns.VALUE_TARGETS]).square().clamp(max=self.config.vf_clip_param)
        value_loss = squares.mean() / variance
        entropy_coeff = self.entropy_coeff_schedulers_per_module[module_id].get_current_value()
        with torch.set_grad_enabled(bool(entropy_coeff != 0)):
            entropy = actor.entropy(outputs).mean()
        loss = policy_loss + self.config.vf_loss_coeff * value_loss - entropy_coeff * entropy
        with torch.no_grad():
            kl = (ratio - 1 - log_ratio).mean()  # by the samples: Schulman 2020, "Approximating KL Divergence"
            return loss, torch.stack([loss, policy_loss, value_loss, entropy, kl])

    def _step_size(self, lr: float, kl: float) -> float:
        """Returns the step size at which a minibatch changes the policy by about `kl_target`."""
        if kl > 2 * self.config.kl_target:
            return max(lr / _LR_FACTOR, _LR_RANGE[0] * self.config.lr)
        if kl < self.config.kl_target / 2:
            return min(lr * _LR_FACTOR, _LR_RANGE[1] * self.config.lr)
        return lr


def _rows(columns: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    return {name: map_leaves(lambda leaf: leaf.index_select(0, rows), column) for name, column in columns.items()}


def _clip(params: list[torch.Tensor], most: float) -> None:
    """Scales the gradients of parameters down where their common norm is larger than `most`."""
    gradients = [param.grad for param in params if param.grad is not None]
    norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    if norm > most:
        for gradient in gradients:
            gradient.mul_(most / norm)
