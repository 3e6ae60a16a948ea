"""Any space: what the policy sees is sound, what the environment gets is its own, and what can't work is refused."""

import importlib
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import BakedProject
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kit.contract import run_checks

LONGEST_SEQUENCE = 200  # Gymnasium draws longer ones once in 10^25 samples


class Drawn(gym.Env[Any, Any]):
    """Draws its observations from its space, and keeps what it is given."""

    max_sequence_length: Any = LONGEST_SEQUENCE
    max_graph_nodes: Any = 10

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.observation: Any = None
        self.action: Any = None
        self.ended = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.observation = self.observation_space.sample() if options is None else options["observation"]
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.action = action
        return self.reset()[0], 0.0, self.ended, False, {}


VECTOR = spaces.Box(-1, 1, (2,), np.float32)
SWITCH: Any = spaces.Discrete(2)


def load(project: BakedProject, name: str) -> ModuleType:
    """Imports a module of a baked project into this process."""
    if str(project.source.parent) not in sys.path:
        sys.path.insert(0, str(project.source.parent))
    return importlib.import_module(f"{project.package}.{name}")


@pytest.fixture(scope="module")
def adapters(bake: Callable[..., BakedProject]) -> ModuleType:
    return load(bake(project_name="Adapted"), "kit.spaces")


def encode(adapters: ModuleType, space: gym.Space[Any], observation: Any) -> Any:
    """Returns what the policy sees of an observation."""
    return adapters.adapt(Drawn(space, SWITCH)).reset(options={"observation": observation})[0]


def decode(adapters: ModuleType, space: gym.Space[Any], choice: Any) -> Any:
    """Returns what the environment gets of a policy's choice."""
    env = Drawn(VECTOR, space)
    adapted = adapters.adapt(env)
    adapted.reset()
    adapted.step(choice)
    return env.action


def has_declared_type(value: Any, space: gym.Space[Any]) -> bool:
    """Tells whether a value has the Python type, dtype and shape that its space declares, all the way down."""
    if isinstance(space, spaces.Dict):
        return type(value) is dict and all(has_declared_type(value[key], child) for key, child in space.items())
    if isinstance(space, spaces.Tuple):
        return type(value) is tuple and all(map(has_declared_type, value, space))
    if isinstance(space, spaces.Discrete):
        return type(value) is np.dtype(space.dtype).type
    return type(value) is np.ndarray and value.dtype == space.dtype and value.shape == space.shape


# Strategies


@st.composite
def boxes(draw: st.DrawFn, dtypes: tuple[str, ...]) -> spaces.Box:
    """Boxes of rank 0 to 3, each bound of its own, or none where the dtype knows infinity."""
    dtype: Any = np.dtype(draw(st.sampled_from(dtypes)))
    shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    size = int(np.prod(shape))
    if np.issubdtype(dtype, np.floating):
        # Plus zero: Gymnasium can't draw from 0 to -0.
        numbers: st.SearchStrategy[Any] = st.floats(-(2.0**14), 2.0**14, width=16).map(lambda number: number + 0.0)
    elif dtype == np.bool_:
        numbers = st.booleans()
    else:
        info = np.iinfo(dtype)
        numbers = st.integers(max(int(info.min), -(2**62)), min(int(info.max), 2**62))  # Gymnasium can't draw wider
    pairs = [sorted(draw(st.tuples(numbers, numbers))) for _ in range(size)]
    low, high = (np.array(side, dtype).reshape(shape) for side in zip(*pairs, strict=True))
    if np.issubdtype(dtype, np.floating):
        low = np.where(
            np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape), low, -np.inf
        )
        high = np.where(
            np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape), high, np.inf
        )
    space = spaces.Box(low.astype(dtype), high.astype(dtype), dtype=dtype.type)
    assume(space.contains(space.sample()))  # Gymnasium draws 125 from an int8 Box that holds 126 alone
    return space


@st.composite
def multi_discretes(draw: st.DrawFn) -> spaces.MultiDiscrete:
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)))
    nvec, start = (
        np.array(draw(st.lists(st.integers(lowest, 5), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))))
        for lowest in (1, -5)
    )
    return spaces.MultiDiscrete(nvec.reshape(shape), start=start.reshape(shape))


discretes: st.SearchStrategy[Any] = st.builds(
    lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 6), st.integers(-9, 9)
)
multi_binaries = st.lists(st.integers(1, 3), min_size=1, max_size=2).map(spaces.MultiBinary)
texts = st.builds(
    lambda n, letters: spaces.Text(n, charset=letters), st.integers(1, 4), st.sampled_from(["ab", "xyz 9"])
)
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("bool", "int8", "uint8", "int16", "int32", "int64", "uint64")


def nested(leaf: st.SearchStrategy[Any], *containers: Callable[[Any], st.SearchStrategy[Any]]) -> Any:
    """Leaves, and Dicts and Tuples of them and of each other."""

    def extend(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        dicts = st.dictionaries(st.sampled_from("abc"), children, min_size=1, max_size=3).map(spaces.Dict)
        tuples = st.lists(children, min_size=1, max_size=3).map(spaces.Tuple)
        return st.one_of(dicts, tuples, *(container(children) for container in containers))

    return st.recursive(leaf, extend, max_leaves=5)


def one_ofs(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, min_size=1, max_size=3).map(spaces.OneOf)


def sequences(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return children.filter(lambda child: "Sequence" not in repr(child)).map(spaces.Sequence)


fixed = st.one_of(boxes((*FLOATS, *INTEGERS)), discretes, multi_discretes(), multi_binaries, texts)
observation_spaces = nested(fixed, one_ofs, sequences)
flattenable = nested(st.one_of(boxes(("float32",)), discretes, multi_discretes(), multi_binaries))
action_spaces = nested(st.one_of(boxes((*FLOATS, *INTEGERS)), discretes, multi_discretes(), multi_binaries))
thorough = settings(deadline=None, max_examples=200, database=None, suppress_health_check=[HealthCheck.too_slow])


# Observations


@thorough
@given(space=observation_spaces, seed=st.integers(0, 2**31))
def test_policy_sees_finite_float32_within_its_space(adapters: ModuleType, space: gym.Space[Any], seed: int) -> None:
    space.seed(seed)
    env = adapters.adapt(Drawn(space, SWITCH))
    for _ in range(5):
        seen = env.reset()[0]
        assert seen in env.observation_space
        assert seen.dtype == np.float32 and np.isfinite(seen).all()


@thorough
@given(space=flattenable, seed=st.integers(0, 2**31))
def test_gymnasium_can_take_what_the_policy_sees_back_apart(
    adapters: ModuleType, space: gym.Space[Any], seed: int
) -> None:
    space.seed(seed)
    observation = space.sample()
    seen = encode(adapters, space, observation)
    assert data_equivalence(spaces.unflatten(space, seen), observation)


@thorough
@given(space=nested(st.one_of(boxes(("int16", "uint8", "bool")), discretes, texts), one_ofs, sequences), data=st.data())
def test_different_observations_look_different(
    adapters: ModuleType, space: gym.Space[Any], data: st.DataObject
) -> None:
    space.seed(data.draw(st.integers(0, 2**31)))
    one, other = space.sample(), space.sample()
    same = np.array_equal(encode(adapters, space, one), encode(adapters, space, other))
    assert same == data_equivalence(one, other)


@pytest.mark.parametrize(
    ("space", "observation", "seen"),
    [
        (spaces.Box(0, 255, (3,), np.uint8), [0, 51, 255], [0, 0.2, 1]),
        (spaces.Box(-128, 127, (2,), np.int8), [-128, 127], [0, 1]),
        (spaces.Box(-np.inf, np.inf, (3,), np.int64), [0, 99, -99], [0, np.log(100), -np.log(100)]),
        (spaces.Box(-1, 1, (), np.float64), 0.5, [0.5]),
        (spaces.Discrete(3, start=5), 6, [0, 1, 0]),
        (spaces.MultiDiscrete([2, 3], start=[1, 0]), [2, 0], [0, 1, 1, 0, 0]),
        (spaces.Text(2, charset="ba"), "b", [0, 1, 0, 0]),
        (spaces.OneOf((spaces.Discrete(2), spaces.Box(3, 5))), (1, np.array([4.0])), [0, 1, 0, 0, 4]),
    ],
    ids=str,
)
def test_encoding_by_hand(adapters: ModuleType, space: gym.Space[Any], observation: Any, seen: list[float]) -> None:
    if isinstance(observation, list):
        observation = np.array(observation, space.dtype)
    np.testing.assert_allclose(encode(adapters, space, observation), seen, rtol=1e-6)


def test_sequence_is_a_mask_and_its_items(adapters: ModuleType) -> None:
    for stack in (False, True):
        env = Drawn(spaces.Sequence(spaces.Box(-9, 9, (2,), np.float32), stack=stack), SWITCH)
        env.max_sequence_length = 3
        items = np.array([[1, 2], [3, 4]], np.float32)
        seen, _ = adapters.adapt(env).reset(options={"observation": items if stack else tuple(items)})
        assert seen.tolist() == [1, 1, 0, 1, 2, 3, 4, 0, 0]


def test_graph_is_its_nodes_and_a_table_of_its_edges(adapters: ModuleType) -> None:
    env = Drawn(spaces.Graph(spaces.Box(-9, 9, (1,), np.float32), spaces.Discrete(2)), SWITCH)
    env.max_graph_nodes = 2
    graph = spaces.GraphInstance(np.array([[5], [6]], np.float32), np.array([1]), np.array([[0, 1]]))
    seen, _ = adapters.adapt(env).reset(options={"observation": graph})
    assert seen.tolist() == [1, 1, 5, 6, *(0, 0, 0), *(1, 0, 1), *(0, 0, 0), *(0, 0, 0)]
    alone = spaces.GraphInstance(np.array([[5]], np.float32), None, None)
    seen, _ = adapters.adapt(env).reset(options={"observation": alone})
    assert seen.tolist() == [1, 0, 5, 0] + [0] * 12


def test_size_may_be_declared_by_the_config(adapters: ModuleType) -> None:
    env = Drawn(spaces.Sequence(SWITCH), SWITCH)
    env.max_sequence_length = None
    env.config = type("Config", (), {"max_sequence_length": 7})  # type: ignore[attr-defined]
    assert adapters.adapt(env).observation_space.shape == (21,)


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (spaces.Discrete(3, start=5), 4),
        (spaces.Discrete(3, start=5), 8),
        (spaces.MultiDiscrete([2, 3]), np.array([0, -1])),
        (spaces.MultiDiscrete([2, 3]), np.array([2, 0])),
        (spaces.Text(3, charset="ab"), "abab"),
        (spaces.Text(3, charset="ab"), "c"),
        (spaces.OneOf((SWITCH, SWITCH)), (-1, 0)),
        (spaces.Sequence(SWITCH), (0,) * (LONGEST_SEQUENCE + 1)),
        (spaces.Graph(SWITCH, None), spaces.GraphInstance(np.array([0]), None, np.array([[0, 1]]))),
    ],
    ids=str,
)
def test_observation_outside_its_space_is_an_error(
    adapters: ModuleType, space: gym.Space[Any], observation: Any
) -> None:
    with pytest.raises(ValueError, match="observation"):
        encode(adapters, space, observation)


def test_characters_keep_their_places_in_another_process(adapters: ModuleType) -> None:
    """Python orders a set of characters anew in every process: a policy would read another text when evaluated."""
    code = (
        "import gymnasium as gym, numpy as np; from adapted.kit.spaces.encodings import vector_encoder;"
        "print(np.flatnonzero(vector_encoder(gym.spaces.Text(3), '').encode('b2X')))"
    )
    path = str(Path(str(adapters.__file__)).parents[3])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


def test_what_fits_is_passed_on_as_it_is(adapters: ModuleType) -> None:
    for space in (VECTOR, spaces.Box(0, 1, (8, 8, 3), np.float32)):
        env = Drawn(space, SWITCH)
        seen, _ = adapters.adapt(env).reset()
        assert seen is env.observation


def test_an_array_that_is_filled_again_is_copied(adapters: ModuleType) -> None:
    buffer = np.zeros((2, 2), np.float32)
    seen = encode(adapters, spaces.Box(-1, 1, (2, 2), np.float32), buffer)
    buffer[:] = 1
    assert not seen.any()


# Images


@pytest.mark.parametrize(
    ("shape", "dtype", "seen"),
    [
        ((84, 84, 3), np.uint8, (84, 84, 3)),
        ((3, 84, 60), np.uint8, (84, 60, 3)),
        ((84, 84), np.uint8, (84, 84, 1)),
        ((4, 84, 84), np.uint8, (84, 84, 4)),
        ((4, 84, 60, 3), np.uint8, (84, 60, 12)),
        ((4, 3, 84, 60), np.uint8, (84, 60, 12)),
        ((10, 10, 3), np.float32, (10, 10, 3)),
        ((100, 200, 3), np.int64, (100, 200, 3)),
        ((84, 84), np.float32, (84 * 84,)),
        ((4, 4, 3), np.uint8, (48,)),
        ((30, 30, 20), np.uint8, (18_000,)),
        ((6, 6, 6), np.uint8, (216,)),
    ],
)
def test_images_stay_images(adapters: ModuleType, shape: Any, dtype: Any, seen: Any) -> None:
    env = adapters.adapt(Drawn(spaces.Box(0, 255, shape, dtype), SWITCH))
    assert env.observation_space.shape == seen
    image, _ = env.reset()
    assert image in env.observation_space
    if len(seen) == 3:
        assert image.flags.c_contiguous and 0 <= image.min() < image.max() <= (255 if dtype == np.uint8 else 1)
        assert image.dtype == (np.uint8 if dtype == np.uint8 else np.float32)


def test_pixels_keep_their_places(adapters: ModuleType) -> None:
    image = np.zeros((2, 3, 8, 9), np.uint8)  # two colour images, channels first
    image[1, 2, 5, 7] = 255  # the later one, blue, row 5, column 7
    seen = encode(adapters, spaces.Box(0, 255, image.shape, np.uint8), image)
    assert np.argwhere(seen).tolist() == [[5, 7, 5]]
    image[:] = 1
    assert seen.max() == 255  # a copy: the environment may draw the next image into the same array


def test_float_images_are_scaled_only_where_their_bounds_ask_for_it(adapters: ModuleType) -> None:
    for low, high, expected in ((0, 255, 200 / 255), (-1, 1, 200), (-np.inf, np.inf, 200)):
        image = np.full((8, 8, 3), 200, np.float32)
        seen = encode(adapters, spaces.Box(low, high, image.shape, np.float32), image)
        np.testing.assert_allclose(seen, np.full(image.shape, expected), rtol=1e-6)


def test_images_beside_other_things(adapters: ModuleType) -> None:
    camera = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    space = spaces.Dict({"eyes": spaces.Tuple((camera, camera)), "speed": VECTOR, "gear": spaces.Discrete(4)})
    env = Drawn(space, SWITCH)
    adapted = adapters.adapt(env)
    seen, _ = adapted.reset()
    assert seen in adapted.observation_space
    assert {key: value.shape for key, value in seen.items()} == {
        "image_0": (8, 8, 3), "image_1": (8, 8, 3), "vector": (6,),
    }  # fmt: skip
    np.testing.assert_array_equal(seen["image_1"], env.observation["eyes"][1])
    np.testing.assert_array_equal(seen["vector"][4:], env.observation["speed"])


# Actions


@thorough
@given(space=action_spaces, seed=st.integers(0, 2**31), data=st.data())
def test_environment_gets_actions_of_its_own_space_and_types(
    adapters: ModuleType, space: gym.Space[Any], seed: int, data: st.DataObject
) -> None:
    space.seed(seed)
    env = Drawn(VECTOR, space)
    adapted = adapters.adapt(env)
    adapted.action_space.seed(seed)
    adapted.reset()
    factor = data.draw(st.sampled_from([1.0, 0.0, 1e3, 1e30, -1e30]))  # the policy's normal distribution has no bounds
    for _ in range(5):
        choice = stretched(adapted.action_space.sample(), factor)
        before = repr(choice)
        adapted.step(choice)
        assert env.action in space
        assert has_declared_type(env.action, space)
        assert repr(choice) == before


def stretched(choice: Any, factor: float) -> Any:
    """Multiplies the real numbers of a policy's choice."""
    if isinstance(choice, tuple):
        return tuple(stretched(part, factor) for part in choice)
    if isinstance(choice, np.ndarray) and choice.dtype == np.float32:
        return (choice * np.float32(factor)).astype(np.float32)
    return choice


@thorough
@given(space=nested(st.one_of(discretes, multi_discretes(), multi_binaries)))
def test_every_discrete_action_can_be_chosen_in_one_way(adapters: ModuleType, space: gym.Space[Any]) -> None:
    env = Drawn(VECTOR, space)
    adapted = adapters.adapt(env)
    chosen = adapted.action_space
    nvec = [int(chosen.n)] if isinstance(chosen, spaces.Discrete) else [int(n) for n in chosen.nvec]
    if math.prod(nvec) > 500:
        return
    adapted.reset()
    actions = set()
    for choice in itertools.product(*map(range, nvec)):
        adapted.step(choice[0] if isinstance(chosen, spaces.Discrete) else np.array(choice))
        actions.add(repr(env.action))
    assert len(actions) == number_of_actions(space) == math.prod(nvec)


def number_of_actions(space: gym.Space[Any]) -> int:
    """Counts the elements of a finite space."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(space.nvec.prod())
    if isinstance(space, spaces.MultiBinary):
        return 2 ** int(np.prod(space.shape))
    children: Iterator[gym.Space[Any]] = iter(space.values() if isinstance(space, spaces.Dict) else space)  # type: ignore
    return int(np.prod([number_of_actions(child) for child in children]))


@pytest.mark.parametrize(
    ("space", "choice", "action"),
    [
        (spaces.Box(-2, 6, (1,), np.float32), -1, -2),
        (spaces.Box(-2, 6, (1,), np.float32), 0, 2),
        (spaces.Box(-2, 6, (1,), np.float32), 7, 6),
        (spaces.Box(3, np.inf, (1,), np.float32), -1, 3),
        (spaces.Box(3, np.inf, (1,), np.float32), -9, 3),
        (spaces.Box(3, np.inf, (1,), np.float32), 9, 13),
        (spaces.Box(-np.inf, 3, (1,), np.float32), 1, 3),
        (spaces.Box(-np.inf, 3, (1,), np.float32), -9, -7),
        (spaces.Box(-np.inf, np.inf, (1,), np.float32), -9, -9),
        (spaces.Box(-3e38, 3e38, (1,), np.float32), -9, -9),
        (spaces.Box(0, 200, (1,), np.uint8), 0.251, 125),
        (spaces.Box(0, 200, (1,), np.uint8), 5, 200),
        (spaces.Box(5, 9, (1,), np.int16), 3, 8),
        (spaces.Discrete(3, start=-1), 2, 1),
        (spaces.MultiBinary(1), 1, 1),
    ],
    ids=str,
)
def test_decoding_by_hand(adapters: ModuleType, space: gym.Space[Any], choice: float, action: float) -> None:
    given = choice if isinstance(space, spaces.Discrete) else np.array([choice])
    np.testing.assert_allclose(decode(adapters, space, given), action, rtol=1e-6)


def test_nested_action_by_hand(adapters: ModuleType) -> None:
    space = spaces.Dict(
        {
            "arm": spaces.Tuple((spaces.Box(0, 10, (2,), np.float64), spaces.MultiBinary(2))),
            "gear": spaces.Discrete(3, start=-1),
        }
    )
    action = decode(adapters, space, (np.array([1, 0, 2]), np.array([-1, 1], np.float32)))
    assert action["gear"] == 1 and type(action["gear"]) is np.int64
    assert action["arm"][0].tolist() == [0, 10] and action["arm"][1].tolist() == [1, 0]


# Masks


def masked(mask: list[int], action_space: gym.Space[Any]) -> Drawn:
    """An environment whose observation always has this mask."""
    space = spaces.Dict({"action_mask": spaces.MultiBinary(len(mask)), "state": VECTOR})
    env = Drawn(space, action_space)
    observation = {"action_mask": np.array(mask, np.int8), "state": np.zeros(2, np.float32)}
    env.reset = lambda **_: (observation, {})  # type: ignore[method-assign]
    return env


def test_masked_actions_are_refused(adapters: ModuleType) -> None:
    env = masked([0, 1, 1], spaces.Discrete(3, start=5))
    adapted = adapters.adapt(env)
    seen, _ = adapted.reset()
    assert seen["action_mask"].tolist() == [0, 1, 1] and seen["vector"].shape == (2,)
    adapted.step(1)
    assert env.action == 6
    with pytest.raises(ValueError, match="forbids this action: action 0"):
        adapted.step(0)


def test_mask_of_several_choices(adapters: ModuleType) -> None:
    for action_space in (spaces.MultiDiscrete([2, 3]), spaces.Dict(a=SWITCH, b=spaces.Discrete(3))):
        adapted = adapters.adapt(masked([0, 1, 1, 0, 1], action_space))
        observation, _ = adapted.reset()
        adapted.step(np.array([1, 2]))
        with pytest.raises(ValueError, match="forbids this action"):
            adapted.step(np.array([1, 1]))
        drawn = {tuple(adapters.random_choice(adapted.action_space, observation).tolist()) for _ in range(100)}
        assert drawn == {(1, 0), (1, 2)}


def test_random_actions_are_allowed_ones(adapters: ModuleType) -> None:
    adapted = adapters.adapt(masked([0, 1, 0, 1], spaces.Discrete(4)))
    observation, _ = adapted.reset()
    assert {int(adapters.random_choice(adapted.action_space, observation)) for _ in range(100)} == {1, 3}
    plain = adapters.adapt(Drawn(VECTOR, spaces.Discrete(3)))
    assert {int(adapters.random_choice(plain.action_space, None)) for _ in range(100)} == {0, 1, 2}


def test_mask_may_be_empty_where_the_episode_ends_and_only_there(adapters: ModuleType) -> None:
    env = masked([0, 0], SWITCH)
    env.ended = True
    adapted = adapters.adapt(env)
    adapted.reset()
    with pytest.raises(ValueError, match="allows no action, but the episode goes on"):
        adapted.step(0)
    adapted.env.unwrapped.reset = lambda **_: ({"action_mask": np.ones(2, np.int8), "state": np.zeros(2)}, {})
    adapted.reset()
    env.reset = lambda **_: ({"action_mask": np.zeros(2, np.int8), "state": np.zeros(2)}, {})  # type: ignore[method-assign]
    assert adapted.step(0)[2]


# Environments that step all their copies at once


@pytest.mark.parametrize("action_space", [spaces.Box(-1, 1, (2,)), spaces.Discrete(3, start=4), spaces.MultiBinary(2)])
@pytest.mark.parametrize("observation_space", [VECTOR, spaces.Discrete(3), spaces.Box(0, 255, (8, 9, 3), np.uint8)])
def test_copies_are_adapted_as_one_is(
    adapters: ModuleType, observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> None:
    copies = [Drawn(observation_space, action_space) for _ in range(3)]
    env = gym.vector.SyncVectorEnv([partial(next, iter([copy])) for copy in copies])
    adapted, single = adapters.adapt_vector(env), adapters.adapt(Drawn(observation_space, action_space))
    assert adapted.single_observation_space == single.observation_space
    assert adapted.single_action_space == single.action_space
    adapted.reset()
    choices = (
        adapted.action_space.sample() * 3 if isinstance(action_space, spaces.Box) else adapted.action_space.sample()
    )
    before = choices.copy()
    seen, *_ = adapted.step(choices)
    np.testing.assert_array_equal(choices, before)
    for copy, choice, part in zip(copies, choices, seen, strict=True):
        np.testing.assert_array_equal(copy.action, decode(adapters, action_space, choice))
        assert has_declared_type(copy.action, action_space)
        np.testing.assert_array_equal(part, encode(adapters, observation_space, copy.observation))


# Refusals


@pytest.mark.parametrize(
    ("observation_space", "action_space", "line"),
    [
        (spaces.Sequence(SWITCH), SWITCH, "Add `max_sequence_length = 16` to your environment class"),
        (spaces.Dict(a=spaces.Sequence(SWITCH)), SWITCH, "observation_space['a']: Sequence(Discrete(2), stack=False)"),
        (spaces.Graph(SWITCH, None), SWITCH, "Add `max_graph_nodes = 16` to your environment class"),
        (spaces.Discrete(10**12), SWITCH, "observation_space takes 1,000,000,000,000 numbers"),
        (spaces.Dict(), SWITCH, "observation_space is empty"),
        (spaces.Box(0, 1, (0,)), SWITCH, "observation_space is empty"),
        (spaces.Box(0, 255, (2000, 2000, 3), np.uint8), SWITCH, "is too large an image. Make it smaller"),
        (spaces.Dict(action_mask=spaces.MultiBinary(3)), SWITCH, "Use MultiBinary(2), or another key"),
        (spaces.Dict(action_mask=spaces.Discrete(2), state=VECTOR), SWITCH, "['action_mask'] has shape ()"),
        (spaces.Dict(action_mask=spaces.MultiBinary(2)), VECTOR, "needs an action_space of Discrete"),
        (VECTOR, spaces.Text(3), "action_space: Text(1, 3, charset=0123"),
        (VECTOR, spaces.Sequence(SWITCH), "Use Discrete, MultiDiscrete, MultiBinary or Box"),
        (VECTOR, spaces.Dict(a=spaces.OneOf((SWITCH,))), "action_space['a']: OneOf(Discrete(2))"),
        (VECTOR, spaces.Discrete(10**9), "action_space takes 1,000,000,000 numbers"),
        (VECTOR, spaces.Tuple(()), "action_space is empty"),
        (VECTOR, spaces.Box(0, 1, (0,)), "action_space is empty"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_one_line(
    adapters: ModuleType, observation_space: gym.Space[Any], action_space: gym.Space[Any], line: str
) -> None:
    env = Drawn(observation_space, action_space)
    env.max_sequence_length = env.max_graph_nodes = None
    with pytest.raises(adapters.UnsupportedSpace) as refusal:
        adapters.adapt(env)
    message = str(refusal.value)
    assert line in message
    assert "\n" not in message and len(message) < 250


@pytest.mark.parametrize("value", [0, -3, 2.5, "16", True])
def test_size_that_is_no_size_is_refused(adapters: ModuleType, value: Any) -> None:
    env = Drawn(spaces.Sequence(SWITCH), SWITCH)
    env.max_sequence_length = value
    with pytest.raises(adapters.UnsupportedSpace, match="max_sequence_length must be a whole number of at least 1"):
        adapters.adapt(env)


class Mission(spaces.Space[str]):
    """A space of a kind that Gymnasium doesn't have, as MiniGrid's MissionSpace is."""

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return "get the key"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


@pytest.mark.parametrize(
    ("observation_space", "action_space"),
    [
        (Mission(), SWITCH),
        (spaces.Dict(a=Mission(), b=spaces.Tuple((Mission(),))), SWITCH),
        (spaces.Dict(a=VECTOR, b=spaces.OneOf((Mission(), SWITCH))), SWITCH),
        (VECTOR, Mission()),
        (VECTOR, spaces.Dict(a=SWITCH, b=Mission())),
    ],
    ids=["alone", "among its like", "inside OneOf", "action", "action beside others"],
)
def test_a_space_nobody_knows_is_refused_where_there_is_nothing_else(
    adapters: ModuleType, observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> None:
    with pytest.raises(adapters.UnsupportedSpace, match="Mission"):
        adapters.adapt(Drawn(observation_space, action_space))
    assert adapters.unseen(Mission()) == {}


def test_a_space_nobody_knows_is_left_out_beside_others(adapters: ModuleType) -> None:
    known = spaces.Dict(image=spaces.Box(0, 255, (7, 7, 3), np.uint8), facing=spaces.Discrete(4))
    space = spaces.Dict({**known.spaces, "mission": Mission(), "notes": spaces.Tuple((Mission(), VECTOR))})
    env = Drawn(space, SWITCH)
    adapted = adapters.adapt(env)
    seen, _ = adapted.reset()
    assert seen in adapted.observation_space
    assert {key: value.shape for key, value in seen.items()} == {"image_0": (7, 7, 3), "vector": (6,)}
    np.testing.assert_array_equal(seen["vector"][4:], env.observation["notes"][1])
    unseen = adapters.unseen(space)
    assert list(unseen) == ["observation_space['mission']", "observation_space['notes'][0]"]
    assert adapters.adapt(Drawn(spaces.Dict(a=Mission(), b=VECTOR), SWITCH)).observation_space == VECTOR
    assert adapters.unseen(known) == {}


STRANGE = """
import gymnasium as gym
import numpy as np

class Mission(gym.Space):
    def sample(self, mask=None, probability=None):
        return "go"
    def contains(self, x):
        return isinstance(x, str)

class Env(gym.Env):
    observation_space = gym.spaces.Dict(goal=Mission(), place=gym.spaces.Box(0, 9, (1,), np.float32))
    action_space = gym.spaces.Discrete(2)
    def __init__(self, config=None, render_mode=None):
        self.render_mode = render_mode
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(0, 5)
        return self.seen(), {}
    def step(self, action):
        self.place += action
        return self.seen(), float(action), bool(self.place >= 8), False, {}
    def seen(self):
        return {"goal": "go" if self.place < 4 else "stop", "place": np.array([self.place], np.float32)}
"""


def test_a_space_nobody_knows_is_warned_of(tmp_path: Path) -> None:
    """In the one line that `check` and `train` show."""
    (tmp_path / "strange.py").write_text(STRANGE, encoding="utf-8")
    report = run_checks(f"{tmp_path / 'strange.py'}:Env", {}, quick=True)
    lines = [failure.message for failure in report.failures if failure.check == "spaces_trainable"]
    assert len(lines) == 1 and lines[0].startswith("observation_space['goal']: "), lines
    assert "is not seen by the policy" in lines[0]
