"""The environment to check: from `module:attr`, `file.py:attr` or this project's own `make_env`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .locations import described, raised, shorten, unwrapped


class TargetError(Exception):
    """The target cannot be loaded; the text is one line for the user."""


class WorkerConfig(dict):
    """A dict with the attributes of RLlib's EnvContext, made without RLlib."""

    def __init__(self, config: dict[str, Any], worker_index: int = 1, vector_index: int = 0) -> None:
        super().__init__(config)
        self.worker_index = worker_index
        self.vector_index = vector_index
        self.num_workers = 2
        self.remote = False
        self.recreated_worker = False


def load(text: str) -> Callable[..., Any]:
    """The class or creator that a target names.

    Args:
        text: "module:attr" or "file.py:attr"; None means this project's `make_env`.

    Raises:
        TargetError: If there is no such thing, or importing it raises.
    """
    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        raise TargetError(f"TARGET must read module:attr or file.py:attr, got {text!r}")
    if place.endswith(".py"):
        module = _import(lambda: _from_file(Path(place)), place)
    else:
        sys.path.insert(0, "")
        module = _import(lambda: importlib.import_module(place), place)
    thing: Any = module
    for part in attribute.split("."):
        if not hasattr(thing, part):
            names = [name for name, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "step")]
            raise TargetError(f"{place} has no attribute {attribute!r}. It has {', '.join(names) or 'no environment'}")
        thing = getattr(thing, part)
    if not callable(thing):
        raise TargetError(f"{text} is a {type(thing).__name__}; expected a class or a function of one config")
    return thing


def _from_file(path: Path) -> Any:
    path = path.resolve()
    if not path.is_file():
        raise TargetError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem not in sys.modules else f"checked_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # So that its classes can be pickled by name.
    spec.loader.exec_module(module)
    return module


def _import(importer: Callable[[], Any], place: str) -> Any:
    try:
        return importer()
    except TargetError:
        raise
    except BaseException as problem:
        line = shorten(raised(problem)) or place
        raise TargetError(f"importing {place} fails at {line} with {described(problem)}") from problem


def accepts(maker: Callable[..., Any], name: str) -> bool:
    """Whether a class or creator has a parameter of this name (or takes any keyword)."""
    try:
        parameters = inspect.signature(maker).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def make(maker: Callable[..., Any], config: Any, render_mode: str | None = None) -> Any:
    """An environment from a class or creator, called as RLlib would call it."""
    if render_mode is None:
        return maker(config)
    if accepts(maker, "render_mode"):
        return maker(config, render_mode=render_mode)
    env = maker(config)
    plain = type(unwrapped(env))
    spec = getattr(env, "spec", None)
    if spec is not None and getattr(spec, "entry_point", None) is not None:
        import gymnasium

        return gymnasium.make(spec, render_mode=render_mode)
    if takes_config(plain) and accepts(plain, "render_mode"):
        return plain(config, render_mode=render_mode)
    raise TypeError(f"{plain.__name__} takes no render_mode")


def takes_config(maker: Callable[..., Any]) -> bool:
    """Whether the first parameter can be a config: it is not named render_mode, and there is one."""
    try:
        parameters = list(inspect.signature(maker).parameters.values())
    except (TypeError, ValueError):
        return True
    return bool(parameters) and "config" in parameters[0].name
