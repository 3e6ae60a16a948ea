"""The environment to check: from `module:attr` or `file.py:attr`."""

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import gymnasium

from ...errors import UsageError
from .locations import described, raised, shorten, unwrapped


class WorkerConfig(dict[str, Any]):
    """A dict with the attributes of RLlib's EnvContext, made without RLlib."""

    def __init__(self, config: dict[str, Any], worker_index: int = 1, vector_index: int = 0) -> None:
        super().__init__(config)
        self.worker_index, self.vector_index, self.num_workers = worker_index, vector_index, 2
        self.remote = self.recreated_worker = False


class Keywords(dict[str, Any]):
    """A config whose entries are handed over as keywords, as `gymnasium.make` does."""


def load(text: str) -> Callable[..., Any]:
    """Returns the class or creator that a target names; raises UsageError if there is none, or importing it raises."""
    place, _, attribute = text.rpartition(":")
    if re.search(r"-v\d+$", attribute):
        return _registered(place, attribute)
    if not place or not attribute:
        raise UsageError(f"TARGET must read module:attr, file.py:attr or an ID such as CartPole-v1, got {text!r}")
    try:
        if place.endswith(".py"):
            module = _from_file(Path(place).resolve())
        else:
            sys.path.insert(0, "")
            module = importlib.import_module(place)
    except UsageError:
        raise
    except BaseException as error:
        line = shorten(raised(error)) or place
        raise UsageError(f"importing {place} fails at {line} with {described(error)}") from error
    thing: Any = module
    for part in attribute.split("."):
        if not hasattr(thing, part):
            names = [name for name, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "step")]
            raise UsageError(f"{place} has no attribute {attribute!r}. It has {', '.join(names) or 'no environment'}")
        thing = getattr(thing, part)
    if not callable(thing):
        raise UsageError(f"{text} is a {type(thing).__name__}; expected a class or a function of one config")
    return thing


def _registered(place: str, name: str) -> Callable[..., Any]:
    """Returns what makes an environment that is registered with Gymnasium, by a module if one is named."""
    try:
        if place:
            importlib.import_module(place)
        gymnasium.spec(name)
    except (ImportError, gymnasium.error.Error) as error:
        raise UsageError(f"{described(error)}; write MODULE:{name} if importing a module registers it") from error

    def make(config: Any = None, render_mode: str | None = None) -> Any:
        return gymnasium.make(name, render_mode=render_mode, disable_env_checker=True, **(config or {}))

    return make


def _from_file(path: Path) -> Any:
    """Returns the module in a file, which is imported by the package it lies in: it may import its neighbours."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    packages = list(takewhile(lambda folder: (folder / "__init__.py").is_file(), path.parents))
    nodes = ast.walk(ast.parse(path.read_bytes(), str(path)))
    if not packages and any(isinstance(node, ast.ImportFrom) and node.level for node in nodes):
        packages = [path.parent]  # without __init__.py a folder is a package as well
    sys.path.insert(0, str(path.parents[len(packages)]))
    name = ".".join([*(folder.name for folder in reversed(packages)), path.stem])
    if packages:
        return importlib.import_module(name)
    spec: Any = importlib.util.spec_from_file_location(f"checked_{name}" if name in sys.modules else name, path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its classes are pickled by that name
    spec.loader.exec_module(module)
    return module


def accepts(maker: Callable[..., Any], name: str) -> bool:
    """Tells whether a class or creator has a parameter of this name (or takes any keyword)."""
    return name in parameters(maker) or any(p.kind is p.VAR_KEYWORD for p in parameters(maker).values())


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a function or class; none where Python does not know."""
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def make(maker: Callable[..., Any], config: Any, render_mode: str | None = None) -> Any:
    """Returns an environment from a class or creator, called as RLlib or, with `Keywords`, as `gymnasium.make` does."""
    if isinstance(config, Keywords):
        keywords = {**config, "render_mode": render_mode}
        return maker(**{name: value for name, value in keywords.items() if value is not None and accepts(maker, name)})
    first = next(iter(parameters(maker).values()), None)
    if first and (first.name == "render_mode" or isinstance(first.default, int | float | str | tuple)):
        raise TypeError(f"its first parameter is {first}, no config")
    if render_mode is None:
        return maker(config)
    if accepts(maker, "render_mode"):
        return maker(config, render_mode=render_mode)
    env = maker(config)
    if getattr(getattr(env, "spec", None), "entry_point", None) is not None:
        return gymnasium.make(env.spec, render_mode=render_mode)
    raise TypeError(f"{type(unwrapped(env)).__name__} takes no render_mode")
