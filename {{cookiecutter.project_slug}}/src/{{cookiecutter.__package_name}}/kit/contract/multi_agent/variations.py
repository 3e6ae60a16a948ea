"""The probe of variations: an episode is played again with other actions, and what changes tells whose they were."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations, islice, product
from typing import Any

import numpy as np

from ..record.compare import difference
from ..record.model import Episode, NotJudged
from ..record.surroundings import seed_global
from ..record.values import copy_value, flat, same
from .model import Absent, Effect, JointEpisode, Variations, moments
from .play import Alter, JointRecorder

STEPS, AFTERWARDS = 24, 12  # of an episode; how long the effect of one action is followed
SEEDS = (0, 1)
AT_STEPS = (1, 2, 4)  # whose action is another one
ENOUGH_EXCHANGES = 4
AGENTS, ALTERNATIVES = 6, 2  # so many agents and other actions are tried


class _Player:
    """Plays the same episode again and again on one fresh copy."""

    def __init__(self, recorder: JointRecorder) -> None:
        self.recorder, self.env = recorder, recorder.another()
        self.steps = min(recorder.plan.small, STEPS)

    def play(self, seed: int, alter: Alter | None = None, steps: int = STEPS) -> JointEpisode:
        """Plays an episode whose actions are altered, for at most so many steps."""
        seed_global(77)
        play = self.recorder.start(self.env, seed, alter=alter)
        play.run(min(self.steps, steps))
        return play.episode


def record_variations(recorder: JointRecorder) -> Variations:
    """Plays episodes again with the actions in another order, exchanged, of one agent alone, and of who must not act."""
    player, found = _Player(recorder), Variations()
    bases = [player.play(seed) for seed in SEEDS]
    if any(base.error or base.wrong_type or base.malformed for base in bases):
        raise NotJudged("reset() or step() raises, or gives no dicts")
    if any(difference(base, player.play(seed)) is not None for seed, base in zip(SEEDS, bases, strict=True)):
        raise NotJudged("the same seed and actions give another episode")
    for seed, base in zip(SEEDS, bases, strict=True):
        shuffled = player.play(seed, lambda _, actions: dict(reversed(actions.items())))
        found.shuffled = found.shuffled or difference(base, shuffled)
        _record_effects(player, seed, base, found.effects)
        found.absent = found.absent or _absent(player, seed, base)
    _record_swaps(player, bases, found)
    recorder.release(player.env)
    return found


def _others(player: _Player, agent: Any, action: Any) -> Iterator[Any]:
    """Yields some actions of an agent that differ from one."""
    constants = [policy.action.get(agent) for policy in player.recorder.constant_policies()]
    unlike = [other for other in constants if other is not None and not same(other, action)]
    yield from islice((copy_value(other) for other in unlike), ALTERNATIVES)


def _record_effects(player: _Player, seed: int, base: JointEpisode, effects: dict[Any, Effect]) -> None:
    """Lets one agent take another action in one step, and keeps what changed for whom."""
    agents = list(dict.fromkeys(agent for step in base.steps for agent in step.action))[:AGENTS]
    for agent, number in product(agents, AT_STEPS):
        if number > len(base.steps) or agent not in base.steps[number - 1].action:
            continue
        for action in _others(player, agent, base.steps[number - 1].action[agent]):
            other = player.play(seed, _replacing(number, agent, action), number + AFTERWARDS)
            _add_effect(effects.setdefault(agent, Effect()), base, other, number)


def _replacing(number: int, agent: Any, action: Any) -> Alter:
    return lambda at, actions: {**actions, agent: copy_value(action)} if at == number else actions


def _add_effect(effect: Effect, base: JointEpisode, other: JointEpisode, number: int) -> None:
    effect.tries += 1
    seen: dict[Any, int] = {}
    for one, two in zip(base.steps[number - 1 :], other.steps[number - 1 :], strict=False):
        for agent in {*one.obs, *two.obs}:
            seen[agent] = seen.get(agent, 0) + (not same(one.obs.get(agent), two.obs.get(agent)))
        effect.rewarded |= {agent for agent in {*one.reward, *two.reward} if _differ(one.reward, two.reward, agent)}
        effect.ended |= not (same(one.terminated, two.terminated) and same(one.truncated, two.truncated))
    effect.ended |= base.ended != other.ended and len(base.steps) != len(other.steps)
    for agent, count in seen.items():
        effect.seen_by[agent] = max(effect.seen_by.get(agent, 0), count)


def _differ(one: dict[Any, Any], two: dict[Any, Any], agent: Any) -> bool:
    return not same(one.get(agent, 0.0), two.get(agent, 0.0))


def _record_swaps(player: _Player, bases: list[JointEpisode], found: Variations) -> None:
    """Exchanges the actions of two agents with equal spaces, where what they see differs."""
    spaces = player.recorder.action_spaces
    pairs = [(one, two) for one, two in combinations(found.effects, 2) if spaces[one] == spaces[two]]
    for pair in pairs[:AGENTS]:
        unlike = [[i for i in range(len(base.steps)) if _exchangeable(base, i, *pair)] for base in bases]
        if sum(map(len, unlike)) < ENOUGH_EXCHANGES:
            continue
        swapped = [player.play(seed, partial(_exchanged, *pair)) for seed in SEEDS]
        if all(difference(base, other) is None for base, other in zip(bases, swapped, strict=True)):
            found.swapped.append(pair)


def _exchangeable(base: Episode, index: int, one: Any, two: Any) -> bool:
    actions = base.steps[index].action
    seen = base.steps[index - 1].obs if index else base.obs
    both = one in actions and two in actions
    return both and not same(actions[one], actions[two]) and not same(seen.get(one), seen.get(two))


def _exchanged(one: Any, two: Any, _: int, actions: dict[Any, Any]) -> dict[Any, Any]:
    both = one in actions and two in actions
    return {**actions, one: actions[two], two: actions[one]} if both else actions


def _absent(player: _Player, seed: int, base: JointEpisode) -> Absent | None:
    """Looks for an agent that rests, and for whom `step` takes one certain action, which changes what it sees later."""
    for moment in islice(moments(base), 1, None):
        resting = [agent for agent in moment.seen if agent not in moment.actions and agent not in moment.ended]
        for agent in resting[:1]:
            given = [policy.action.get(agent) for policy in player.recorder.constant_policies(4)]
            plays = [player.play(seed, _replacing(moment.number, agent, action)) for action in given]
            alike = [difference(base, play) is None for play in plays]
            if any(play.error for play in plays) or sum(alike) != 1 or len(alike) < 2:
                return None  # it is ignored, refused, or nothing is taken in its place
            before, after = _last_seen(base, agent, moment.number), _next_seen(base, agent, moment.number)
            others = [_next_seen(play, agent, moment.number) for play in plays]
            if _moved(before, after, others):
                return Absent(agent, moment.number, given[alike.index(True)], base)
    return None


def _last_seen(episode: JointEpisode, agent: Any, number: int) -> Any:
    """Returns what an agent saw last before a step."""
    return next((obs[agent] for _, obs in reversed([*episode.observations()][:number]) if agent in obs), None)


def _next_seen(episode: JointEpisode, agent: Any, number: int) -> Any:
    """Returns what it sees first in this step or later."""
    return next((obs[agent] for at, obs in episode.observations() if at >= number and agent in obs), None)


def _moved(before: Any, after: Any, others: list[Any]) -> bool:
    """Tells whether numbers that depend on the action have changed: doing nothing would leave them as they were."""
    rows = [flat(obs) for obs in (before, after, *others)]
    if len({row.shape for row in rows}) != 1:
        return False
    depends = np.any([row != rows[1] for row in rows[2:]], axis=0)
    return bool((depends & (rows[0] != rows[1])).any())
