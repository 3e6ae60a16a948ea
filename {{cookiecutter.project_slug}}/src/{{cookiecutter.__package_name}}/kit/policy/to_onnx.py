"""Turns a policy into a model in ONNX, which holds all that it takes to act, and says so in its metadata."""

import json
import logging
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from ..errors import RunError, UsageError
from ..spaces import ACTION_MASK, VECTOR
from ..spaces.actions import LARGEST_INTEGER, scaling_of, values_of
from ..spaces.adapters import seen_parts
from ..spaces.encodings import integer_scale
from ..spaces.images import image_layout, image_scale
from ..spaces.membership import short
from ..spaces.observations import Leaf, leaves, name_of, seen_leaves
from .policy import Policy
from .space_json import to_json

Convert = Callable[[torch.Tensor], torch.Tensor]


def to_onnx(policy: Policy, facts: Mapping[str, Any]) -> bytes:
    """Returns a model that takes the leaves of the observation space in a batch, and returns those of the action space.

    Args:
        policy: of a run.
        facts: JSON values for the metadata, beside those of the policy, its inputs and its outputs.

    Raises:
        UsageError: one of the spaces can't be exported.
        RunError: torch's exporter fails.
    """
    seen, acted = seen_leaves(policy.observation_space), leaves(policy.action_space)
    inputs = _names(seen, "observation", ())
    outputs = _names(acted, "action", inputs)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Greedy(policy),
                tuple(torch.zeros(2, *(leaf.shape or ()), dtype=_torch(leaf.dtype)) for _, leaf in seen),
                dynamo=True,
                verbose=False,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=(tuple({0: torch.export.Dim("batch")} for _ in seen),),
            )
    except UsageError:
        raise
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise RunError(f"torch can't export this policy: {what[:200]}") from None
    finally:
        logging.disable(logging.NOTSET)
    _tidy(program.model.graph)
    facts = {**policy.facts, **facts, "inputs": _described(inputs, seen), "outputs": _described(outputs, acted)}
    program.model.metadata_props.update({name: json.dumps(value) for name, value in facts.items()})
    return bytes(program.model_proto.SerializeToString())


def _tidy(graph: Any) -> None:
    """Leaves out where in the source each node comes from, and names that an observation may have, such as "tanh"."""
    for number, node in enumerate(graph):
        node.metadata_props.clear()
        for place, value in enumerate(node.outputs):
            value.metadata_props.clear()
            if not value.is_graph_output():
                value.name = f"#{number}.{place}"


def _names(parts: Sequence[Leaf], root: str, taken: Collection[str]) -> list[str]:
    """Returns the path to each leaf, joined with dots, after "action." where an input is called so already."""
    names = [".".join(map(str, path)) or root for path, _ in parts]
    names = [f"{root}.{name}" if name in taken else name for name in names]
    for name in names:
        if names.count(name) > 1 or name in taken:
            raise UsageError(f"two parts of the spaces would be called {name!r} in the file; give one another key")
    return names


def _described(names: Sequence[str], parts: Sequence[Leaf]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": str(leaf.dtype), "shape": ["batch", *(leaf.shape or ())], "space": to_json(leaf)}
        for name, (_, leaf) in zip(names, parts, strict=True)
    ]


class Greedy(nn.Module):
    """Does with a batch, and in torch, what the adapters do with one observation in NumPy; it can be exported.

    Raises:
        UsageError: the policy sees a space that has no arrays of a fixed size.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.actor = policy.actor
        places = {path: place for place, (path, _) in enumerate(seen_leaves(policy.observation_space))}
        self._encoders = {
            key: [(places[path], _encoder(leaf, key, name_of("observation_space", path))) for path, leaf in part]
            for key, part in seen_parts(policy.observation_space).items()
        }
        self._decoders: list[tuple[bool, slice, Convert]] = []
        starts = {True: 0, False: 0}
        for _, leaf in leaves(policy.action_space):
            is_choice, size = values_of(leaf) is not None, int(np.prod(leaf.shape or ()))
            place = slice(starts[is_choice], starts[is_choice] + size)
            self._decoders.append((is_choice, place, _decoder(leaf)))
            starts[is_choice] += size

    def forward(self, *observations: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the leaves of the action space for those of the observation space, each with a first axis more."""
        seen = {
            key: torch.cat([encode(observations[place]) for place, encode in part], dim=-1)
            for key, part in self._encoders.items()
        }
        chosen = self.actor.most_likely(self.actor(seen if len(seen) > 1 else next(iter(seen.values()))))
        choices, reals = chosen if isinstance(chosen, tuple) else (chosen, chosen)
        choices = choices.unsqueeze(-1) if choices.ndim == 1 else choices
        return tuple(decode((choices if is_choice else reals)[:, place]) for is_choice, place, decode in self._decoders)


def _torch(dtype: Any) -> torch.dtype:
    """Returns torch's dtype for NumPy's; raises TypeError where it has none."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _encoder(space: gym.Space[Any], key: str, name: str) -> Convert:
    if key == ACTION_MASK:
        return lambda x: x.to(torch.int32)
    if key != VECTOR:
        return _image_encoder(space)
    size = int(np.prod(space.shape or ()))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _one_hots(space)
    if not isinstance(space, spaces.Box | spaces.MultiBinary):
        raise UsageError(f"{name}: {short(space)} can't be exported; load_policy takes the run itself")
    if isinstance(space, spaces.MultiBinary) or np.issubdtype(space.dtype, np.floating):
        return lambda x: x.reshape(-1, size).float()
    if (scale := integer_scale(space)) is None:
        return lambda x: (torch.sign(x.double()) * torch.log1p(x.double().abs())).float().reshape(-1, size)
    low, span = (torch.from_numpy(each) for each in scale)
    return lambda x: ((x.double().reshape(-1, size) - low) / span).float()


def _image_encoder(space: Any) -> Convert:
    axes, shape = image_layout(space)
    order = (0, *(axis + 1 for axis in axes))
    if (scale := image_scale(space)) is None:
        return lambda x: x.permute(order).reshape(-1, *shape)
    zero, span = (float(each) for each in scale)
    dtype = _torch(np.result_type(space.dtype, np.float32))  # in which NumPy computes it
    return lambda x: ((x.permute(order).reshape(-1, *shape).to(dtype) - zero) / span).float()


def _one_hots(space: Any) -> Convert:
    values = values_of(space)
    assert values is not None
    counts, first = values[0], values[1].reshape(-1).astype(np.int64)
    owner = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    value = torch.from_numpy(np.concatenate([np.arange(n) + start for n, start in zip(counts, first, strict=True)]))
    return lambda x: (x.reshape(-1, len(counts)).long()[:, owner] == value).float()


def _decoder(space: Any) -> Convert:
    dtype = _torch(space.dtype)
    if (values := values_of(space)) is not None:
        start = torch.from_numpy(values[1].astype(np.int64))
        return lambda x: (x.reshape(-1, *start.shape) + start).to(dtype)
    scale, centre, low, high = (torch.from_numpy(each) for each in scaling_of(space))
    if dtype.is_floating_point:
        return lambda x: torch.clamp(x.double() * scale + centre, low, high).reshape(-1, *space.shape).to(dtype)
    least, most = (torch.from_numpy(each.reshape(-1).astype(np.int64)) for each in (space.low, space.high))

    def integers(x: torch.Tensor) -> torch.Tensor:
        rounded = torch.clamp(x.double() * scale + centre, low, high).round().clamp(-LARGEST_INTEGER, LARGEST_INTEGER)
        return torch.clamp(rounded.long(), least, most).reshape(-1, *space.shape).to(dtype)

    return integers
