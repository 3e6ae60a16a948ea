"""The declared spaces: Gymnasium spaces, well-formed, stable, and something PPO can learn with."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ..spaces.membership import short
from .locations import described, unwrapped
from .registry import Finding, NotJudged, check, error, warning
from .study import Study
from .surroundings import seed_global
from .values import attribute

NAMES = ("observation_space", "action_space")


def declared(study: Study) -> Iterator[tuple[str, Any]]:
    """The spaces that are Gymnasium spaces, with their names."""
    for name in NAMES:
        space = attribute(study.env, name)
        if isinstance(space, spaces.Space):
            yield name, space


def parts(space: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every leaf of a nested space, with the path to it."""
    if isinstance(space, spaces.Dict):
        for key, part in space.items():
            yield from parts(part, f"{path}[{key!r}]")
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from parts(part, f"{path}[{index}]")
    else:
        yield path, space


@check()
def spaces_declared(study: Study) -> Iterator[Finding]:
    """Both spaces are set in the constructor and are Gymnasium spaces.

    RLlib builds the network from them before the first reset.
    """
    for name in NAMES:
        try:
            space = getattr(study.env, name)
        except Exception as problem:
            text = f"expected {name} to be a gymnasium.spaces.Space, got {described(problem)}: it is not declared"
            yield error(text, f"set self.{name} in __init__", study.where("__init__"))
            continue
        if isinstance(space, spaces.Space):
            continue
        what = (
            f"the class {space.__name__}, not an instance" if inspect.isclass(space) else f"the {type(space).__name__} "
        )
        what = what if inspect.isclass(space) else what + short(space)
        text = f"{name} is {what}; it must inherit from gymnasium.spaces.Space"
        fix = f"write self.{name} = gymnasium.spaces.Box(...) or Discrete(...), from gymnasium, not from the old gym"
        yield error(text, fix, study.where("__init__"))


@check()
def spaces_well_formed(study: Study) -> Iterator[Finding]:
    """Bounds are in order, finite where they must be, and no part is empty.

    Swapped bounds make every observation invalid, a part without room is a useless feature.
    """
    where = study.where("__init__")
    for name, space in declared(study):
        for path, part in parts(space, name):
            yield from _ill_formed(path, part, where)
        if isinstance(space, spaces.Dict | spaces.Tuple) and not len(space.spaces):
            yield error(f"{name} is an empty {type(space).__name__}", "declare at least one part", where)


def _ill_formed(path: str, part: Any, where: str | None) -> Iterator[Finding]:
    if isinstance(part, spaces.Box):
        if 0 in part.shape:
            yield error(f"{path} has shape {part.shape}: it holds nothing (size 0)", "give every axis a length", where)
        elif np.isnan(part.low).any() or np.isnan(part.high).any():
            yield error(f"{path} has NaN among its bounds", "compute the bounds from valid numbers", where)
        elif (part.low > part.high).any():
            index = np.argwhere(part.low > part.high)[0].tolist()
            text = f"{path} has low greater than high at index {index}: swapped bounds"
            yield error(text, "write Box(low, high) with low below high", where)
        elif (part.low == part.high).any():
            index = np.argwhere(part.low == part.high)[0].tolist()
            text = (
                f"{path} has low equal to high ({part.low[tuple(index)]}) at index {index}: a constant, useless feature"
            )
            yield warning(
                text, "leave the entry out, or declare the range that it really has (degenerate bounds)", where
            )
    elif isinstance(part, spaces.Discrete) and int(part.n) < 1:
        yield error(f"{path} is {part}: it holds no value", "declare Discrete(n) with n of at least 1", where)
    elif isinstance(part, spaces.Discrete) and int(part.n) == 1 and path.startswith("action"):
        yield warning(f"{path} is {part}: with one action there is nothing to choose", "declare all actions", where)


@check()
def spaces_can_be_sampled(study: Study) -> Iterator[Finding]:
    """`sample()` works and gives members of the space.

    Exploration and every random baseline draw from the space.
    """
    for name, space in declared(study):
        try:
            value = copy.deepcopy(space).sample()
            inside = bool(space.contains(value))
        except BaseException as problem:
            base = " (it is the abstract base class Space)" if type(space) is spaces.Space else ""
            text = f"{name} cannot be sampled{base}: sample() raises {described(problem)}"
            fix = "use a concrete space: Box, Discrete, MultiDiscrete, Dict, …"
            yield error(text, fix, study.where("__init__"))
            continue
        if not inside:
            text = f"{name}.sample() gives {short(value)}, which is not in the space: its bounds or its dtype are wrong"
            yield error(text, "declare bounds that the dtype can hold", study.where("__init__"))


@check()
def spaces_stable(study: Study) -> Iterator[Finding]:
    """The spaces are the same object at every access and do not change in an episode.

    The network is built once, from the spaces as they are at the start. Seeding a space that is made anew at each
    access has no effect.
    """
    env = unwrapped(study.env)
    where = study.where("__init__")
    for name, space in declared(study):
        if getattr(env, name, None) is not getattr(env, name, None):
            text = f"{name} is a new space object at every access, not the same one each time: seeding it has no effect"
            yield warning(text, f"make it once: self.{name} = ... in __init__", where)
        try:
            _ = study.episodes
        except NotJudged:
            continue
        first, now = study.first_spaces.get(name, space), getattr(study.env, name, None)
        if now != first:
            text = f"{name} has changed while playing, from {short(first)} to {short(now)}; not the same space"
            yield error(text, "declare one space in __init__ that holds for all episodes (pad what is shorter)", where)


@check()
def spaces_same_in_copies(study: Study) -> Iterator[Finding]:
    """Two copies made from one config declare equal spaces, each its own objects.

    RLlib stacks the observations of all copies into one array and asks one copy for the network's shape.
    """
    others = []
    for number in range(1 if study.slow_to_build else 3):
        seed_global(number)  # What a constructor draws by chance shall differ.
        others.append(study.another())
    where = study.where("__init__")
    for name, space in declared(study):
        theirs = [getattr(other, name, None) for other in others]
        odd = next((their for their in theirs if their != space), None)
        if type(space) is spaces.Space:
            continue  # The abstract class: spaces_can_be_sampled tells.
        if odd is not None:
            study.cache["spaces differ"] = True
            text = (
                f"copies differ in {name}: {short(space)} and {short(odd)} from the same config; expected the same "
                "shape"
            )
            yield error(text, "let the space depend on the config only, not on chance or on other instances", where)
        elif theirs[0] is space:
            text = f"all copies share one {name} object (class attribute or module constant): seeding one seeds all"
            yield warning(text, f"write self.{name} = ... in __init__", where)
    for other in others:
        study.spare.append(other)
