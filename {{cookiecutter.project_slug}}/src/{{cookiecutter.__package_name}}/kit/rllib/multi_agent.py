"""The env runner for several agents: all that act at the same time, in all copies, are rows of one batch a policy."""

import copy
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import NUM_AGENT_STEPS_SAMPLED, NUM_MODULE_STEPS_SAMPLED
from ray.tune.registry import ENV_CREATOR, _global_registry

from ..multi_agent.policies import Roles, roles_of
from ..policy.actor import Actor
from ..spaces import ACTION_MASK, require_allowed
from .copies import Copy
from .env_runner import EnvRunner
from .sampled_agents import AgentsCounter
from .trajectories import Batch, Trajectory

Weights = Mapping[str, torch.Tensor]  # of an Actor


class MultiAgentEnvRunner(EnvRunner):
    """Samples the trajectories of all agents, each as an episode of one agent, which RLlib's learner takes as they are."""

    roles: Roles

    def __init__(self, **kwargs: Any) -> None:
        self._copies: list[Copy] = []
        self._batches: dict[str, Batch] = defaultdict(Batch)
        self._snapshots: dict[str, list[Actor]] = defaultdict(list)
        super().__init__(**kwargs)
        self._counter = AgentsCounter()

    def _make_copies(self) -> None:
        make = _global_registry.get(ENV_CREATOR, self.config.env)
        if self.env is not None:
            self.env.close()
        self.env = _Copies([make(self.config.env_config) for _ in range(self.config.num_envs_per_env_runner)])
        self.roles = self.env.use(self.config.policy_mapping_fn)
        self._copies = [Copy(env, self.roles) for env in self.env.envs]
        self.num_envs = len(self._copies)
        self._needs_initial_reset = True

    def get_spaces(self) -> dict[str, Any]:
        """Returns the spaces of each policy."""
        if self.env is None:
            return self.spaces
        both = self.env.observation_space, self.env.action_space
        policies = {name: (one.seen, one.chosen) for name, one in self.roles.policies.items()}
        return {INPUT_ENV_SPACES: both, INPUT_ENV_SINGLE_SPACES: both, **policies}

    def make_module(self) -> None:
        """Makes the networks of all policies."""
        self.module = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True).build()

    def _prepare_module(self) -> None:
        for module in self.module.values():
            module.eval()

    def set_snapshots(self, snapshots: Mapping[str, Sequence[Weights]]) -> None:
        """Takes the past selves of policies, by name, from the first on; episodes under way go on with theirs."""
        for policy, all_weights in snapshots.items():
            for weights in all_weights[len(self._snapshots[policy]) :]:
                actor = copy.deepcopy(self.module[policy].actor)
                actor.load_state_dict(weights)
                self._snapshots[policy].append(actor.eval())

    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        force_reset: bool = False,
        **kwargs: Any,
    ) -> list[SingleAgentEpisode]:
        if self._needs_initial_reset or force_reset or num_episodes is not None:
            self._restart()
        count, steps = self._counter.sampled, 0
        ended: list[Trajectory] = []
        while steps < num_timesteps if num_timesteps is not None else len(count.returns) < (num_episodes or 0):
            for one, actions in zip(self._copies, self._choose(explore), strict=True):
                of_this, is_over = one.step(actions)
                ended += of_this
                if is_over:
                    self._count_episode(one)
                    one.begin(self._snapshots)
            steps += self.num_envs
        count.env_steps += steps
        chunks = []
        going_on = [trajectory for one in self._copies for trajectory in one.trajectories.values()]
        for policy, spaces in self.roles.policies.items():
            of_this = [trajectory for trajectory in ended + going_on if trajectory.policy == policy]
            chunks += self._batches[policy].cut(of_this, spaces)
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        self._increase_sampled_metrics(steps, len(count.returns))
        for key, name in ((NUM_AGENT_STEPS_SAMPLED, "agent_id"), (NUM_MODULE_STEPS_SAMPLED, "module_id")):
            for who, number in _lengths(chunks, name).items():
                self.metrics.log_value((key, who), number, reduce="sum")
        return chunks

    def _restart(self) -> None:
        """Starts an episode in every copy; the first time with its seed."""
        seeds = self._seed if self._needs_initial_reset else None
        self._batches.clear()
        for policy in set(self.roles.past.values()):
            if not self._snapshots[policy]:
                self.set_snapshots({policy: [self.module[policy].actor.state_dict()]})
        for number, one in enumerate(self._copies):
            one.begin(self._snapshots, None if seeds is None else seeds + number)
        self._needs_initial_reset = False

    def _choose(self, explore: bool) -> list[dict[Any, Any]]:
        """Returns the actions of all agents that act next, for each copy; one batch goes through each network."""
        actions: list[dict[Any, Any]] = [{} for _ in self._copies]
        groups: dict[Any, list[tuple[int, Any, Any]]] = defaultdict(list)  # copy, agent and observation
        for number, one in enumerate(self._copies):
            for agent, seen in one.waiting.items():
                if function := self.roles.fixed.get(agent):
                    actions[number][agent] = function(seen)
                else:
                    policy = self.roles.trained.get(agent) or self.roles.past[agent]
                    groups[policy, one.opponents.get(agent)].append((number, agent, seen))
        for (policy, snapshot), rows in groups.items():
            batch = _stack([seen for *_, seen in rows])
            if snapshot is None:
                step = self.act(self.module[policy], batch, explore)
                chosen = step[Columns.ACTIONS]
                first = self._batches[policy].add({Columns.OBS: batch, **step}, len(rows))
                for row, (number, agent, _) in enumerate(rows):
                    self._copies[number].trajectories[agent].act(first + row)
            else:
                chosen = _draw(self._snapshots[policy][snapshot], batch)
            for row, (number, agent, seen) in enumerate(rows):
                adapters = self.roles.adapters[agent]
                choice = tuple(part[row] for part in chosen) if isinstance(chosen, tuple) else chosen[row]
                if isinstance(seen, dict) and ACTION_MASK in seen:
                    require_allowed(adapters.chosen, seen[ACTION_MASK], choice)
                actions[number][agent] = adapters.decode(choice)
        return actions

    def _count_episode(self, one: Copy) -> None:
        """Counts an episode that has ended."""
        count = self._counter.sampled
        count.returns.append(sum(value for agent, value in one.returns.items() if agent in self.roles.trained))
        count.lengths.append(one.length)
        count.agent_returns.append({str(agent): value for agent, value in one.returns.items()})
        self._log_episode_metrics(one.length, count.returns[-1], one.seconds)


class _Copies:
    """What RLlib asks of all copies together; the spaces are those of the policies."""

    def __init__(self, envs: list[Any]) -> None:
        self.envs, self.unwrapped = envs, self

    def use(self, policy_of: Any) -> Roles:
        """Returns who acts for whom."""
        roles = roles_of(self.envs[0], policy_of)
        seen = {name: adapters.seen for name, adapters in roles.policies.items()}
        chosen = {name: adapters.chosen for name, adapters in roles.policies.items()}
        self.observation_space = self.single_observation_space = gym.spaces.Dict(seen)
        self.action_space = self.single_action_space = gym.spaces.Dict(chosen)
        return roles

    def close(self) -> None:
        """Closes them."""
        for env in self.envs:
            env.close()


def _stack(observations: list[Any]) -> Any:
    if isinstance(observations[0], dict):
        return {key: np.stack([one[key] for one in observations]) for key in observations[0]}
    return np.stack(observations)


def _draw(actor: Actor, batch: Any) -> Any:
    """Returns actions of a snapshot, drawn as in training."""
    tensors = {k: torch.from_numpy(v) for k, v in batch.items()} if isinstance(batch, dict) else torch.from_numpy(batch)
    with torch.no_grad():
        chosen = actor.draw(actor(tensors), torch.default_generator)
    return tuple(part.numpy() for part in chosen) if isinstance(chosen, tuple) else chosen.numpy()


def _lengths(chunks: Sequence[SingleAgentEpisode], name: str) -> Counter[str]:
    lengths: Counter[str] = Counter()
    for chunk in chunks:
        lengths[str(getattr(chunk, name))] += len(chunk)
    return lengths
