"""Probes of the constructor and of what the environment says of itself."""

import ast
import copy
import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from ...spaces import UnsupportedSpace, adapt
from ...spaces.membership import short
from ...spaces.views import FirstCopy
from .locations import attributes, defined, described, of_user, unwrapped
from .model import NotJudged
from .recorder import NO_CONFIG, Recorder
from .sections import About, Build
from .surroundings import seed_global
from .targets import first_parameter
from .values import attribute, same

MUTABLE = (list, dict, set, bytearray, np.ndarray)
NAMES = ("observation_space", "action_space")


def record_builds(recorder: Recorder) -> dict[str, Build]:
    """Makes the environment in all the ways that users and RLlib make it."""
    recorder.construct()
    if "plain" not in recorder.builds and not recorder.slow_to_build and not recorder.only_one:
        recorder.build("plain", copy.deepcopy(recorder.config))
    return recorder.builds


def record_defaults(recorder: Recorder) -> dict[str, Any]:
    """Calls the constructor with its own defaults, and without keys in the config."""
    parameter = first_parameter(recorder.maker)
    default = parameter.default if parameter is not None else None
    facts: dict[str, Any] = {}
    if isinstance(default, dict | list | set):
        kept = copy.deepcopy(default)
        recorder.build("none", NO_CONFIG)
        if kept != default:
            facts["default written to"] = (short(kept), short(default))
    if recorder.quick or recorder.slow_to_build or recorder.only_one:
        return facts
    facts["empty"] = None
    if recorder.config:
        recorder.build("empty", {})
        facts["empty"] = recorder.builds["empty"].error
    if parameter is not None and default is None and facts["empty"] is None:
        recorder.build("None", None)
        facts["None"] = recorder.builds["None"].error
    return facts


def record_config_changes(recorder: Recorder) -> dict[str, tuple[str, str, str, bool]]:
    """Compares the caller's config with what it was before the constructor got it."""
    if not isinstance(recorder.main_config, dict):
        return {}
    before, after = dict(recorder.config_before), dict(recorder.main_config)
    changes = {}
    for key in (*before, *(key for key in after if key not in before)):
        was, now = short(before.get(key)), short(after.get(key))
        if key not in after:
            changes[str(key)] = ("removed", was, "", True)
        elif key not in before:
            changes[str(key)] = ("added", "", now, isinstance(after[key], MUTABLE))
        elif not same(before[key], after[key]):
            changes[str(key)] = ("changed", was, now, True)
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

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def record_unread_keys(recorder: Recorder) -> dict[str, str | None]:
    """Makes a copy from a config that notices which keys are read; returns the unread ones with the likely word."""
    recorder.cheap_copies()
    if not recorder.config or recorder.builds["context"].error:
        raise NotJudged("the config is empty, or the constructor raises")
    TrackedKey.seen.clear()
    tracked = {TrackedKey(key): copy.deepcopy(value) for key, value in recorder.config.items()}
    if recorder.build("tracked", tracked) is None:
        raise NotJudged("the constructor does not work with keys of a str subclass")
    source = "\n".join(_sources(recorder))
    words = sorted({*re.findall(r"""["'](\w+)["']""", source), *map(str, attributes(recorder.env))})
    unread = [key for key in recorder.config if str(key) not in TrackedKey.seen and str(key) not in source]
    return {key: next(iter(difflib.get_close_matches(str(key), words, 1, 0.7)), None) for key in unread}


def _sources(recorder: Recorder) -> Iterator[str]:
    """Yields the text of the environment's classes."""
    maker: Any
    for maker in (recorder.maker, *type(unwrapped(recorder.env)).__mro__):
        if getattr(maker, "__module__", None) not in ("builtins", "gymnasium.core", "typing"):
            try:
                yield inspect.getsource(maker)
            except (OSError, TypeError):
                continue


def record_about(recorder: Recorder) -> About:
    """Returns what the environment says of itself."""
    env, plain = recorder.env, type(unwrapped(recorder.env))
    about = About(
        where={name: _where(plain, name) for name in ("__init__", "reset", "step", "render", "close")},
        bases=[f"{base.__module__}.{base.__name__}" for base in plain.__mro__[:-1]],
        is_env=isinstance(env, gymnasium.Env | VectorEnv),
        is_vector=isinstance(env, FirstCopy),
        metadata=attribute(env, "metadata"),
        render_mode=attribute(unwrapped(env), "render_mode"),
        has_render=getattr(plain, "render", None) not in (None, gymnasium.Env.render),
        reset_parameters=_reset_parameters(plain),
        windows=list(_windows()),
        shared=_shared(plain),
        uses_order=_uses_order(plain),
    )
    _record_spaces(recorder, about)
    known = (*recorder.config.items(), *attributes(env).items())
    about.numbers = {str(k): v for k, v in known if isinstance(v, int | float) and not isinstance(v, bool)}
    return about


def _where(plain: type, name: str) -> str | None:
    method = getattr(plain, name, None)
    own = method is not None and getattr(method, "__module__", "").partition(".")[0] != "gymnasium"
    return (defined(method) if own else None) or defined(plain)


def _record_spaces(recorder: Recorder, about: About) -> None:
    env = recorder.env
    for name in NAMES:
        try:
            space = about.spaces[name] = getattr(env, name)
        except Exception as error:
            about.space_errors[name] = described(error)
            continue
        if not isinstance(space, spaces.Space):
            continue
        if getattr(unwrapped(env), name, None) is not getattr(unwrapped(env), name, None):
            about.new_spaces.append(name)
        if not type(space).__module__.startswith(("gymnasium.", __name__.rpartition(".contract.")[0])):
            about.foreign.append(name)
        try:
            value = copy.deepcopy(space).sample()
            about.samples[name] = (value, bool(space.contains(value)))
        except BaseException as error:
            about.samples[name] = described(error)
    if isinstance(env, gymnasium.Env) and len(about.samples) == 2:
        try:
            adapt(env)
        except UnsupportedSpace as error:
            about.adapters = str(error)


def _reset_parameters(plain: type) -> dict[str, Any] | None:
    try:
        parameters = inspect.signature(getattr(plain, "reset")).parameters  # noqa: B009  # mypy knows no such attribute
    except (AttributeError, TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return {name: "required" if p.default is p.empty else p.default for name, p in parameters.items()}


def _windows() -> Iterator[str]:
    """Yields the toolkits that have opened a window."""
    pygame, tkinter, pyplot = (sys.modules.get(name) for name in ("pygame", "tkinter", "matplotlib.pyplot"))
    if pygame is not None and pygame.display.get_init() and pygame.display.get_surface() is not None:
        yield "pygame"
    if getattr(tkinter, "_default_root", None) is not None:
        yield "tkinter"
    if pyplot is not None and pyplot.get_fignums():
        yield "matplotlib"


def _shared(plain: type) -> list[str]:
    """Returns mutable class attributes and module globals: where shared state may live."""
    names = []
    for owner in plain.__mro__:
        if not owner.__module__.startswith(("gymnasium", "builtins", "typing")):
            mutable = [name for name, value in vars(owner).items() if isinstance(value, MUTABLE) and name != "metadata"]
            names += [f"{owner.__name__}.{name}" for name in mutable]
    for name, value in vars(sys.modules.get(plain.__module__, object)).items():
        if isinstance(value, MUTABLE) and not name.startswith("__"):
            names.append(f"module-level {name}")
    return names


def _uses_order(plain: type) -> bool:
    """Tells whether the user's source uses sets or hashes, whose order changes from process to process."""
    for owner in plain.__mro__[:-1]:
        module = sys.modules.get(owner.__module__)
        if module is None or not of_user(getattr(module, "__file__", None) or "<none>"):
            continue
        try:
            tree = ast.parse(inspect.getsource(module))
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(tree):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Set | ast.SetComp) or name in ("set", "frozenset", "hash", "id"):
                return True
    return False


def record_spaces_after(recorder: Recorder) -> dict[str, tuple[str, str]]:
    """Returns the spaces that have changed while playing: what they were, and what they are."""
    changed = {}
    for name, first in recorder.first_spaces.items():
        now = attribute(recorder.env, name)
        if isinstance(first, spaces.Space) and now != first:
            changed[name] = (short(first), short(now))
    return changed


def record_copies(recorder: Recorder) -> dict[str, tuple[str | None, bool]]:
    """Makes further copies; returns for each space another one's that differs, and whether all share one object."""
    others = []
    for number in range(1 if recorder.slow_to_build else 3):
        seed_global(number)  # what a constructor draws by chance shall differ
        others.append(recorder.another())
    found = {}
    for name in NAMES:
        space = attribute(recorder.env, name)
        if isinstance(space, spaces.Space) and type(space) is not spaces.Space:
            theirs = [getattr(other, name, None) for other in others]
            odd = [short(their) for their in theirs if their != space]
            found[name] = (odd[0] if odd else None, theirs[0] is space)
    for other in others:
        recorder.keep(other)
    return found
