"""The declared spaces: Gymnasium spaces, well-formed, stable, and something PPO can learn with."""

from typing import Any

import numpy as np
from gymnasium import spaces

from ...spaces.membership import short
from ...spaces.observations import leaves, name_of
from ..record import values
from ..record.env_record import EnvRecord
from .registry import EACH, NEVER, Finding, Findings, check

NAMES = ("observation_space", "action_space")
LARGE_DISCRETE = 10_000


def parts(space: Any, name: str) -> dict[str, Any]:
    """Returns the leaves of a nested space by their names."""
    return {name_of(name, path): leaf for path, leaf in leaves(space)}


@check(fix="set it in __init__ to a space of gymnasium.spaces, not of the old gym", at="__init__", blocks=True,
       several=NEVER)  # fmt: skip
def spaces_declared(record: EnvRecord) -> Findings:
    """Both spaces are set in the constructor and are Gymnasium spaces: RLlib builds the network from them."""
    about = record.about
    for name in NAMES:
        if name in about.space_errors:
            yield f"{name} is not declared: reading it raises {about.space_errors[name]}"
        elif not isinstance(about.spaces[name], spaces.Space) and name not in about.foreign:
            space = about.spaces[name]
            yield f"{name} is the {type(space).__name__} {short(space)}; it must inherit from gymnasium.spaces.Space"


@check(fix="write Box(low, high) with low below high", at="__init__", blocks=True, several=EACH)
def spaces_well_formed(record: EnvRecord) -> Findings:
    """Bounds are in order, finite where they must be, and no part is empty."""
    for name, space in record.about.declared():
        for path, part in parts(space, name).items():
            yield from _ill_formed_box(path, part) if isinstance(part, spaces.Box) else ()
            if name == "action_space" and isinstance(part, spaces.Discrete) and int(part.n) == 1:
                text = f"{path} is {part}: with one action there is nothing to choose"
                yield Finding(text, "declare all actions", severity="warning")
        if isinstance(space, spaces.Dict | spaces.Tuple) and not len(space.spaces):
            yield Finding(f"{name} is an empty {type(space).__name__}", "declare at least one part")


def _ill_formed_box(path: str, part: Any) -> Findings:
    if 0 in part.shape:
        yield Finding(f"{path} has shape {part.shape}: it holds nothing", "give every axis a length")
    elif np.isnan(part.low).any() or np.isnan(part.high).any():
        yield Finding(f"{path} has NaN among its bounds", "compute the bounds from valid numbers")
    elif (part.low > part.high).any():
        yield f"{path} has low greater than high at index {np.argwhere(part.low > part.high)[0].tolist()}"
    elif (part.low == part.high).any():
        index = np.argwhere(part.low == part.high)[0].tolist()
        text = f"{path} has low equal to high ({part.low[tuple(index)]}) at index {index}: a constant"
        yield Finding(text, "leave the entry out, or declare the range that it really has", severity="warning")


@check(fix="use a concrete space: Box, Discrete, MultiDiscrete, Dict, …", at="__init__")
def spaces_can_be_sampled(record: EnvRecord) -> Findings:
    """`sample()` works and gives members of the space: exploration and random baselines draw from it."""
    for name, sample in record.about.samples.items():
        if isinstance(sample, str):
            base = " (it is the abstract base class Space)" if type(record.about.spaces[name]) is spaces.Space else ""
            yield f"{name} cannot be sampled{base}: sample() raises {sample}"
        elif not sample[1]:
            text = f"{name}.sample() gives {short(sample[0])}, which is not in the space"
            yield Finding(text, "declare bounds that the dtype can hold")


@check(fix="declare one space in __init__ that holds for all episodes (pad what is shorter)", at="__init__")
def spaces_stable(record: EnvRecord) -> Findings:
    """The spaces are the same objects at every access and in every episode: the network is built from them once."""
    for name in record.about.new_spaces:
        text = f"{name} is a new space object at every access: seeding it has no effect"
        yield Finding(text, f"make it once: self.{name} = ... in __init__", severity="warning")
    for name, (first, now) in record.spaces_after.items():
        yield f"{name} has changed while playing, from {first} to {now}"


@check(fix="let the space depend on the config only, not on chance or on other instances", at="__init__")
def spaces_same_in_copies(record: EnvRecord) -> Findings:
    """Copies made from one config declare equal spaces, each its own objects: their observations are stacked."""
    for name, (odd, shared) in record.copies.items():
        if odd is not None:
            yield f"copies differ in {name}: {' and '.join(odd)} from the same config; expected equal spaces"
        elif shared:
            text = f"all copies share one {name} object (class attribute or module constant): seeding one seeds all"
            yield Finding(text, f"write self.{name} = ... in __init__", severity="warning")


@check(fix="declare one of the spaces in the tables of kit/docs/spaces.md", at="__init__", mild=True, several=EACH)
def spaces_trainable(record: EnvRecord) -> Findings:
    """PPO can learn with the spaces; the adapters take nearly all, plain RLlib fewer."""
    if record.about.adapters is not None:
        yield Finding(f"an unsupported space for training: {record.about.adapters}", blocks=True)
    for name, space in record.about.declared():
        for path, part in parts(space, name).items():
            yield from _hard_action(path, part) if name == "action_space" else ()
            if isinstance(part, spaces.Discrete) and int(part.n) > LARGE_DISCRETE:
                text = f"{path} is {part}: too large for a network, as one-hot vector or list of logits"
                yield Finding(text, "split it into parts (MultiDiscrete), or give the numbers behind it as a Box")
    for path, space in record.about.unseen.items():
        told = (leaf for episode in record.resets for _, obs in episode.observations() for leaf in values.leaves(obs))
        if len({values.digest(value) for where, value in told if where == path}) != 1:  # a constant tells nothing
            text = f"observation_space{path}: {space} is not seen by the policy: PPO's networks can't take it"
            yield Finding(text, "declare one of Gymnasium's own spaces, such as Text, if it should be")


def _hard_action(path: str, part: Any) -> Findings:
    if isinstance(part, spaces.Discrete | spaces.MultiDiscrete) and np.any(part.start != 0):
        text = f"{path} is {part} with a non-zero start, which plain RLlib ignores; this project's adapter shifts it"
        yield Finding(text, "declare start=0 and add the offset in step()")
    elif isinstance(part, spaces.Box) and not part.is_bounded("both"):
        text = f"{path} is unbounded: RLlib cannot scale actions to it, and PPO explores near 0 only"
        yield Finding(text, "declare finite bounds, best -1 and 1, and scale in step()")
