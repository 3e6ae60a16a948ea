"""The declared spaces: Gymnasium spaces, well-formed, stable, and something PPO can learn with."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ...spaces.membership import short
from ..record.model import EnvRecord
from ..record.vector import parts
from .registry import Finding, check

NAMES = ("observation_space", "action_space")
LARGE_DISCRETE = 10_000


@check(fix="set it in __init__ to a space of gymnasium.spaces", at="__init__", blocks=True)
def spaces_declared(record: EnvRecord) -> Iterator[Finding]:
    """Both spaces are set in the constructor and are Gymnasium spaces.

    RLlib builds the network from them before the first reset.
    """
    about = record.about
    for name in NAMES:
        if name in about.space_errors:
            text = f"{name} is not declared: reading it raises {about.space_errors[name]}"
            yield Finding(text, f"set self.{name} in __init__")
        elif not isinstance(about.spaces[name], spaces.Space) and name not in about.foreign:
            space = about.spaces[name]
            text = f"{name} is the {type(space).__name__} {short(space)}; it must inherit from gymnasium.spaces.Space"
            fix = f"write self.{name} = gymnasium.spaces.Box(...) or Discrete(...); the old gym's spaces don't do"
            yield Finding(text, fix)


@check(fix="write Box(low, high) with low below high", at="__init__", blocks=True)
def spaces_well_formed(record: EnvRecord) -> Iterator[Finding]:
    """Bounds are in order, finite where they must be, and no part is empty.

    Swapped bounds make every observation invalid, a part without room is a useless feature.
    """
    for name, space in record.about.declared():
        for path, part in parts(space, name):
            yield from _ill_formed(path, part)
        if isinstance(space, spaces.Dict | spaces.Tuple) and not len(space.spaces):
            yield Finding(f"{name} is an empty {type(space).__name__}", "declare at least one part")


def _ill_formed(path: str, part: Any) -> Iterator[Finding]:
    if isinstance(part, spaces.Box):
        if 0 in part.shape:
            yield Finding(f"{path} has shape {part.shape}: it holds nothing", "give every axis a length")
        elif np.isnan(part.low).any() or np.isnan(part.high).any():
            yield Finding(f"{path} has NaN among its bounds", "compute the bounds from valid numbers")
        elif (part.low > part.high).any():
            index = np.argwhere(part.low > part.high)[0].tolist()
            yield Finding(f"{path} has low greater than high at index {index}: swapped bounds")
        elif (part.low == part.high).any():
            index = np.argwhere(part.low == part.high)[0].tolist()
            text = f"{path} has low equal to high ({part.low[tuple(index)]}) at index {index}: a constant"
            yield Finding(text, "leave the entry out, or declare the range that it really has", severity="warning")
    elif isinstance(part, spaces.Discrete) and int(part.n) < 1:
        yield Finding(f"{path} is {part}: it holds no value", "declare Discrete(n) with n of at least 1")
    elif isinstance(part, spaces.Discrete) and int(part.n) == 1 and path.startswith("action"):
        text = f"{path} is {part}: with one action there is nothing to choose"
        yield Finding(text, "declare all actions", severity="warning")


@check(fix="use a concrete space: Box, Discrete, MultiDiscrete, Dict, …", at="__init__")
def spaces_can_be_sampled(record: EnvRecord) -> Iterator[str | Finding]:
    """`sample()` works and gives members of the space.

    Exploration and every random baseline draw from the space.
    """
    for name, sample in record.about.samples.items():
        if isinstance(sample, str):
            base = " (it is the abstract base class Space)" if type(record.about.spaces[name]) is spaces.Space else ""
            yield f"{name} cannot be sampled{base}: sample() raises {sample}"
        elif not sample[1]:
            text = f"{name}.sample() gives {short(sample[0])}, which is not in the space: check its bounds and dtype"
            yield Finding(text, "declare bounds that the dtype can hold")


@check(fix="declare one space in __init__ that holds for all episodes (pad what is shorter)", at="__init__")
def spaces_stable(record: EnvRecord) -> Iterator[str | Finding]:
    """The spaces are the same object at every access and do not change in an episode.

    The network is built once, from the spaces as they are at the start. Seeding a space that is made anew at each
    access has no effect.
    """
    for name in record.about.new_spaces:
        text = f"{name} is a new space object at every access: seeding it has no effect"
        yield Finding(text, f"make it once: self.{name} = ... in __init__", severity="warning")
    for name, (first, now) in record.spaces_after.items():
        yield f"{name} has changed while playing, from {first} to {now}"


@check(fix="let the space depend on the config only, not on chance or on other instances", at="__init__")
def spaces_same_in_copies(record: EnvRecord) -> Iterator[str | Finding]:
    """Copies made from one config declare equal spaces, each its own objects.

    RLlib stacks the observations of all copies into one array and asks one copy for the network's shape.
    """
    for name, (odd, shared) in record.copies.items():
        if odd is not None:
            space = short(record.about.spaces[name])
            yield f"copies differ in {name}: {space} and {odd} from the same config; expected equal spaces"
        elif shared:
            text = f"all copies share one {name} object (class attribute or module constant): seeding one seeds all"
            yield Finding(text, f"write self.{name} = ... in __init__", severity="warning")


@check(fix="declare one of the spaces in the tables of the README", at="__init__", severity="warning")
def spaces_trainable(record: EnvRecord) -> Iterator[Finding]:
    """PPO can learn with the spaces.

    This project's adapters take nearly any Gymnasium space; plain RLlib takes fewer and fails, or silently sends other
    actions.
    """
    if record.about.adapters is not None:
        yield Finding(f"an unsupported space for training: {record.about.adapters}", blocks=True)
    for name, space in record.about.declared():
        for path, part in parts(space, name):
            yield from _untrainable(path, part, name == "action_space")


def _untrainable(path: str, part: Any, acts: bool) -> Iterator[Finding]:
    if acts and isinstance(part, spaces.Discrete | spaces.MultiDiscrete) and np.any(part.start != 0):
        text = (
            f"{path} is {part} with a non-zero start: plain RLlib ignores start and sends actions 0..n-1, outside the "
            "space; this project's adapter shifts them"
        )
        yield Finding(text, "declare start=0 and add the offset in step()")
    elif acts and isinstance(part, spaces.Box) and not part.is_bounded("both"):
        text = f"{path} is unbounded: RLlib cannot scale actions to it, and PPO explores near 0 only"
        yield Finding(text, "declare finite bounds, best -1 and 1, and scale in step()")
    elif isinstance(part, spaces.Discrete) and int(part.n) > LARGE_DISCRETE:
        text = f"{path} is {part}: too large for a network, as one-hot vector or list of logits"
        yield Finding(text, "split it into parts (MultiDiscrete), or give the numbers behind it as a Box")
    elif not acts and _is_channels_first(part):
        text = f"{path} of shape {part.shape} looks channels-first; RLlib's CNN reads the last axis as channels"
        yield Finding(text, "return np.moveaxis(image, 0, -1), that is (height, width, channels)")


def _is_channels_first(part: Any) -> bool:
    channels = (1, 3, 4)
    image = isinstance(part, spaces.Box) and len(part.shape) == 3
    return image and part.shape[0] in channels and part.shape[2] not in channels
