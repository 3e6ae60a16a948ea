"""Turns a policy into a model in ONNX, which holds all that it takes to act, and says so in its metadata."""

import json
import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from ..errors import RunError, UsageError
from ..spaces.observations import Leaf, leaves, seen_leaves
from .greedy import Greedy, torch_dtype
from .policy import Policy
from .space_json import to_json


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
    greedy = Greedy(policy)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                greedy,
                tuple(torch.zeros(2, *(leaf.shape or ()), dtype=torch_dtype(leaf.dtype)) for _, leaf in seen),
                dynamo=True,
                verbose=False,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=(tuple({0: torch.export.Dim("batch")} for _ in seen),),
            )
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
