"""Calls of the constructor, and what they change around them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .locations import described, raised
from .pulse import Pulse
from .recording import Trouble
from .surroundings import Snapshot, snapshot
from .targets import make
from .views import as_single


class _NoConfig:
    """Marks a construction without arguments."""


NO_CONFIG = _NoConfig()


@dataclass
class Built:
    """One call of the constructor: the environment or the trouble, and what changed around it."""

    config: Any
    config_before: Any
    before: Snapshot
    after: Snapshot
    seconds: float
    env: Any = None
    trouble: Trouble | None = None


def build(maker: Callable[..., Any], config: Any, pulse: Pulse, render_mode: str | None = None) -> Built:
    """Calls the constructor once, without arguments if `config` is `NO_CONFIG`; never raises."""
    kept = copy.deepcopy(config)
    pulse.call("__init__")
    before, start = snapshot(), time.perf_counter()
    env, trouble = None, None
    try:
        env = as_single(maker() if config is NO_CONFIG else make(maker, config, render_mode))
    except BaseException as problem:
        trouble = Trouble("__init__", 0, described(problem), raised(problem), problem)
    seconds = time.perf_counter() - start
    pulse.call("check")
    return Built(config, kept, before, snapshot(), seconds, env, trouble)
