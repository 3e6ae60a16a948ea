"""RLlib's env runner with batched sampling: the copies of an environment stay one batch until an episode ends."""

from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from . import map_leaves


class BatchedEnvRunner(SingleAgentEnvRunner):
    """Samples the episodes that RLlib's own would, in a fraction of its time where the environment's step is cheap.

    RLlib takes each step of each copy apart, leads it through two pipelines of connectors and keeps it in an episode.
    Here the observations of all copies go into the network as they come, and episodes are cut out of the batch when
    they end. What needs more than that is left to RLlib: connectors of one's own and the steps that they look back on,
    a callback on each step, a network with a memory or on a GPU, actions to be rescaled, a failed environment to be
    made anew.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._last: Any = None  # what the copies have seen last, see _Record; None where RLlib has sampled since
        self._prepare_module()

    def _prepare_module(self) -> None:
        """Looks whether sampling can be batched."""
        config = self.config
        self._is_plain = not (
            config._env_to_module_connector
            or config._module_to_env_connector
            or config.normalize_actions
            or config.clip_actions
            or config.restart_failed_sub_environments
            or config.callbacks_on_episode_step
            or any(type(each).on_episode_step is not RLlibCallback.on_episode_step for each in self._callbacks)
            or config.episode_lookback_horizon > 1
            or (self.module is not None and (self.module.is_stateful() or not _is_on_cpu(self.module)))
        )
        if self.module is not None:
            self.module.eval()  # for good, so that RLlib doesn't switch to it and back at every step

    def _sample(self, *, num_timesteps: int | None = None, explore: bool, **kwargs: Any) -> list[SingleAgentEpisode]:
        if not self._is_plain or num_timesteps is None or kwargs.get("random_actions"):
            self._last = None
            return super()._sample(num_timesteps=num_timesteps, explore=explore, **kwargs)
        if self._last is None or self._needs_initial_reset or kwargs.get("force_reset"):
            self._reset_envs_and_episodes(explore)
            observations = tree.map_structure(lambda part: part.numpy(), self._cached_to_module[Columns.OBS])
            self._last = observations, [episode.infos[-1] for episode in self._ongoing_episodes], set()
        # A copy resets at most after each of its steps.
        record, done, count = _Record(*self._last, 2 * (num_timesteps // self.num_envs + 2)), [], 0
        while count < num_timesteps:
            step = self.act(self.module, record.seen, explore)
            *results, infos = self.env.step(step[Columns.ACTIONS])
            observations, step[Columns.REWARDS], terminated, truncated = results
            record.append(step, observations, infos)
            count += self.num_envs - len(record.ended)
            for copy in record.ended:
                record.starts[copy] = record.length
                first = tree.map_structure(lambda part, i=copy: part[i], record.seen)
                self._ongoing_episodes[copy].add_env_reset(first, infos[copy])
                self._make_on_episode_callback("on_episode_start", copy, self._ongoing_episodes)
            record.ended = set(np.flatnonzero(terminated | truncated).tolist())
            for copy in record.ended:
                episode = record.cut(copy, self._ongoing_episodes[copy], bool(terminated[copy]), bool(truncated[copy]))
                self._ongoing_episodes[copy] = episode
                self._make_on_episode_callback("on_episode_end", copy, self._ongoing_episodes)
                done.append(episode)
                self._new_episode(copy)
        self._done_episodes_for_metrics.extend(done)
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=count)
        self._increase_sampled_metrics(count, len(done))
        self._last = record.seen, record.infos[-1], record.ended
        return done + self._cut_ongoing(record)

    def act(self, module: Any, observations: Any, explore: bool) -> dict[str, Any]:
        """Returns the actions for a batch of observations, with what the learner needs to know of them."""
        actor, batch = module.actor, {Columns.OBS: map_leaves(torch.from_numpy, observations)}
        with torch.inference_mode():
            forward = module.forward_exploration if explore else module.forward_inference
            outputs = forward(batch)[Columns.ACTION_DIST_INPUTS]
            actions = actor.draw(outputs, torch.default_generator) if explore else actor.most_likely(outputs)
            step = {
                Columns.ACTIONS: map_leaves(torch.Tensor.numpy, actions),
                Columns.ACTION_DIST_INPUTS: outputs.numpy(),
            }
            if explore:
                step[Columns.ACTION_LOGP] = actor.log_probability(outputs, actions).numpy()
        return step

    def _cut_ongoing(self, record: "_Record") -> list[SingleAgentEpisode]:
        """Returns what has been sampled of the episodes that go on, and leaves their last observation to go on from."""
        chunks = []
        for copy, ongoing in enumerate(self._ongoing_episodes):
            if copy not in record.ended and record.starts[copy] < record.length:
                chunk = record.cut(copy, ongoing, terminated=False, truncated=False)
                self._ongoing_episodes_for_metrics[chunk.id_].append(chunk)
                self._ongoing_episodes[copy] = chunk.cut()
                chunks.append(chunk)
        return chunks


class _Record:
    """What all copies have seen and done since sampling began, in arrays of shape (steps, copies, ...).

    Args:
        observations: of all copies, to go on from.
        infos: likewise.
        ended: the copies whose next step starts an episode.
        room: for so many steps.
    """

    def __init__(self, observations: Any, infos: list[dict[str, Any]], ended: set[int], room: int) -> None:
        self.infos, self.ended, self._room = [infos], ended, room
        self.starts = [0] * len(infos)  # where each copy's current episode begins
        self._observations = [self._array(part, 1) for part in tree.flatten(observations)]
        self._steps: list[np.ndarray] = []
        self._like: Any = observations
        self._like_step: Any = None
        self.length = -1
        self._advance(observations)

    def append(self, step: dict[str, Any], observations: Any, infos: list[dict[str, Any]]) -> None:
        """Adds a step of all copies; copies the observations, which the environment may write over."""
        parts = tree.flatten(step)
        if not self._steps:
            self._steps, self._like_step = [self._array(part) for part in parts], step
        for column, part in zip(self._steps, parts, strict=True):
            column[self.length] = part
        self.infos.append(infos)
        self._advance(observations)

    @property
    def seen(self) -> Any:
        """The last observations of all copies."""
        return tree.unflatten_as(self._like, [column[self.length] for column in self._observations])

    def cut(self, copy: int, begun: SingleAgentEpisode, terminated: bool, truncated: bool) -> SingleAgentEpisode:
        """Returns the steps of one copy since its episode began here, as the continuation of `begun`."""
        start, end = self.starts[copy], self.length
        steps = tree.unflatten_as(self._like_step, [column[start:end, copy] for column in self._steps])
        episode = SingleAgentEpisode(
            id_=begun.id_,
            observations=tree.unflatten_as(self._like, [part[start : end + 1, copy] for part in self._observations]),
            observation_space=begun.observation_space,
            infos=[infos[copy] for infos in self.infos[start:]],
            actions=steps.pop(Columns.ACTIONS),
            action_space=begun.action_space,
            rewards=steps.pop(Columns.REWARDS),
            terminated=terminated,
            truncated=truncated,
            extra_model_outputs=steps,
            t_started=begun.t,
            len_lookback_buffer=0,
        )
        episode.custom_data.update(begun.custom_data)
        return episode

    def _advance(self, observations: Any) -> None:
        self.length += 1
        for column, part in zip(self._observations, tree.flatten(observations), strict=True):
            column[self.length] = part

    def _array(self, part: np.ndarray, more: int = 0) -> np.ndarray:
        return np.empty((self._room + more, *part.shape), part.dtype)


def _is_on_cpu(module: torch.nn.Module) -> bool:
    return all(parameter.device.type == "cpu" for parameter in module.parameters())
