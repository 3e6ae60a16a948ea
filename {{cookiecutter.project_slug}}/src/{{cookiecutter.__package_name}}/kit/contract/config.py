"""The config: it is the caller's, and every key in it should matter."""

from __future__ import annotations

import copy
import difflib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spaces.membership import short
from .locations import unwrapped
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .values import same

MUTABLE = (list, dict, set, np.ndarray)


@check()
def config_unchanged(study: Study) -> Iterator[Finding]:
    """The config that the constructor gets is not written to.

    All copies in one env runner are made from one config object: what one of them pops or appends, the next one
    gets, so copies differ from each other and from what the user asked for.
    """
    built = study.built
    try:
        _ = study.episodes
        when = "by the constructor or during episodes"
    except NotJudged:
        when = "by the constructor"
    before, after = dict(built.config_before), dict(built.config)
    changed = [key for key in before if key in after and not same(before[key], after[key])]
    removed = [key for key in before if key not in after]
    added = [key for key in after if key not in before]
    where = study.where("__init__")
    study.cache["config mutated"] = bool(changed or removed or any(isinstance(after[key], MUTABLE) for key in added))
    fix = "start with config = copy.deepcopy(dict(config or {})) and change only that"
    for keys, what in ((changed, "changed"), (removed, "removed")):
        if keys:
            key = keys[0]
            now = f", now {short(after[key])}" if key in after else ""
            text = f"the caller's config is mutated {when}: key {key!r} is {what} (was {short(before[key])}{now})"
            yield error(f"{text}; copies share one config", fix, where)
    for key in added:
        text = (
            f"the caller's config is mutated {when}: key {key!r} is added ({short(after[key])}); copies share one "
            "config"
        )
        yield (error if isinstance(after[key], MUTABLE) else warning)(text, fix, where)


class TrackedKey(str):
    """A config key that notices when somebody looks it up, also in copies of the config."""

    __slots__ = ()
    seen: set[str] = set()

    def __eq__(self, other: object) -> bool:
        equal = str.__eq__(self, other) is True
        if equal:
            TrackedKey.seen.add(str(self))
        return equal

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


@check()
def config_keys_used(study: Study) -> Iterator[Finding]:
    """Every key of the config is read by the environment.

    A misspelt key is silently ignored and the default used: a whole run is then trained on the wrong task.
    """
    if not study.config:
        raise NotJudged("the config is empty")
    if study.slow_to_build or study.context.env is None:
        raise NotJudged("the constructor is slow or raises")
    if study.only_one:
        raise NotJudged("no second copy can be made")
    TrackedKey.seen.clear()
    tracked = study.build({TrackedKey(key): copy.deepcopy(value) for key, value in study.config.items()})
    if tracked.env is None:
        raise NotJudged("the constructor does not work with keys of a str subclass")
    source, words = _source(study)
    for key in study.config:
        if str(key) not in TrackedKey.seen and str(key) not in source:
            near = difflib.get_close_matches(str(key), words, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            text = (
                f"config key {key!r} is never read: an unknown or misspelt key is silently ignored and the default "
                f"used{hint}"
            )
            fix = f"correct the key, or let the constructor refuse unknown keys with a ValueError that names {key!r}"
            yield warning(text, fix, study.where("__init__"))


def _source(study: Study) -> tuple[str, list[str]]:
    """The text of the environment's classes, and the words in it that could be config keys."""
    texts = []
    maker: Any
    for maker in (study.maker, *type(unwrapped(study.env)).__mro__):
        if getattr(maker, "__module__", None) not in ("builtins", "gymnasium.core", "typing"):
            try:
                texts.append(inspect.getsource(maker))
            except (OSError, TypeError):
                continue
    text = "\n".join(texts)
    words = set(re.findall(r"""["'](\w+)["']""", text))
    plain: Any = vars(unwrapped(study.env)) if hasattr(unwrapped(study.env), "__dict__") else {}
    return text, sorted(words | {str(name) for name in plain})
