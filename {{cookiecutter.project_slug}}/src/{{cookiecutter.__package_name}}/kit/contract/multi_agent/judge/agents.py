"""The agents: which there are, what each sees and does, and that every dict speaks of them."""

from collections.abc import Hashable
from itertools import islice
from typing import Any

from gymnasium import spaces

from ....spaces.membership import kind, short
from ...judge.registry import ONLY, Finding, Findings, check
from ...record.env_record import EnvRecord
from ...record.values import same
from ..model import ALL, TABLES, JointEpisode, Moment, moments
from .common import about, all_moments, ids, named, stepped

IDS = 'write self.possible_agents = ["agent_0", "agent_1"] in __init__: the IDs of all agents that there can ever be'


@check(fix=IDS, at="__init__", blocks=True, several=ONLY)
def possible_agents_declared(record: EnvRecord) -> Findings:
    """`possible_agents` lists the IDs of all agents that there can ever be: each gets a policy before the first step."""
    declared = about(record).ids
    if not ids(record):
        yield f"possible_agents must be a list of agent IDs, got {short(declared)}"
        return
    if not all(isinstance(agent, Hashable) for agent in declared) or len(set(declared)) < len(declared):
        yield f"possible_agents holds an ID twice, or one that can't be a key of a dict: {short(declared)}"
    if ALL in declared:
        yield Finding(f"possible_agents holds {ALL!r}, which stands for everyone", "give the agent another ID")
    if (now := record.ids_after) != declared:
        text = f"possible_agents has changed while playing, from {short(declared)} to {short(now)}"
        yield Finding(text, f"{IDS}; an agent that comes later takes one of them that is free", at="step")


@check(fix="write self.observation_spaces = {agent: Box(...) for agent in self.possible_agents}, and action_spaces so",
       at="__init__", blocks=True, several=ONLY)  # fmt: skip
def agents_have_spaces(record: EnvRecord) -> Findings:
    """`observation_spaces` and `action_spaces` are dicts with a space for each possible agent."""
    for name in TABLES:
        table = about(record).tables.get(name)
        if about(record).only_one == name:
            yield f"{name} is missing; {name[:-1]} is one space for all, where each agent needs its own"
        elif not isinstance(table, dict | spaces.Dict):
            yield f"{name} must be a dict of spaces by agent ID, got {kind(table)}"
        elif without := [agent for agent in ids(record) if agent not in table]:
            yield f"{name} has no space for agent {named(without)} of possible_agents"
        elif wrong := [agent for agent in table if not isinstance(table[agent], spaces.Space)]:
            yield f"{name}[{wrong[0]!r}] is the {kind(table[wrong[0]])}, not a space of gymnasium.spaces"


@check(fix="start __init__ with super().__init__()", at="__init__", mild=True, several=ONLY)
def base_constructor_called(record: EnvRecord) -> Findings:
    """The constructor calls RLlib's own, which sets what RLlib's wrappers and checks read."""
    if about(record).base_left_out:
        yield "the constructor does not call that of MultiAgentEnv, its base class: RLlib skips its own checks then"


@check(fix="return a dict by agent ID, {} where there is nothing to tell", blocks=True, several=ONLY)
def results_are_dicts(record: EnvRecord) -> Findings:
    """Observations, rewards, both flags and infos are dicts by agent ID."""
    found: dict[str, tuple[JointEpisode, int, str]] = {}
    episodes: Any = record.resets
    for episode in episodes:
        for name, (number, got) in episode.wrong_type.items():
            found.setdefault(name, (episode, number, got))
    for name, (episode, number, got) in found.items():
        text = f"{name} must be a dict by agent ID, got {got}, {episode.at(number)}"
        yield Finding(text, at="step" if number else "reset")


def _unknown(record: EnvRecord) -> dict[tuple[str, Any], str]:
    """Returns each dict and the ID in it that is not possible, and where it came first."""
    known = {*ids(record)}
    found: dict[tuple[str, Any], str] = {}
    for moment in all_moments(record):
        episode: JointEpisode = moment.episode
        flags = {**moment.terminated, **moment.truncated}.keys() - {ALL}
        infos = {*episode.info_ids[moment.number]} - {"__common__", ALL} if known else ()
        names = ("observations", "rewards", "terminated and truncated", "infos")
        for name, keys in zip(names, (moment.obs, moment.rewards, flags, infos), strict=True):
            for agent in keys if known else ():
                if agent not in known:
                    found.setdefault((name, agent), moment.at)
    return found


@check(fix=IDS, at="step", blocks=True, several=ONLY)
def only_possible_agents(record: EnvRecord) -> Findings:
    """Every dict speaks of possible agents only: no policy learns from another's data, and RLlib stumbles over them."""
    told: set[str] = set()
    for (name, agent), place in _unknown(record).items():
        if name in told:
            continue
        told.add(name)
        like = [one for one in ids(record) if str(one).endswith(str(agent)) or str(agent).endswith(str(one))]
        text = f"{name} hold {agent!r}, {place}, which is not one of possible_agents ({named(ids(record))})"
        if agent == ALL:
            yield Finding(f"{text}: only the flags have that key", f"leave {ALL!r} out of {name}")
        elif type(agent) is not type(ids(record)[0]):
            fix = f"use the same IDs everywhere, {like[0]!r} here" if like else "use the same IDs everywhere"
            yield Finding(f"{text}: a {type(agent).__name__} in place of a {type(ids(record)[0]).__name__}", fix)
        else:
            yield Finding(text, blocks=name == "observations")


@check(fix="return the first observation of everyone who acts first", at="reset", blocks=True, several=ONLY)
def reset_observes(record: EnvRecord) -> Findings:
    """`reset` observes who acts first, in each episode anew; nobody else can begin it."""
    first: set[Any] = set()
    for moment in all_moments(record):
        if moment.number or not isinstance(moment.episode.obs, dict):
            continue
        if not moment.obs:
            text = f"reset() observes nobody, {moment.at}: no agent can act"
            again = "set self.agents, and all that step() changes, anew in reset()"
            why = ", although the first reset did: the agents of the episode before do not come back" if first else ""
            yield Finding(text + why, again if first else None)
            return
        first |= moment.obs.keys()


@check(fix="return its observation in reset(), too, or add it to self.agents when it joins", at="reset", mild=True,
       several=ONLY)  # fmt: skip
def reset_forgets_nobody(record: EnvRecord) -> Findings:
    """Who takes part from the start on is observed by `reset`: what it is rewarded before its first observation is lost."""
    episodes: Any = record.played
    late = [{agent: first.rewards[agent] for agent in _late(first)} for first in map(_first_step, episodes)]
    always = set.intersection(*(set(row) for row in late))
    for agent in [agent for agent in always if any(not same(row[agent], 0.0) for row in late)][:1]:
        text = f"reset() forgets agent {agent!r}: it is in self.agents, but its first observation comes in step 1"
        yield f"{text}, with a reward that is lost, in all {len(late)} episodes"


def _first_step(episode: JointEpisode) -> Moment:
    return next(islice(moments(episode), 1, None))


def _late(first: Moment) -> list[Any]:
    """Returns who was there at the reset, and is observed and rewarded in step 1 only, where all move at once."""
    turns = not any(agent in first.obs for agent in first.actions)
    present = () if turns else first.episode.agents[0] or ()
    return [agent for agent in present if agent not in first.seen and agent in first.obs and agent in first.rewards]


@check(fix="remove it when it ends: self.agents = [agent for agent in self.agents if not over[agent]]", at="step",
       mild=True, once=True, several=ONLY)  # fmt: skip
def agents_are_the_present(record: EnvRecord) -> Findings:
    """`agents` lists who takes part now: those who have ended are not in it while the others go on."""
    for moment in stepped(record):
        present = moment.episode.agents[moment.number]
        if present is None:
            yield f"self.agents must be a list of the agents that take part now, got none {moment.at}"
        elif not moment.all_over and (stay := [agent for agent in present if agent in moment.ended]):
            ended = moment.ended[stay[0]]
            yield f"self.agents still holds {stay[0]!r}, {moment.at}, although it ended in step {ended}"
