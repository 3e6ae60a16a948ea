"""Turns an observation of any Gymnasium space into float32 arrays of a fixed size."""

from collections.abc import Hashable, Iterable
from functools import partial, reduce
from operator import getitem
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import iterate

from .encodings import Encode, Encoder, UnsupportedSpace, one_line, require_size, vector_encoder

Path = tuple[Hashable, ...]
Leaf = tuple[Path, gym.Space[Any]]


class Limits(NamedTuple):
    """How large the spaces without a fixed size get; None where the environment doesn't say."""

    max_sequence_length: int | None = None
    max_graph_nodes: int | None = None


def leaves(space: gym.Space[Any], path: Path = ()) -> list[Leaf]:
    """Lists the spaces inside nested Dict and Tuple spaces, each with the keys that lead to it."""
    children: Iterable[tuple[Hashable, gym.Space[Any]]]
    if isinstance(space, spaces.Dict):
        children = space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        children = enumerate(space.spaces)
    else:
        return [(path, space)]
    return [leaf for key, child in children for leaf in leaves(child, (*path, key))]


def name_of(root: str, path: Path) -> str:
    """Names a leaf as it is written in Python, for error messages."""
    return root + "".join(f"[{key!r}]" for key in path)


def parts_encoder(parts: list[Leaf], limits: Limits, name: str) -> Encoder:
    """Encodes spaces side by side as one array of shape (n,).

    Dict and Tuple are taken apart. Of a OneOf, one-hot numbers say which space it is, and each space has a place, zeros
    where it is another. A Sequence is a mask of which of its places are filled, then the places, zeros where empty. A
    Graph is its nodes as a Sequence, then for each ordered pair of nodes 1 and the features of its last edge, or zeros.

    Raises:
        UnsupportedSpace: a space has no fixed size, is too large or unknown.
    """
    encoders = [(path, _encoder(leaf, limits, name_of(name, path))) for path, leaf in parts]
    if len(encoders) == 1 and encoders[0][0] == ():
        return encoders[0][1]
    require_size(sum(encoder.low.size for _, encoder in encoders), name)
    return Encoder(
        partial(_concatenate, [(path, encoder.encode) for path, encoder in encoders]),
        np.concatenate([encoder.low for _, encoder in encoders]),
        np.concatenate([encoder.high for _, encoder in encoders]),
    )


def _encoder(space: gym.Space[Any], limits: Limits, name: str) -> Encoder:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return parts_encoder(leaves(space), limits, name)
    if isinstance(space, spaces.OneOf):
        return _one_of([_encoder(child, limits, name) for child in space.spaces], name)
    if isinstance(space, spaces.Sequence):
        length = _declared(limits.max_sequence_length, "max_sequence_length", space, name)
        stacked = space.stacked_feature_space if space.stack else None
        return _sequence(_encoder(space.feature_space, limits, name), length, stacked, name)
    if isinstance(space, spaces.Graph):
        return _graph(space, _declared(limits.max_graph_nodes, "max_graph_nodes", space, name), name)
    return vector_encoder(space, name)


def _declared(limit: int | None, attribute: str, space: gym.Space[Any], name: str) -> int:
    if limit is None:
        raise UnsupportedSpace(
            f"{name}: {one_line(space)} has no fixed size. "
            f"Add `{attribute} = 16` to your environment class: the largest that it sends."
        )
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise UnsupportedSpace(f"{attribute} must be a whole number of at least 1, is {limit!r}.")
    return int(limit)


def _one_of(encoders: list[Encoder], name: str) -> Encoder:
    require_size(sum(encoder.low.size for encoder in encoders), name)
    sizes = [len(encoders), *(encoder.low.size for encoder in encoders)]
    low = np.concatenate([np.zeros(len(encoders)), *(np.minimum(encoder.low, 0) for encoder in encoders)])
    high = np.concatenate([np.ones(len(encoders)), *(np.maximum(encoder.high, 0) for encoder in encoders)])
    starts = np.cumsum(sizes)[:-1].tolist()
    encode = partial(_one_of_them, low.size, starts, [encoder.encode for encoder in encoders])
    return Encoder(encode, low.astype(np.float32), high.astype(np.float32))


def _sequence(item: Encoder, length: int, stacked: gym.Space[Any] | None, name: str) -> Encoder:
    require_size(length * (1 + item.low.size), name)
    low = np.concatenate([np.zeros(length), np.tile(np.minimum(item.low, 0), length)])
    high = np.concatenate([np.ones(length), np.tile(np.maximum(item.high, 0), length)])
    encode = partial(_fill, item.encode, item.low.size, length, stacked)
    return Encoder(encode, low.astype(np.float32), high.astype(np.float32))


def _graph(space: spaces.Graph, length: int, name: str) -> Encoder:
    nodes = _sequence(vector_encoder(space.node_space, name), length, None, name)
    edge = Encoder(_no_features, np.zeros(0), np.zeros(0))
    if space.edge_space is not None:
        edge = vector_encoder(space.edge_space, name)
    require_size(nodes.low.size + length * length * (1 + edge.low.size), name)
    low = np.tile(np.concatenate([[0], np.minimum(edge.low, 0)]), length * length)
    high = np.tile(np.concatenate([[1], np.maximum(edge.high, 0)]), length * length)
    return Encoder(
        partial(_nodes_and_edges, nodes.encode, edge.encode, length, 1 + edge.low.size),
        np.concatenate([nodes.low, low]).astype(np.float32),
        np.concatenate([nodes.high, high]).astype(np.float32),
    )


def _concatenate(parts: list[tuple[Path, Encode]], x: Any) -> np.ndarray:
    return np.concatenate([encode(reduce(getitem, path, x)) for path, encode in parts])


def _one_of_them(size: int, starts: list[int], encoders: list[Encode], x: Any) -> np.ndarray:
    which, value = x
    if not 0 <= which < len(encoders):
        raise ValueError(f"observation {x} names space {which} of a OneOf of {len(encoders)}")
    encoded = encoders[which](value)
    vector = np.zeros(size, np.float32)
    vector[which] = 1
    vector[starts[which] : starts[which] + encoded.size] = encoded
    return vector


def _fill(encode: Encode, size: int, length: int, stacked: gym.Space[Any] | None, x: Any) -> np.ndarray:
    items = list(x if stacked is None else iterate(stacked, x))
    if len(items) > length:
        raise ValueError(f"observation holds {len(items)} items, your environment declares at most {length}")
    vector = np.zeros(length * (1 + size), np.float32)
    vector[: len(items)] = 1
    for index, item in enumerate(items):
        vector[length + index * size : length + (index + 1) * size] = encode(item)
    return vector


def _no_features(x: Any) -> np.ndarray:
    return np.zeros(0, np.float32)


def _nodes_and_edges(
    nodes: Encode,
    edge: Encode,
    length: int,
    size: int,
    x: spaces.GraphInstance,
) -> np.ndarray:
    table = np.zeros((length, length, size), np.float32)
    if x.edge_links is not None:
        features = x.edges if x.edges is not None else [None] * len(x.edge_links)
        for (source, target), feature in zip(x.edge_links, features, strict=True):
            if not (0 <= source < len(x.nodes) and 0 <= target < len(x.nodes)):
                raise ValueError(f"observation has an edge from {source} to {target}, but {len(x.nodes)} nodes")
            table[source, target, 0] = 1
            table[source, target, 1:] = edge(feature)
    return np.concatenate([nodes(x.nodes if x.nodes is not None else ()), table.reshape(-1)])
