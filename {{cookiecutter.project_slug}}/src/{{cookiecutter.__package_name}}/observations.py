"""Turns an observation of any Gymnasium space into float32 arrays of a fixed size."""

from collections.abc import Callable, Hashable, Iterable
from functools import partial, reduce
from operator import getitem
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import iterate

from .encodings import Encoder, UnsupportedSpace, image_encoder, is_image, one_line, require_size, vector_encoder

ACTION_MASK = "action_mask"  # the key of a Dict observation that says which actions are allowed
VECTOR = "vector"  # the key of what is neither the mask nor an image, where the policy sees several parts

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


def observation_adapter(space: gym.Space[Any], limits: Limits) -> tuple[gym.Space[Any], Callable[[Any], Any]]:
    """Returns what the policy sees of a space, and the function that makes it from an observation.

    One vector or one image comes as a float32 Box of shape (n,) or (height, width, channels). Otherwise there is a Dict
    of `action_mask` (MultiBinary), `image_0`, `image_1`, ... and `vector`, which holds all the rest.

    Raises:
        UnsupportedSpace: a space has no fixed size, is too large or unknown.
    """
    parts: dict[str, gym.Space[Any]] = {}
    encoders: dict[str, Callable[[Any], np.ndarray]] = {}
    rest: list[Leaf] = []
    for path, leaf in leaves(space):
        if path == (ACTION_MASK,):
            parts[ACTION_MASK] = spaces.MultiBinary(leaf.shape or ())
            encoders[ACTION_MASK] = _mask
        elif is_image(leaf):
            assert isinstance(leaf, spaces.Box)
            key = f"image_{len(parts.keys() - {ACTION_MASK})}"
            encoder = image_encoder(leaf, _name(path))
            parts[key] = spaces.Box(encoder.low, encoder.high, dtype=np.float32)
            encoders[key] = partial(_encode_at, path, encoder.encode)
        else:
            rest.append((path, leaf))
    if rest or not parts.keys() - {ACTION_MASK}:  # the mask itself is seen where it is all there is
        encoder = _side_by_side(rest or leaves(space), limits)
        parts[VECTOR] = spaces.Box(encoder.low, encoder.high, dtype=np.float32)
        encoders[VECTOR] = encoder.encode
    if len(parts) == 1:
        return next(iter(parts.values())), next(iter(encoders.values()))
    return spaces.Dict(parts), partial(_encode_parts, encoders)


def _side_by_side(parts: list[Leaf], limits: Limits) -> Encoder:
    encoders = [(path, _encoder(leaf, limits, _name(path))) for path, leaf in parts]
    if len(encoders) == 1 and encoders[0][0] == ():
        return encoders[0][1]
    require_size(sum(encoder.low.size for _, encoder in encoders), "observation_space")
    return Encoder(
        partial(_concatenate, [(path, encoder.encode) for path, encoder in encoders]),
        np.concatenate([encoder.low for _, encoder in encoders]),
        np.concatenate([encoder.high for _, encoder in encoders]),
    )


def _encoder(space: gym.Space[Any], limits: Limits, name: str) -> Encoder:
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        return _side_by_side(leaves(space), limits)
    if isinstance(space, spaces.OneOf):
        return _one_of([_encoder(child, limits, name) for child in space.spaces])
    if isinstance(space, spaces.Sequence):
        length = _declared(limits.max_sequence_length, "max_sequence_length", space, name)
        items = space.stacked_feature_space if space.stack else None
        return _sequence(_encoder(space.feature_space, limits, name), length, items, name)
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


def _one_of(encoders: list[Encoder]) -> Encoder:
    """One-hot which space it is, then a place for each space: zeros where it is another."""
    sizes = [len(encoders), *(encoder.low.size for encoder in encoders)]
    low = np.concatenate([np.zeros(len(encoders)), *(np.minimum(encoder.low, 0) for encoder in encoders)])
    high = np.concatenate([np.ones(len(encoders)), *(np.maximum(encoder.high, 0) for encoder in encoders)])
    starts = np.cumsum(sizes)[:-1].tolist()
    encode = partial(_one_of_them, low.size, starts, [encoder.encode for encoder in encoders])
    return Encoder(encode, low.astype(np.float32), high.astype(np.float32))


def _sequence(item: Encoder, length: int, stacked: gym.Space[Any] | None, name: str) -> Encoder:
    """A mask of which places are filled, then `length` places: zeros where one is empty."""
    require_size(length * (1 + item.low.size), name)
    low = np.concatenate([np.zeros(length), np.tile(np.minimum(item.low, 0), length)])
    high = np.concatenate([np.ones(length), np.tile(np.maximum(item.high, 0), length)])
    encode = partial(_fill, item.encode, item.low.size, length, stacked)
    return Encoder(encode, low.astype(np.float32), high.astype(np.float32))


def _graph(space: spaces.Graph, length: int, name: str) -> Encoder:
    """The nodes as a sequence; then for each ordered pair of nodes, 1 and the features of its last edge, or zeros."""
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


def _name(path: Path) -> str:
    return "observation_space" + "".join(f"[{key!r}]" for key in path)


def _mask(x: Any) -> np.ndarray:
    return np.array(x[ACTION_MASK], np.int8)


def _encode_at(path: Path, encode: Callable[[Any], np.ndarray], x: Any) -> np.ndarray:
    return encode(reduce(getitem, path, x))


def _encode_parts(encoders: dict[str, Callable[[Any], np.ndarray]], x: Any) -> dict[str, np.ndarray]:
    return {key: encode(x) for key, encode in encoders.items()}


def _concatenate(parts: list[tuple[Path, Callable[[Any], np.ndarray]]], x: Any) -> np.ndarray:
    return np.concatenate([encode(reduce(getitem, path, x)) for path, encode in parts])


def _one_of_them(size: int, starts: list[int], encoders: list[Callable[[Any], np.ndarray]], x: Any) -> np.ndarray:
    which, value = x
    if not 0 <= which < len(encoders):
        raise ValueError(f"observation {x} names space {which} of a OneOf of {len(encoders)}")
    encoded = encoders[which](value)
    vector = np.zeros(size, np.float32)
    vector[which] = 1
    vector[starts[which] : starts[which] + encoded.size] = encoded
    return vector


def _fill(
    encode: Callable[[Any], np.ndarray], size: int, length: int, stacked: gym.Space[Any] | None, x: Any
) -> np.ndarray:
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
    nodes: Callable[[Any], np.ndarray],
    edge: Callable[[Any], np.ndarray],
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
