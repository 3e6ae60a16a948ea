"""Turns an observation of any Gymnasium space into float32 arrays of a fixed size."""

from collections.abc import Callable, Hashable, Iterable
from functools import partial, reduce
from operator import getitem
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import iterate

from .encodings import Encode, Encoder, UnsupportedSpace, require_size, vector_encoder
from .membership import short

Path = tuple[Hashable, ...]
Leaf = tuple[Path, gym.Space[Any]]
_BASIC = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Text)
_KNOWN = (*_BASIC, spaces.OneOf, spaces.Sequence, spaces.Graph)


class Limits(NamedTuple):
    """How large the spaces without a fixed size get; None where the environment doesn't say."""

    max_sequence_length: int | None = None
    max_graph_nodes: int | None = None


def leaves(space: gym.Space[Any], path: Path = ()) -> list[Leaf]:
    """Returns the spaces inside nested Dict and Tuple spaces, each with the keys that lead to it."""
    children: Iterable[tuple[Hashable, gym.Space[Any]]]
    if isinstance(space, spaces.Dict):
        children = space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        children = enumerate(space.spaces)
    else:
        return [(path, space)]
    return [leaf for key, child in children for leaf in leaves(child, (*path, key))]


def seen_leaves(space: gym.Space[Any]) -> list[Leaf]:
    """Returns the leaves that the policy sees: without third parties' own kinds of spaces, unless all are of these."""
    return [leaf for leaf in leaves(space) if isinstance(leaf[1], _KNOWN)] or leaves(space)


def unseen(space: gym.Space[Any], name: str = "observation_space") -> dict[str, gym.Space[Any]]:
    """Returns the spaces, by their names, that the policy does not see."""
    seen = {path for path, _ in seen_leaves(space)}
    return {name_of(name, path): leaf for path, leaf in leaves(space) if path not in seen}


def name_of(root: str, path: Path) -> str:
    """Returns a leaf's name as it is written in Python, for error messages."""
    return root + "".join(f"[{key!r}]" for key in path)


def at(path: Path, encode: Encode) -> Encode:
    """Returns a function that encodes the part of an observation to which a path leads."""
    return lambda x: encode(reduce(getitem, path, x))


def parts_encoder(parts: list[Leaf], limits: Limits, name: str) -> Encoder:
    """Encodes spaces side by side as one array of shape (n,).

    Dict and Tuple are taken apart. Of a OneOf, one-hot numbers say which space it is, and each space has a place, zeros
    where it is another. A Sequence is a mask of which of its places are filled, then the places, zeros where empty. A
    Graph is its nodes as a Sequence, then for each ordered pair of nodes 1 and the features of its last edge, or zeros.

    Raises:
        UnsupportedSpace: a space has no fixed size, is too large or unknown.
    """
    encoders = [_encoder(leaf, limits, name_of(name, path)) for path, leaf in parts]
    if len(parts) == 1 and parts[0][0] == ():
        return encoders[0]
    lows, highs = [encoder.low for encoder in encoders], [encoder.high for encoder in encoders]
    each = [at(path, encoder.encode) for (path, _), encoder in zip(parts, encoders, strict=True)]
    return _sized(lambda x: np.concatenate([encode(x) for encode in each]), lows, highs, name)


def _encoder(space: gym.Space[Any], limits: Limits, name: str) -> Encoder:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return parts_encoder(leaves(space), limits, name)
    if isinstance(space, spaces.OneOf):
        return _one_of([_encoder(child, limits, name) for child in space.spaces], name)
    if isinstance(space, spaces.Sequence):
        length = _declared(limits.max_sequence_length, "max_sequence_length", space, name)
        items_of: Callable[[Any], Iterable[Any]] = iter
        if space.stack:
            items_of = partial(iterate, space.stacked_feature_space)
        return _sequence(_encoder(space.feature_space, limits, name), length, items_of, name)
    if isinstance(space, spaces.Graph):
        return _graph(space, _declared(limits.max_graph_nodes, "max_graph_nodes", space, name), name)
    return vector_encoder(space, name)


def _sized(encode: Encode, lows: list[Any], highs: list[Any], name: str) -> Encoder:
    """Returns the encoder with these bounds side by side; raises UnsupportedSpace where they are too many."""
    require_size(sum(len(low) for low in lows), name)
    return Encoder(encode, np.concatenate(lows).astype(np.float32), np.concatenate(highs).astype(np.float32))


def _declared(limit: int | None, attribute: str, space: gym.Space[Any], name: str) -> int:
    if limit is None:
        raise UnsupportedSpace(
            f"{name}: {short(space)} has no fixed size. "
            f"Add `{attribute} = 16` to your environment class: the largest that it sends."
        )
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise UnsupportedSpace(f"{attribute} must be a whole number of at least 1, is {limit!r}.")
    return int(limit)


def _one_of(encoders: list[Encoder], name: str) -> Encoder:
    sizes = [len(encoders), *(encoder.low.size for encoder in encoders)]
    starts = np.cumsum(sizes)[:-1].tolist()

    def encode(x: Any) -> np.ndarray:
        which, value = x
        if not 0 <= which < len(encoders):
            raise ValueError(f"observation {x} names space {which} of a OneOf of {len(encoders)}")
        encoded = encoders[which].encode(value)
        vector = np.zeros(sum(sizes), np.float32)
        vector[which] = 1
        vector[starts[which] : starts[which] + encoded.size] = encoded
        return vector

    lows = [np.zeros(len(encoders)), *(np.minimum(encoder.low, 0) for encoder in encoders)]
    return _sized(encode, lows, [np.ones(len(encoders)), *(np.maximum(encoder.high, 0) for encoder in encoders)], name)


def _sequence(item: Encoder, length: int, items_of: Callable[[Any], Iterable[Any]], name: str) -> Encoder:
    size = item.low.size

    def encode(x: Any) -> np.ndarray:
        items = list(items_of(x))
        if len(items) > length:
            raise ValueError(f"observation holds {len(items)} items, your environment declares at most {length}")
        vector = np.zeros(length * (1 + size), np.float32)
        vector[: len(items)] = 1
        for index, one in enumerate(items):
            vector[length + index * size : length + (index + 1) * size] = item.encode(one)
        return vector

    require_size(length * (1 + size), name)  # before the bounds are made
    low, high = np.tile(np.minimum(item.low, 0), length), np.tile(np.maximum(item.high, 0), length)
    return _sized(encode, [np.zeros(length), low], [np.ones(length), high], name)


def _graph(space: spaces.Graph, length: int, name: str) -> Encoder:
    nodes = _sequence(vector_encoder(space.node_space, name), length, iter, name)
    nothing = np.zeros(0, np.float32)
    edge = Encoder(lambda x: nothing, nothing, nothing)
    if space.edge_space is not None:
        edge = vector_encoder(space.edge_space, name)
    size = 1 + edge.low.size

    def encode(x: spaces.GraphInstance) -> np.ndarray:
        table = np.zeros((length, length, size), np.float32)
        if x.edge_links is not None:
            features = x.edges if x.edges is not None else [None] * len(x.edge_links)
            for (source, target), feature in zip(x.edge_links, features, strict=True):
                if not (0 <= source < len(x.nodes) and 0 <= target < len(x.nodes)):
                    raise ValueError(f"observation has an edge from {source} to {target}, but {len(x.nodes)} nodes")
                table[source, target, 0] = 1
                table[source, target, 1:] = edge.encode(feature)
        return np.concatenate([nodes.encode(x.nodes if x.nodes is not None else ()), table.reshape(-1)])

    require_size(nodes.low.size + length * length * size, name)
    low = np.tile(np.concatenate([[0], np.minimum(edge.low, 0)]), length * length)
    high = np.tile(np.concatenate([[1], np.maximum(edge.high, 0)]), length * length)
    return _sized(encode, [nodes.low, low], [nodes.high, high], name)
