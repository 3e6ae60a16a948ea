"""Probes of the constructor and of what the environment says of itself."""

import copy
import difflib
import inspect
import re
from contextlib import suppress
from typing import Any

import numpy as np

from ...spaces.membership import short
from .compare import told_apart
from .locations import attributes, unwrapped
from .model import Build, NotJudged
from .recorder import Recorder
from .targets import Keywords, parameters
from .values import same

MUTABLE = (list, dict, set, bytearray, np.ndarray)


def record_builds(recorder: Recorder) -> dict[str, Build]:
    """Makes the environment in all the ways that users and RLlib make it."""
    with suppress(NotJudged):
        recorder.construct()
        if "plain" not in recorder.builds and not recorder.slow_to_build and not recorder.only_one:
            recorder.build("plain", copy.deepcopy(recorder.config))
    return recorder.builds


def record_defaults(recorder: Recorder) -> dict[str, Any]:
    """Calls the constructor with its own defaults, and without keys in the config."""
    parameter = next(iter(parameters(recorder.maker).values()), None)
    default = parameter.default if parameter is not None else None
    facts: dict[str, Any] = {}
    if isinstance(default, dict | list | set) and not recorder.only_one:
        kept = copy.deepcopy(default)
        recorder.build("keywords", Keywords())
        if kept != default:
            facts["default written to"] = (short(kept), short(default))
    if not (recorder.quick or recorder.slow_to_build or recorder.only_one):
        recorder.build("empty", {})
        facts["empty"] = recorder.builds["empty"].error
    return facts


def record_config_changes(recorder: Recorder) -> dict[str, tuple[str, str, str, bool]]:
    """Compares the caller's config with what it was before the constructor got it."""
    if not isinstance(recorder.main_config, dict):
        return {}
    before, after = dict(recorder.config_before), dict(recorder.main_config)
    changes = {}
    for key in {**before, **after}:
        what = "removed" if key not in after else "changed" if key in before else "added"
        if what != "changed" or not same(before[key], after[key]):
            severe = what != "added" or isinstance(after[key], MUTABLE)
            entry, was, now = told_apart(before.get(key), after.get(key))
            changes[f"{key!r}{entry}"] = (what, was, now, severe)
    return changes


class TrackedKey(str):
    """A config key that notices when somebody looks it up, also in copies of the config."""

    __slots__ = ()
    seen: set[str] = set()

    def __eq__(self, other: object) -> bool:
        equal = str.__eq__(self, other) is True
        if equal:
            TrackedKey.seen.add(str(self))
        return equal

    __hash__ = str.__hash__


def record_unread_keys(recorder: Recorder) -> dict[str, str | None]:
    """Makes a copy from a config that notices which keys are read; returns the unread ones with the likely word."""
    if not recorder.config or recorder.builds["context"].error:
        raise NotJudged("the config is empty, or the constructor raises")
    TrackedKey.seen.clear()
    if recorder.build("tracked", {TrackedKey(k): copy.deepcopy(v) for k, v in recorder.config.items()}) is None:
        raise NotJudged("the constructor does not work with keys of a str subclass")
    makers: list[Any] = [recorder.maker, *type(unwrapped(recorder.env)).__mro__]
    source = ""
    for maker in makers:
        with suppress(OSError, TypeError):  # Python has none of what is built in
            source += inspect.getsource(maker) if maker.__module__ not in ("gymnasium.core", "typing") else ""
    words = sorted({*re.findall(r"""["'](\w+)["']""", source), *map(str, attributes(recorder.env))})
    unread = [key for key in recorder.config if str(key) not in TrackedKey.seen and str(key) not in source]
    return {key: next(iter(difflib.get_close_matches(str(key), words, 1, 0.7)), None) for key in unread}
