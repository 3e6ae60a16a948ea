"""What goes to and fro: who is observed must act, who acts is rewarded, and who has ended is left in peace."""

from typing import Any

from ....spaces.membership import short
from ....spaces.predicate import predicate
from ...judge.registry import ONLY, Finding, Findings, check
from ...record.env_record import EnvRecord
from ..model import TABLES
from .common import all_moments, ids, stepped

AWAY = "once ended, an agent stays away until the next reset(); one that comes anew takes a free ID of possible_agents"


@check(fix=AWAY, at="step", blocks=True, several=ONLY)
def ended_agents_stay_away(record: EnvRecord) -> Findings:
    """An agent that has ended gets nothing any more: RLlib ends the run on data of one, or loses it."""
    told: set[str] = set()
    for moment in stepped(record):
        infos = moment.episode.info_ids[moment.number]
        for name, keys in (("an observation", moment.obs), ("a reward", moment.rewards), ("an info", infos)):
            late = [agent for agent in keys if agent in moment.ended]
            if late and name not in told:
                told.add(name)
                when = f"ended in step {moment.ended[late[0]]}"
                text = f"agent {late[0]!r} gets {name} {moment.at}, although it {when}"
                yield Finding(text, blocks=name != "an info")
        back = [agent for agent in moment.ended if moment.terminated.get(agent) is False]
        back = [agent for agent in back if moment.truncated.get(agent, False) is False and not moment.all_over]
        if back and "flag" not in told:
            told.add("flag")
            when = f"ended in step {moment.ended[back[0]]}"
            text = f"agent {back[0]!r} is flagged as alive {moment.at}, although it {when}"
            yield Finding(text, "leave its flags out, or keep them True", severity="warning")


@check(fix="return rewards with an entry for each agent that has acted, 0.0 where there is nothing", at="step",
       blocks=True, once=True, several=ONLY)  # fmt: skip
def acting_agents_are_rewarded(record: EnvRecord) -> Findings:
    """Who acts and is observed in the same step gets a reward there: RLlib ends the run where it is missing."""
    for moment in stepped(record):
        without = [agent for agent in moment.actions if agent in moment.obs and agent not in moment.rewards]
        if without and isinstance(moment.episode.steps[moment.number - 1].reward, dict):
            yield f"agent {without[0]!r} has acted and is observed, but gets no reward, {moment.at}"


@check(fix="return {agent: self._observe(agent)} with each agent's own observation under its ID", once=True,
       blocks=True, several=ONLY)  # fmt: skip
def observations_under_their_ids(record: EnvRecord) -> Findings:
    """Each observation lies in the space of the agent that gets it, not only in another's."""
    tables = record.space(TABLES[0])
    members = {agent: predicate(space) for agent, space in tables.items()}
    for moment in all_moments(record):
        for agent, obs in moment.obs.items():
            if agent in members and not members[agent](obs):
                owner = next((one for one in members if one != agent and members[one](obs)), None)
                if owner is not None and tables[owner] != tables[agent]:
                    text = f"agent {agent!r} gets {short(obs, 40)} {moment.at}: not in its space, but in"
                    yield Finding(f"{text} that of {owner!r}", at="step" if moment.number else "reset")


@check(fix="take only the agents of the dict: for agent, action in actions.items()", at="step", blocks=True, once=True,
       several=ONLY)  # fmt: skip
def step_takes_who_was_observed(record: EnvRecord) -> Findings:
    """`step` does with the actions of those who were observed; nobody else acts."""
    episodes: Any = record.resets
    for episode in episodes:
        error = episode.error
        if error is None or error.call != "step" or "KeyError" not in error.kinds:
            continue
        seen = (episode.steps[-1].obs if episode.steps else episode.obs) or {}
        asked = [agent for agent in ids(record) if repr(agent) in error.text.partition(" (action ")[0]]
        absent = [agent for agent in asked if agent not in seen or agent in _ended(episode)]
        if absent:
            text = f"step() needs an action of {absent[0]!r}, who was not observed before"
            yield Finding(f"{text}: it raises KeyError {episode.at(error.step)}", where=error.where)


def _ended(episode: Any) -> set[Any]:
    flags = [flags for step in episode.steps for flags in (step.terminated, step.truncated) if isinstance(flags, dict)]
    return {agent for one in flags for agent, flag in one.items() if flag}
