"""Signs that the observations or rewards carry no information; all may be intended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .recording import Episode
from .registry import Finding, NotJudged, check, warning
from .study import Study
from .values import digest, number, same

ENOUGH_STEPS = 20
ENOUGH_EPISODES = 4
LARGE_REWARD = 500.0


def _long_enough(study: Study, steps: int) -> list[Episode]:
    episodes = [episode for episode in study.steps_played if len(episode.steps) >= steps]
    if len(episodes) < ENOUGH_EPISODES or sum(len(episode.steps) for episode in episodes) < ENOUGH_STEPS:
        raise NotJudged("too few steps were played")
    return episodes


@check()
def observation_changes(study: Study) -> Iterator[Finding]:
    """Observations change within an episode.

    A constant observation carries no information: a cached value, a float image cast to all-zero bytes.
    """
    episodes = _long_enough(study, 4)
    where = study.where("step")
    if any(len({digest(obs) for _, obs in episode.observations()}) > 1 for episode in episodes):
        return
    everywhere = len({digest(episode.obs) for episode in episodes}) == 1
    extent = "always the same, in all episodes" if everywhere else "the same from the reset to the end of every episode"
    zero = all(not np.any(obs) for _, obs in episodes[0].observations() if isinstance(obs, np.ndarray))
    hint = " (all zero)" if zero and isinstance(episodes[0].obs, np.ndarray) else ""
    text = f"the observation never changes: it is constant{hint}, {extent}; it carries no information"
    yield warning(
        text, "compute it from the state in every step(); multiply float images by 255 before the cast", where
    )


@check()
def observation_up_to_date(study: Study) -> Iterator[Finding]:
    """The observation after a step shows that step.

    If it is computed before the state is updated, the agent acts one step late and never sees the end of an episode.
    """
    episodes = _long_enough(study, 4)
    if len({digest(step.action) for episode in episodes for step in episode.steps[:1]}) < 2:
        raise NotJudged("all episodes begin with the same action")
    late = [same(episode.obs, episode.steps[0].obs) for episode in episodes]
    moved = [not same(episode.steps[0].obs, episode.steps[1].obs) for episode in episodes]
    if all(late) and sum(moved) >= 0.9 * len(moved):
        text = (
            f"the observation is one step behind (stale): in all {len(episodes)} episodes step 1 returned the "
            "observation of "
            "reset() once more, whatever the action, and step 2 another one"
        )
        yield warning(text, "update the state first, then compute the observation to return", study.where("step"))


@check()
def reward_changes(study: Study) -> Iterator[Finding]:
    """The reward tells good from bad.

    A reward that is always the same, in episodes that all end alike, gives no learning signal.
    """
    episodes = _long_enough(study, 1)
    if study.cap is not None or any(episode.trouble for episode in episodes):
        raise NotJudged("step() raises in some episodes")
    rewards = {round(number(step.reward), 9) for episode in episodes for step in episode.steps}
    if len(rewards) > 1:
        return
    value = rewards.pop()
    lengths = {len(episode.steps) for episode in episodes if episode.ended}
    if value != 0 and len(lengths) > 1 and any(_terminated(episode) for episode in episodes):
        return  # As in CartPole: the number of steps is the return.
    if np.isnan(value):
        return
    count = sum(len(episode.steps) for episode in episodes)
    text = (
        f"the reward is constant: always {value:g} in all {count} random and constant-action steps; no "
        "learning signal was seen"
    )
    fix = "if it is sparse on purpose, give a smaller reward on the way (shaping) or make the start easier"
    yield warning(text, fix, study.where("step"))


def _terminated(episode: Episode) -> bool:
    return bool(episode.steps) and bool(np.any(episode.steps[-1].terminated))


@check()
def reward_scale(study: Study) -> Iterator[Finding]:
    """Rewards are neither huge nor tiny.

    PPO's value loss grows with the square of the return: huge rewards drown the policy loss.
    """
    largest, place = 0.0, ""
    for episode in study.steps_played:
        for index, step in enumerate(episode.steps, 1):
            size = abs(number(step.reward))
            if np.isfinite(size) and size > largest:
                largest, place = size, episode.at(index)
    if largest >= LARGE_REWARD:
        text = (
            f"the reward is badly scaled: its magnitude reaches {largest:.3g} {place}, which is large for the "
            "value loss"
        )
        yield warning(
            text, "divide the reward so that an episode's return is of the order of 1 to 100", study.where("step")
        )
    elif 0 < largest < 1e-5:
        text = f"the reward is badly scaled: its largest magnitude is {largest:.1g}, which is lost in the noise"
        yield warning(text, "multiply the reward so that returns are of the order of 1", study.where("step"))


@check()
def reward_not_cumulative(study: Study) -> Iterator[Finding]:
    """The reward is that of the step, not the sum so far.

    The return then counts early rewards again at every later step: the agent learns to be early, not to be good.
    """
    episodes = _long_enough(study, 8)
    if all(_looks_summed([number(step.reward) for step in episode.steps]) for episode in episodes):
        text = (
            "the reward looks cumulative: in every episode, whatever the actions, it starts near zero and its "
            "magnitude grows "
            "with each step, as a running sum (total score) does"
        )
        yield warning(text, "return what this step earned; keep the running total in info", study.where("step"))


def _looks_summed(rewards: list[float]) -> bool:
    values = np.asarray(rewards[:-1])  # The last step often has a reward of its own.
    change = np.diff(values)
    if not np.isfinite(values).all() or not (np.all(change >= 0) or np.all(change <= 0)):
        return False
    moves = np.count_nonzero(change) / len(change)
    largest_change = np.abs(change).max()
    return bool(
        moves >= 0.5 and abs(values[0]) <= 1.5 * largest_change and abs(values[-1]) >= 0.5 * np.abs(change).sum()
    )
