"""Probes of what the environment says of itself: its classes, spaces, signatures and globals."""

import ast
import contextlib
import copy
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from ...spaces import UnsupportedSpace, adapt, unseen
from ...spaces.membership import short
from ...spaces.views import FirstCopy
from ...tracebacks import is_users
from .compare import told_apart
from .locations import attributes, defined, described, unwrapped
from .model import About
from .recorder import Recorder
from .surroundings import seed_global
from .targets import parameters
from .values import attribute

NAMES = ("observation_space", "action_space")


def record_about(recorder: Recorder) -> About:
    """Returns what the environment says of itself."""
    about = About(**facts(recorder))
    _record_spaces(recorder, about)
    return about


def facts(recorder: Recorder) -> dict[str, Any]:
    """Returns what it says, but for its spaces: the fields of About."""
    env, plain = recorder.env, type(unwrapped(recorder.env))
    limits = attribute(attribute(env, "spec"), "max_episode_steps"), attribute(env, "_max_episode_steps")
    known = [(name, value) for owner in plain.__mro__ for name, value in vars(owner).items()]
    known += [*recorder.config.items(), *attributes(env).items(), *(("max_episode_steps", limit) for limit in limits)]
    return dict(
        where={name: _where(plain, name) for name in ("__init__", "reset", "step", "render", "close")},
        bases=[f"{base.__module__}.{base.__name__}" for base in plain.__mro__[:-1]],
        is_env=isinstance(env, gymnasium.Env | VectorEnv),
        is_vector=isinstance(env, FirstCopy),
        metadata=attribute(env, "metadata"),
        render_mode=attribute(unwrapped(env), "render_mode"),
        has_render=getattr(plain, "render", None) not in (None, gymnasium.Env.render),
        windows=_open_windows(),
        reset_parameters=_reset_parameters(plain),
        uses_order=_uses_order(plain),
        own_spec=_own_spec(plain),
        numbers={str(k): v for k, v in known if isinstance(v, int | float) and not isinstance(v, bool)},
    )


def _open_windows() -> list[str]:
    pygame, tkinter, pyplot = (sys.modules.get(name) for name in ("pygame", "tkinter", "matplotlib.pyplot"))
    display = attribute(pygame, "display")
    is_open = {
        "pygame": display is not None and display.get_init() and display.get_surface() is not None,
        "tkinter": attribute(tkinter, "_default_root") is not None,
        "matplotlib": pyplot is not None and bool(pyplot.get_fignums()),
    }
    return [name for name in is_open if is_open[name]]


def _where(plain: type, name: str) -> str | None:
    method = getattr(plain, name, None)
    return defined(plain if getattr(method, "__module__", "gymnasium").startswith("gymnasium") else method)


def _record_spaces(recorder: Recorder, about: About) -> None:
    env = recorder.env
    for name in NAMES:
        try:
            space = about.spaces[name] = getattr(env, name)
        except Exception as error:
            space = about.space_errors[name] = described(error)
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
            about.unseen = {path: short(space) for path, space in unseen(env.observation_space, "").items()}
        except UnsupportedSpace as error:
            about.adapters = str(error)


def _reset_parameters(plain: type) -> dict[str, Any] | None:
    found = parameters(getattr(plain, "reset", None))
    if not found or any(p.kind is p.VAR_KEYWORD for p in found.values()):
        return None
    return {name: "required" if p.default is p.empty else p.default for name, p in found.items()}


def _classes(plain: type) -> Iterator[tuple[ast.AST, bool]]:
    """Yields each node of the user's modules, and whether it is inside one of the environment's classes."""
    for owner in plain.__mro__[:-1]:
        module = sys.modules.get(owner.__module__)
        if module is None or not is_users(getattr(module, "__file__", None) or "<none>"):
            continue
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            for top in ast.parse(inspect.getsource(module)).body:
                is_its = isinstance(top, ast.ClassDef) and top.name == owner.__name__
                yield from ((node, is_its) for node in ast.walk(top))


def _uses_order(plain: type) -> bool:
    """Tells whether the user's source uses sets or hashes, whose order changes from process to process."""
    sets, names = (ast.Set, ast.SetComp), ("set", "frozenset", "hash", "id")
    calls = (getattr(node.func, "id", "") if isinstance(node, ast.Call) else node for node, _ in _classes(plain))
    return any(isinstance(call, sets) or call in names for call in calls)


def _own_spec(plain: type) -> str | None:
    """Returns what the user's class sets `self.spec` to, which is Gymnasium's; None where that is a spec."""
    sets = (node for node, is_its in _classes(plain) if is_its and isinstance(node, ast.Assign | ast.AnnAssign))
    for node in sets:
        targets = [ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
        if "self.spec" in targets and node.value is not None and "spec" not in ast.unparse(node.value).lower():
            return ast.unparse(node.value)[:70]
    return None


def record_spaces_after(recorder: Recorder) -> dict[str, tuple[str, str]]:
    """Returns the spaces that have changed while playing: what they were, and what they are."""
    now = {name: attribute(recorder.env, name) for name in NAMES}
    firsts = {name: space for name, space in recorder.first_spaces.items() if isinstance(space, spaces.Space)}
    return {name: told_apart(first, now[name])[1:] for name, first in firsts.items() if now[name] != first}


def record_copies(recorder: Recorder) -> dict[str, tuple[tuple[str, str] | None, bool]]:
    """Makes further copies; returns for each space how another one's differs, and whether all share one object."""
    others, found = [], {}
    for number in range(1 if recorder.slow_to_build else 3):
        seed_global(number)  # what a constructor draws by chance shall differ
        others.append(recorder.another())
    for name in NAMES:
        space = attribute(recorder.env, name)
        if isinstance(space, spaces.Space) and type(space) is not spaces.Space:
            theirs = [getattr(other, name, None) for other in others]
            odd = [told_apart(space, their)[1:] for their in theirs if their != space]
            found[name] = (odd[0] if odd else None, theirs[0] is space)
    for other in others:
        recorder.keep(other)
    return found
