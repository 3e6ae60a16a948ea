"""What an environment keeps from call to call, by name: to tell which of it leaks into the next episode or copy."""

import sys
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from ...tracebacks import is_users
from .locations import attributes, unwrapped
from .values import attribute, digest, size_in_bytes

PLAIN = (int, float, complex, str, bytes, bytearray, np.generic, np.ndarray, list, dict, tuple, set, frozenset, deque)
LARGE_BYTES = 10_000_000
State = dict[str, int]  # a checksum by name


def own_state(env: Any) -> State:
    """Returns the state of the attributes of the user's object, and of those of its own objects."""
    return dict(_values("self.", attributes(env), depth=3))


def shared_state(env: Any) -> State:
    """Returns the state of what all copies share: class attributes, module globals and mutable defaults."""
    plain = type(unwrapped(env))
    found: State = {}
    for owner in plain.__mro__[:-1]:
        if owner.__module__.startswith(("gymnasium", "typing")):
            continue
        found.update(_values(f"{owner.__name__}.", vars(owner), depth=2))
        for name, function in vars(owner).items():
            defaults, named = attribute(function, "__defaults__") or (), attribute(function, "__kwdefaults__") or {}
            given = [*defaults, *named.values()]
            mutable = {f"{name}()": value for value in given if isinstance(value, list | dict | set)}
            found.update(_values("a default of ", mutable, depth=1))
    return found | dict(_values("its module's ", vars(sys.modules.get(plain.__module__, object)), depth=2))


def changed(*states: State) -> list[str]:
    """Returns the names of what differs from one state to the next."""
    return list(dict.fromkeys(name for one, two in pairwise(states) for name in two if one.get(name) != two[name]))


def _values(prefix: str, values: Any, depth: int) -> Iterator[tuple[str, int]]:
    for name, value in list(values.items()):
        path, generator = f"{prefix}{name}", attribute(value, "bit_generator") or value
        state = attribute(generator, "getstate") or attribute(generator, "state")
        if str(name).startswith(("__", "_np_random")) or name == "metadata" or isinstance(value, type):
            continue
        if value is None or (isinstance(value, PLAIN) and size_in_bytes(value) < LARGE_BYTES):
            kept: Any = sorted(map(repr, value)) if isinstance(value, set | frozenset) else value
            yield path, digest([*kept] if isinstance(kept, deque) else kept)
        elif type(generator).__module__.startswith(("numpy.random", "random")) and state is not None:
            yield path, digest(state() if callable(state) else state)
        elif depth > 1 and is_users(getattr(sys.modules.get(type(value).__module__), "__file__", None) or "<none>"):
            yield from _values(f"{path}.", getattr(value, "__dict__", {}), depth - 1)
