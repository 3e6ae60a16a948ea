"""The info dict: a dict, small, picklable, and not one that changes afterwards."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

from ..spaces.membership import kind
from .locations import described
from .registry import Finding, check, error, warning
from .study import Study
from .values import leaves, size_in_bytes

LARGE_BYTES = 100_000
LOOK_AT_STEPS = 5


@check()
def info_type(study: Study) -> Iterator[Finding]:
    """`reset` and `step` return a dict as info.

    Vector environments merge the infos of all copies key by key.
    """
    for episode in study.episodes:
        for number, info in episode.infos():
            if not isinstance(info, dict):
                text = f"info must be a dict, got {kind(info)} {episode.at(number)}"
                yield error(text, "return {} where there is nothing to tell", _where(study, number))
                return


def _samples(study: Study) -> Iterator[tuple[str, str | None, dict[Any, Any]]]:
    """Some infos: the first of the first episodes and all last ones, where new keys come."""
    for episode in study.episodes[:6]:
        infos = list(episode.infos())
        for number, info in infos[:LOOK_AT_STEPS] + infos[LOOK_AT_STEPS:][-1:]:
            if isinstance(info, dict):
                yield episode.at(number), _where(study, number), info


@check()
def info_small(study: Study) -> Iterator[Finding]:
    """An info weighs less than 100 kB.

    RLlib keeps the infos of whole episodes and sends them from the env runners to the learner.
    """
    for place, where, info in _samples(study):
        size = size_in_bytes(info)
        if size > LARGE_BYTES:
            key = max(info, key=lambda name: size_in_bytes(info[name]))
            text = (
                f"info is large: {size / 1e6:.1f} MB {place}, most of it in key {key!r}; RLlib keeps the infos of "
                "whole "
                f"episodes, 4,000 steps are {size * 4e-6:.1f} GB (4,000 x {size} bytes)"
            )
            yield warning(text, "put only small numbers into info; write frames in render()", where)
            return


@check()
def info_picklable(study: Study) -> Iterator[Finding]:
    """Infos can be pickled.

    They travel from the env runners to the learner with the episode; what cannot be pickled ends the training there.
    """
    for place, where, info in _samples(study):
        for key, value in info.items():
            try:
                pickle.dumps(value)
            except Exception as problem:
                text = (
                    f"info[{key!r}] is a {type(value).__name__} that cannot be pickled (serialized) {place}: "
                    f"{described(problem)}"
                )
                yield error(text, "put numbers, texts and arrays into info, no functions, locks or open files", where)
                return


@check()
def info_not_overwritten(study: Study) -> Iterator[Finding]:
    """A returned info does not change afterwards.

    RLlib stores infos by reference: one dict that is reused makes all stored infos those of the last step.
    """
    for episode in study.steps_played:
        number = episode.info_overwritten()
        if number is not None:
            text = (
                f"the info returned {episode.at(number)} changed afterwards: the same dict (or an array in it) is "
                "returned "
                "again and overwritten in place (aliased)"
            )
            where = _where(study, number)
            yield warning(text, "build a new dict each time, with copies of arrays", where)
            return


@check()
def info_keys_plain(study: Study) -> Iterator[Finding]:
    """Info keys are texts, and a key holds the same type at every step.

    Vector environments keep one array a key: a number first and a text later raises in the middle of training.
    """
    kinds: dict[str, tuple[str, str]] = {}
    for episode in study.episodes:
        for number, info in episode.infos():
            for key, value in info.items() if isinstance(info, dict) else ():
                if not isinstance(key, str):
                    text = f"info key {key!r} is a {type(key).__name__}, not a str, {episode.at(number)}"
                    yield warning(text, "use texts as keys", _where(study, number))
                    return
                group = _group(value)
                first = kinds.setdefault(key, (group, episode.at(number)))
                if first[0] != group and "number" in (first[0], group):
                    text = (
                        f"info[{key!r}] is a {first[0]} {first[1]} but a {group} {episode.at(number)}: its type changes"
                    )
                    yield warning(text, "leave the key out where there is no value", _where(study, number))
                    return


def _where(study: Study, number: int) -> str | None:
    return study.where("reset" if number == 0 else "step")


def _group(value: Any) -> str:
    """A coarse type: what a vector environment can keep in one array."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return "text"
    if any(True for _ in leaves(value)) and not hasattr(value, "shape") and not isinstance(value, dict | list | tuple):
        return "number" if isinstance(value, int | float) else type(value).__name__
    return "number" if getattr(value, "shape", None) == () else type(value).__name__
