"""Probes of what an environment of several agents says of itself: its agents and their spaces."""

from typing import Any

from gymnasium import spaces

from ...kinds import is_multi_agent
from ...spaces import Limits, UnsupportedSpace, adapters_for, limits_of
from ...spaces.membership import short
from ..record.about import facts
from ..record.compare import told_apart
from ..record.locations import described, unwrapped
from ..record.surroundings import seed_global
from ..record.values import attribute, copy_value
from .model import TABLES, JointAbout
from .play import JointRecorder


def record_about(recorder: JointRecorder) -> JointAbout:
    """Returns what the environment says of itself."""
    plain = unwrapped(recorder.env)
    about = JointAbout(**facts(recorder), ids=copy_value(attribute(plain, "possible_agents")))
    for name in TABLES:
        table = about.tables[name] = attribute(plain, name)
        single = attribute(plain, name[:-1])
        if table is None and isinstance(single, spaces.Space) and not isinstance(single, spaces.Dict):
            about.only_one = name
        own = _spaces_in(table)
        if not own:
            continue
        about.spaces[name] = spaces.Dict(own)
        about.new_spaces += [name] if any(own[agent] is not _again(plain, name, agent) for agent in own) else []
        about.samples[name] = _sample(about.spaces[name])
    about.adapters = _unsupported(about, limits_of(recorder.env)) if len(about.spaces) == len(TABLES) else None
    bases = [base for base in type(plain).__mro__ if base.__name__ == "MultiAgentEnv" and "__init__" in vars(base)]
    about.base_left_out = bool(bases) and is_multi_agent(type(plain)) and not hasattr(plain, "_agent_ids")
    return about


def _spaces_in(table: Any) -> dict[Any, Any]:
    """Returns the spaces of a table that holds nothing but spaces by agent ID."""
    rows = table.spaces if isinstance(table, spaces.Dict) else table
    whole = isinstance(rows, dict) and all(isinstance(space, spaces.Space) for space in rows.values())
    return dict(rows) if whole else {}


def _again(plain: Any, name: str, agent: Any) -> Any:
    return _spaces_in(attribute(plain, name)).get(agent)


def _sample(space: spaces.Dict) -> Any:
    try:
        value = copy_value(space).sample()
        return value, bool(space.contains(value))
    except BaseException as error:
        return described(error)


def _unsupported(about: JointAbout, limits: Limits) -> str | None:
    """Returns why PPO can't learn with an agent's spaces; None where it can with all."""
    seen, chosen = (about.spaces[name] for name in TABLES)
    kinds = {(short(seen[agent], 9999), short(chosen[agent], 9999)): agent for agent in seen if agent in chosen.spaces}
    for agent in kinds.values():
        try:
            adapters_for(seen[agent], chosen[agent], limits)
        except UnsupportedSpace as error:
            return f"{error} (agent {agent!r})"
    return None


def record_spaces_after(recorder: JointRecorder) -> dict[str, tuple[str, str]]:
    """Returns the tables of spaces that have changed while playing: what they were, and what they are."""
    now = {name: attribute(unwrapped(recorder.env), name) for name in TABLES}
    firsts = recorder.first_spaces
    return {name: told_apart(first, now[name])[1:] for name, first in firsts.items() if now[name] != first}


def record_ids_after(recorder: JointRecorder) -> Any:
    """Returns `possible_agents` once more."""
    return copy_value(attribute(unwrapped(recorder.env), "possible_agents"))


def record_copies(recorder: JointRecorder) -> dict[str, tuple[tuple[str, str] | None, bool]]:
    """Makes further copies; returns for each table how another one's differs, and whether all share its spaces."""
    others, found = [], {}
    for number in range(1 if recorder.slow_to_build else 2):
        seed_global(number)  # what a constructor draws by chance shall differ
        others.append(recorder.another())
    for name in TABLES:
        own = _spaces_in(attribute(unwrapped(recorder.env), name))
        theirs = [_spaces_in(attribute(unwrapped(other), name)) for other in others]
        odd = [told_apart(own, their) for their in theirs if their != own]
        found[name] = (odd[0][1:] if odd else None, any(own[agent] is theirs[0].get(agent) for agent in own))
    for other in others:
        recorder.keep(other)
    return found
