"""What the checks of several agents share."""

from collections.abc import Iterator
from typing import Any

from ...record.env_record import EnvRecord
from ...record.model import NotJudged
from ..model import JointAbout, Moment, moments


def about(record: EnvRecord) -> JointAbout:
    """Returns what the environment says of itself."""
    found: Any = record.about
    return found


def ids(record: EnvRecord) -> list[Any]:
    """Returns `possible_agents`, none where it is no list."""
    declared = about(record).ids
    return list(declared) if isinstance(declared, list | tuple) else []


def all_moments(record: EnvRecord) -> list[Moment]:
    """Returns every reset and step; raises NotJudged if `reset` never worked."""
    if "moments" not in record.memo:
        episodes: Any = record.resets
        record.memo["moments"] = [moment for episode in episodes for moment in moments(episode)]
    return record.memo["moments"]


def stepped(record: EnvRecord) -> Iterator[Moment]:
    """Yields every step; raises NotJudged if no step could be made."""
    if not record.played:
        raise NotJudged("step() never worked")
    yield from (moment for moment in all_moments(record) if moment.number)


def named(agents: Any) -> str:
    """Returns the IDs of some agents, as they are written in Python."""
    texts = [repr(agent) for agent in agents]
    return ", ".join(texts[:4]) + (", …" if len(texts) > 4 else "")
