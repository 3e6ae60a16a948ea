"""The reward: a finite real number at every step, that tells good from bad."""

from typing import Any

import numpy as np

from ...spaces.membership import kind
from ..record.env_record import EnvRecord
from ..record.model import NotJudged
from ..record.values import truth
from .observations import long_enough
from .registry import ALL_ALIKE, EACH, Finding, Findings, check

LARGE_REWARD, SMALL_REWARD = 1e5, 1e-5  # this PPO normalises returns: 1,000 at a landing is well


def _is_real(reward: Any) -> bool:
    return isinstance(reward, int | float | np.integer | np.floating | np.bool_)


def _number(reward: Any) -> float:
    """Returns a reward as float, NaN where it is no real number."""
    return float(reward) if _is_real(reward) else float("nan")


@check(fix="return float(reward); of an array, the entry or the sum that is meant", at="step", blocks=True, once=True,
       several=EACH)  # fmt: skip
def reward_type(record: EnvRecord) -> Findings:
    """The reward is one real number: arrays, None, text and complex numbers can't be stacked."""
    for step, place in record.first_step(lambda s: not _is_real(s.reward) and getattr(s.reward, "shape", None) != ()):
        text = f"the reward must be one real number (float), got {kind(step.reward)} {place}"
        fix = "a negative number to a fractional power is complex: use max(x, 0.0) ** 0.5 or abs(x)"
        yield Finding(text, fix if isinstance(step.reward, complex | np.complexfloating) else None)
    for step, place in record.first_step(lambda s: isinstance(s.reward, bool | np.bool_ | np.ndarray)):
        text = f"the reward is of type {kind(step.reward)} {place}; expected a float"
        yield Finding(text, "return float(reward)", severity="warning")


@check(fix="guard the division by zero, the log or the overflow that it comes from", at="step", blocks=True,
       several=EACH)  # fmt: skip
def reward_finite(record: EnvRecord) -> Findings:
    """The reward is neither NaN nor infinite, which would turn all weights into NaN."""
    for step, place in record.first_step(lambda s: _is_real(s.reward) and not np.isfinite(float(s.reward))):
        yield f"the reward is {float(step.reward)}, expected a finite number, {place}"


@check(fix="if it is sparse on purpose, give a smaller reward on the way (shaping)", at="step", mild=True,
       several=ALL_ALIKE)  # fmt: skip
def reward_changes(record: EnvRecord) -> Findings:
    """The reward tells good from bad: one that is always the same gives no learning signal."""
    episodes = long_enough(record, 1)
    if record.cap is not None or any(episode.error for episode in episodes):
        raise NotJudged("step() raises in some episodes")
    rewards = {round(_number(step.reward), 9) for episode in episodes for step in episode.steps}
    value, lengths = next(iter(rewards)), {len(episode.steps) for episode in episodes if episode.ended}
    if not any(truth(episode.steps[-1].terminated) for episode in episodes):
        raise NotJudged("no episode was terminated: a goal that chance doesn't reach may be what is rewarded")
    is_length = value != 0 and len(lengths) > 1  # as in CartPole: the number of steps is the return
    if len(rewards) == 1 and not np.isnan(value) and not is_length:
        count = sum(len(episode.steps) for episode in episodes)
        yield f"the reward is constant: {value:g} in all {count} steps played; no learning signal"


@check(fix="divide the reward so that an episode's return is of the order of 1 to 100", at="step", mild=True,
       several=EACH)  # fmt: skip
def reward_scale(record: EnvRecord) -> Findings:
    """Rewards are neither huge nor tiny; within that, this PPO normalises returns, where others lose the value loss."""
    sizes = [(abs(_number(step.reward)), episode, index) for episode, index, step in record.steps]
    finite = [each for each in sizes if np.isfinite(each[0])]
    largest, episode, index = max(finite, key=lambda each: each[0], default=(0.0, record.played[0], 1))
    if largest >= LARGE_REWARD:
        yield f"the reward is badly scaled: its magnitude reaches {largest:.3g} {episode.at(index)}; this PPO normalises returns, others don't"
    elif 0 < largest < SMALL_REWARD:
        text = f"the reward is badly scaled: its largest magnitude is {largest:.1g}, which is lost in the noise"
        yield Finding(text, "multiply the reward so that returns are of the order of 1")


@check(fix="return what this step earned; keep the running total in info", at="step", mild=True, several=ALL_ALIKE)
def reward_not_cumulative(record: EnvRecord) -> Findings:
    """The reward is that of the step, not the sum so far, which would count early rewards again and again."""
    episodes = long_enough(record, 8)
    if all(_looks_summed([_number(step.reward) for step in episode.steps]) for episode in episodes):
        yield "the reward looks like a running sum: in every episode its magnitude grows with each step"


def _looks_summed(rewards: list[float]) -> bool:
    values = np.asarray(rewards[:-1])  # the last step often has a reward of its own
    change = np.diff(values)
    if not np.isfinite(values).all() or not (np.all(change >= 0) or np.all(change <= 0)):
        return False
    moves, largest = np.count_nonzero(change) / len(change), np.abs(change).max()
    return bool(moves >= 0.5 and abs(values[0]) <= 1.5 * largest and abs(values[-1]) >= 0.5 * np.abs(change).sum())
