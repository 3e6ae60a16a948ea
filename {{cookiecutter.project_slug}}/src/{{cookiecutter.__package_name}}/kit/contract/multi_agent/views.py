"""Parts of a record of several agents that look as if there were one, for the checks of one agent."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..record.env_record import EnvRecord
from ..record.model import Episode, Step
from ..record.values import truth
from .model import ALL, TABLES, JointEpisode, Moment, moments


@dataclass
class Track(Episode):
    """One agent's part of an episode: its step is what lies between two of its observations, as PPO learns it."""

    numbers: list[int] = field(default_factory=list)  # of the environment's steps: its first observation, and the rest

    def at(self, step: int) -> str:
        """Returns a place in words, by the environment's steps."""
        return super().at(self.numbers[step])


def each(record: EnvRecord) -> dict[Any, EnvRecord]:
    """Returns what was recorded of each agent that was observed and has spaces."""
    if "each" not in record.memo:
        tables = [record.about.spaces.get(name, {}) for name in TABLES] if record.has("about") else [{}, {}]
        agents = [agent for agent in tables[0] if agent in tables[1].spaces] if all(tables) else []
        tracks: dict[Any, list[Episode]] = {agent: [] for agent in agents}
        episodes: list[Any] = record.episodes if record.has("episodes") else []
        for episode in episodes:
            for agent, track in _tracks(episode).items():
                tracks.get(agent, []).append(track)
        record.memo["each"] = {
            agent: _part(
                record,
                episodes=own,
                about=replace(
                    record.about, spaces={"observation_space": tables[0][agent], "action_space": tables[1][agent]}
                ),
            )
            for agent, own in tracks.items()
            if own
        }
    return record.memo["each"]


def team(record: EnvRecord) -> EnvRecord:
    """Returns the record with the flags of `__all__` as those of each step."""
    if "team" not in record.memo:
        episodes: list[Any] = record.episodes if record.has("episodes") else []
        episodes = [_as_team(episode) for episode in episodes]
        record.memo["team"] = _part(record, episodes=episodes) if episodes else record
    return record.memo["team"]


def _part(record: EnvRecord, **sections: Any) -> EnvRecord:
    return EnvRecord(**{**vars(record), **sections, "memo": {}})


def _as_team(episode: JointEpisode) -> Episode:
    steps = []
    for step, row in zip(episode.steps, list(moments(episode))[1:], strict=True):
        cut = row.all_over and any(truth(flag) for flag in row.truncated.values())  # in a mixed end, the limit counts
        steps.append(replace(step, terminated=row.all_over and not cut, truncated=cut))
    return replace(episode, steps=steps)


def _tracks(episode: JointEpisode) -> dict[Any, Track]:
    """Returns each observed agent's part of an episode."""
    tracks: dict[Any, Track] = {}
    rewards: dict[Any, list[Any]] = {}
    last_actions: dict[Any, Any] = {}
    masks = [episode.mask, *(step.mask for step in episode.steps)]
    for moment in moments(episode):
        last_actions.update(moment.actions)
        for agent, reward in moment.rewards.items():
            rewards.setdefault(agent, []).append(reward)
        mask = masks[moment.number] or {}
        for agent, obs in moment.obs.items():
            if agent in moment.ended or (agent not in tracks and moment.is_over(agent)):
                continue  # who ends without having acted takes no part
            if agent not in tracks:
                rewards[agent] = []
                tracks[agent] = _begun(episode, moment, obs, mask.get(agent))
            elif agent in last_actions:
                _add(tracks[agent], moment, agent, last_actions, rewards, obs, mask.get(agent))
        for agent in [agent for agent in last_actions if agent not in moment.obs and moment.is_over(agent)]:
            if agent in tracks and not tracks[agent].ended:  # what it saw last stands for the end
                track = tracks[agent]
                last = track.steps[-1].obs if track.steps else track.obs
                _add(track, moment, agent, last_actions, rewards, last, None)
    return tracks


def _begun(episode: JointEpisode, moment: Moment, obs: Any, mask: Any) -> Track:
    return Track(
        episode.number, episode.policy, episode.seed, obs, mask, True,
        around=episode.around, numbers=[moment.number],
    )  # fmt: skip


def _add(
    track: Track, moment: Moment, agent: Any, actions: dict[Any, Any], rewards: dict[Any, Any], obs: Any, mask: Any
) -> None:
    """Adds a step to an agent's part, with all rewards since the last one."""
    terminated, truncated = (
        any(truth(flags.get(key)) for key in (agent, ALL)) for flags in (moment.terminated, moment.truncated)
    )
    reward = _total(rewards.pop(agent, []))
    track.steps.append(Step(actions.pop(agent), obs, reward, terminated, truncated, mask=mask))
    track.numbers.append(moment.number)
    track.ended = terminated or truncated


def _total(rewards: list[Any]) -> Any:
    """Returns the sum of rewards; the first that is no number, where there is one."""
    wrong = [reward for reward in rewards if not isinstance(reward, int | float | np.integer | np.floating)]
    odd = [reward for reward in rewards if isinstance(reward, bool)]
    return (wrong + odd)[0] if wrong or odd else rewards[0] if len(rewards) == 1 else float(sum(rewards))
