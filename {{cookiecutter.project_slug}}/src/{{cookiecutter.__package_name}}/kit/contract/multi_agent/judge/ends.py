"""How agents and episodes end: the two dicts of flags, `__all__` in them, and the last observation."""

from typing import Any

import numpy as np

from ....spaces.membership import kind
from ...judge.registry import ONLY, Finding, Findings, check
from ...record.env_record import EnvRecord
from ...record.values import truth
from ..model import ALL, Moment
from .common import all_moments, named, stepped

SET_ALL = 'write terminated["__all__"] = not self.agents, once all who have ended are removed from self.agents'
FLAGS = ("terminated", "truncated")


@check(fix=SET_ALL, at="step", blocks=True, several=ONLY)
def all_flag_returned(record: EnvRecord) -> Findings:
    """Both dicts of flags have the key `__all__`: it ends the episode, and RLlib reads it in every step."""
    for name in FLAGS:
        moment = next((one for one in stepped(record) if ALL not in getattr(one, name)), None)
        if moment is not None:
            mild = name == "truncated"  # RLlib does without
            text = f"{name} has no key {ALL!r} {moment.at}: nobody knows whether the episode is over"
            fix = f'write truncated["{ALL}"] = False, True at a time limit' if mild else None
            yield Finding(text, fix, severity="warning" if mild else None)


@check(fix="return one bool for each agent", at="step", blocks=True, several=ONLY)
def agents_end_flags_type(record: EnvRecord) -> Findings:
    """Each flag is True or False, not a number, an array or None."""
    for name in FLAGS:
        for moment in stepped(record):
            flags = getattr(moment, name)
            agent = next((agent for agent, flag in flags.items() if not isinstance(flag, bool | np.bool_)), None)
            if agent is not None:
                mild = isinstance(flags[agent], int | np.integer) and flags[agent] in (0, 1)
                text = f"{name}[{agent!r}] must be a bool (True or False), got {kind(flags[agent])} {moment.at}"
                yield Finding(text, f"return bool({name})", severity="warning" if mild else None)
                break


@check(fix="give flags to every agent that has acted, or only to those that end", at="step", mild=True, once=True,
       several=ONLY)  # fmt: skip
def agents_end_flags_complete(record: EnvRecord) -> Findings:
    """The flags speak of all who have acted, or only of those who end: a missing one counts as False."""
    for moment in stepped(record):
        alive = [agent for agent, flag in moment.terminated.items() if agent != ALL and flag is False]
        flagged = {**moment.terminated, **moment.truncated}
        without = [agent for agent in moment.actions if agent in moment.obs and agent not in flagged]
        if alive and without and not moment.all_over:
            yield f"agent {without[0]!r} has acted and goes on, but has no flags, {moment.at}; {alive[0]!r} has"


@check(fix="return terminated for goal or failure, truncated for the time limit", at="step", mild=True, several=ONLY)
def agents_end_flags_differ(record: EnvRecord) -> Findings:
    """An agent is not always terminated and truncated at once: a time limit would count as an end of the task."""
    both: dict[Any, Moment] = {}
    ends = 0
    for moment in stepped(record):
        for agent in {*moment.terminated, *moment.truncated} - {ALL, *moment.ended}:
            flags = [truth(getattr(moment, name).get(agent)) for name in FLAGS]
            ends += any(flags)
            if all(flags):
                both.setdefault(agent, moment)
    if both and len(both) >= min(ends, 2):
        agent, moment = next(iter(both.items()))
        yield f"agent {agent!r} is both terminated and truncated {moment.at}: one flag returned twice?"


@check(fix=SET_ALL, at="step", blocks=True, once=True, after="all_flag_returned", several=ONLY)
def all_flag_at_the_end(record: EnvRecord) -> Findings:
    """`__all__` is True once every agent has ended: else nobody acts, and training hangs without a message."""
    rows = all_moments(record)
    for moment in rows:
        over = [agent for agent in {**moment.obs, **dict.fromkeys(moment.seen)} if moment.is_over(agent)]
        agents = {*moment.seen, *moment.obs}
        gone = {*over, *moment.ended}
        if not over or moment.all_over or agents - gone or moment.episode.steps[moment.number :][:1] == []:
            continue
        later = [row for row in rows if row.episode is moment.episode and row.number > moment.number]
        come = next((row for row in later if row.obs.keys() - gone), None)
        text = f"all agents have ended {moment.at}, but {ALL!r} is True in neither dict"
        if come is not None:
            text += f"; {named(come.obs.keys() - gone)} comes in step {come.number}, and RLlib has ended the episode by then"
            fix = f"let it come before the last one ends, or set {ALL!r} and begin anew"
            yield Finding(text, fix, blocks=False)
        elif _mixed(moment, rows):
            text += ": some are terminated, some truncated, so all() of neither dict is"
            yield Finding(text, f'{SET_ALL}: one "{ALL}" is enough')
        else:
            yield f"{text}: step() is called for ever"


def _mixed(moment: Moment, rows: list[Moment]) -> bool:
    """Tells whether agents have ended by both kinds of flags."""
    own = [row for row in rows if row.episode is moment.episode and row.number <= moment.number]
    return all(any(truth(f) for row in own for a, f in getattr(row, name).items() if a != ALL) for name in FLAGS)


@check(fix=SET_ALL, at="step", mild=True, once=True, several=ONLY)
def all_flag_not_early(record: EnvRecord) -> Findings:
    """`__all__` is True only when it is for everyone: it ends the episode of those who are still at it, too."""
    for moment in stepped(record):
        for name, other in (FLAGS, FLAGS[::-1]):
            flags, others = getattr(moment, name), getattr(moment, other)
            alive = [agent for agent in moment.obs if flags.get(agent) is False and not truth(others.get(agent))]
            if truth(flags.get(ALL)) and alive and not truth(others.get(ALL)):
                text = (
                    f"{name}[{ALL!r}] is True {moment.at}, although {alive[0]!r} is still at it: {name} is False for it"
                )
                fix = f"write all(...) for any(...); if all shall end, set {name} of each agent to True, too"
                yield Finding(text, fix)


@check(fix="return its last observation with the flag: observations[agent] = self._observe(agent)", at="step",
       blocks=True, several=ONLY)  # fmt: skip
def last_observation_returned(record: EnvRecord) -> Findings:
    """An agent that ends is observed once more: what is truncated is worth what its last observation promises."""
    told: set[str] = set()
    for moment in stepped(record):
        for agent in moment.waiting - moment.obs.keys() - moment.ended.keys():
            truncated = any(truth(moment.truncated.get(key)) for key in (agent, ALL))
            terminated = any(truth(moment.terminated.get(key)) for key in (agent, ALL))
            name = "truncated" if truncated else "terminated" if terminated and _at_once(moment, agent) else ""
            if name and name not in told:
                told.add(name)
                text = f"agent {agent!r} has acted and is {name} {moment.at}, without a last observation"
                if truncated:
                    yield f"{text}; RLlib ends the run there"
                else:
                    yield Finding(f"{text}; RLlib takes the one before for it", severity="warning")


def _at_once(moment: Moment, agent: Any) -> bool:
    """Tells whether an agent was observed in each step in which it had acted, as where all move at once."""
    steps = moment.episode.steps[: moment.number - 1]
    own = [step for step in steps if agent in step.action]
    return len(own) > 0 and agent in moment.actions and all(agent in step.obs for step in own)
