"""The rules for the two space answers: what they accept Gymnasium builds and draws from, what they refuse it refuses."""

import ast
import itertools
import sys
import warnings
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import TEMPLATE
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(TEMPLATE / "hooks"))
from post_gen_project import Written
from pre_gen_project import space_problem

# Where the rules are stricter than Gymnasium, on purpose: a part of the message, and why.
DELIBERATE = {
    "seed has to be left out": "a seed in the space would give every copy of the environment the same samples",
    "has to be a whole number": "Gymnasium cuts 2.5 to 2, and takes True for 1, without a word",
    "has to be a list of whole numbers": "the same, and a list of no choices, or one that is no list",
    "has to be a list of numbers": "an empty array holds nothing",
    "has to be a tuple of whole numbers": "a shape with a 0 in it holds nothing",
    "has to be a number": "an empty bound holds nothing; True and False are no numbers",
    "has to be a tuple of spaces": "a Tuple of nothing, or made of another Tuple",
    "has to be a dict of spaces": "a Dict of nothing",
    "calls Dict without arguments": "a Dict of nothing",
    "numbers from": "NumPy wraps 300 to 44 in an int8, cuts 2.5 to 2, and turns infinity into a whole number, all without a word",
    "has to be a string of different": "a Text without characters can be drawn where it is empty by chance",
    "above high": "the bounds are compared as written; float32 may round both to the same number",
    "which makes no number": "arithmetic is for numbers; an array is written out",
}

NUMBERS = """0 1 -1 2 3 0.5 -2.5 127 128 255 256 300 -128 -129 65504 65520 70000 2147483647 3000000000 1e30 1e39 -1e39 1e308
-1e308 9223372036854775807 18446744073709551615 True np.inf -np.inf inf float("inf") float("-inf") np.pi 2*np.pi -np.pi/2
1/4 2-5 np.float32(1.5) np.int8(7) -np.float64(3) np.inf-np.inf 0*np.inf""".split()
SMALL = ["0", "1", "-1", "2.5", "5", "-2", "np.pi", "-np.inf", "np.inf", "300"]
DTYPES = """np.float32 np.float64 np.float16 np.uint8 np.int8 np.int16 np.uint16 np.int32 np.uint32 np.int64 np.uint64
np.bool_ float int bool uint8 float32 "float32" "int64" "uint8" numpy.float32""".split()
SHAPES = [
    "(2,)",
    "(3,)",
    "(2, 2)",
    "[2]",
    "(1,)",
    "()",
    "2",
    "(0,)",
    "(-1,)",
    "(2.5,)",
    "np.array([2])",
    "None",
    "(1+1,)",
]


def calls(name: str, **parameters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Returns calls with some of the arguments, in a row or by their names; a name that ends in _ may be left out."""

    def written(values: list[str | None], in_a_row: int) -> str:
        pairs = list(zip(parameters, values, strict=True))
        row = [value for _, value in pairs[:in_a_row] if value is not None]
        named = [f"{key.rstrip('_')}={value}" for key, value in pairs[in_a_row:] if value is not None]
        return f"{name}({', '.join(row + named)})"

    optional = [st.none() | value if key.endswith("_") else value for key, value in parameters.items()]
    return st.builds(written, st.tuples(*optional).map(list), st.integers(0, len(parameters)))


def lists(of: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(of, min_size=0, max_size=most).map(lambda parts: f"[{', '.join(parts)}]")


dtypes, shapes, small = st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.sampled_from(SMALL)
numbers = st.sampled_from(NUMBERS)
pairs = st.tuples(small, small).map(lambda two: f"[{two[0]}, {two[1]}]")
arrays = st.one_of(
    pairs,
    pairs.map(lambda row: f"({row[1:-1]})"),
    st.tuples(pairs, pairs).map(lambda rows: f"[{rows[0]}, {rows[1]}]"),
    calls("np.array", object=pairs | lists(numbers), dtype_=dtypes).map(lambda text: text.replace("object=", "")),
    calls("np.full", shape=shapes, fill_value=numbers, dtype_=dtypes),
    calls("np.zeros", shape=shapes, dtype_=dtypes),
    calls("np.ones", shape=shapes, dtype_=dtypes),
    calls("-np.ones", shape=shapes),
    st.tuples(dtypes.filter(lambda name: name.startswith("np.")), pairs).map(lambda two: f"{two[0]}({two[1]})"),
    lists(numbers),
)
bounds = st.one_of(small, small, numbers, arrays, arrays)
counts = st.sampled_from(
    ["1", "2", "5", "0", "-1", "2.5", "200", "256", "True", "2*3", "np.int64(3)", "9223372036854775807"]
)
sizes = counts.filter(lambda text: len(text) < 15)  # larger ones are for the machine's memory to refuse
starts = st.sampled_from(["0", "1", "-4", "100", "56", "0.5", "9223372036854775807"])
boxes = calls("Box", low=bounds, high=bounds, shape_=shapes, dtype_=dtypes)
discretes = calls("Discrete", n=counts, seed_=st.nothing() | st.just("None"), start_=starts, dtype_=dtypes)
leaves = st.one_of(
    boxes,
    boxes,
    boxes,
    discretes,
    calls("spaces.MultiDiscrete", nvec=lists(counts) | arrays, dtype_=dtypes),
    calls("MultiDiscrete", nvec=st.just("[3, 4]"), start_=lists(starts)).map(
        lambda text: text.replace("], [", "], start=[")
    ),
    calls("MultiBinary", n=sizes | shapes | lists(sizes)),
    calls("Text", max_length=sizes).map(lambda text: text.replace("True", "3")),
    calls("Text", min_length=sizes, max_length=sizes, charset_=st.sampled_from(['"abc"', '"aa"', '""', "5"])),
)
trees = st.recursive(
    leaves,
    lambda some: st.one_of(
        calls("Tuple", spaces=lists(some, 2)),
        calls("OneOf", spaces=lists(some, 2)),
        st.tuples(some, some).map(lambda two: f"Dict({{'a': {two[0]}, 'b': {two[1]}}})"),
        st.tuples(some, some).map(lambda two: f"Dict(a={two[0]}, b={two[1]})"),
        calls("Sequence", space=some, stack_=st.sampled_from(["True", "False"])),
        calls("gym.spaces.Graph", node_space=some, edge_space=some | st.just("None")),
        calls("Sequense", space=some),
        calls("Box", low=small, heigh=small),
    ),
    max_leaves=3,
)


def as_baked(expression: str) -> str:
    """Returns the source that is written into env.py."""
    return ast.unparse(Written().visit(ast.parse(expression, mode="eval").body))


def fault(source: str) -> str | None:
    """Returns what Gymnasium has against a space, or None where samples of it are its members."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            space: gym.Space[Any] = eval(source, {"spaces": spaces, "np": np, "float": float})
            space.seed(0)
            outside = [sample for sample in (space.sample() for _ in range(5)) if not space.contains(sample)]
        if "Graph" in source:  # Gymnasium draws int64 nodes, whatever dtype a Discrete has
            outside = []
        return f"draws {outside[0]!r}, which it doesn't contain" if outside else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"


SEEN: Counter[str] = Counter()


def compare(expression: str) -> None:
    """Asserts that the rules and Gymnasium agree on an expression, but for what is refused on purpose."""
    problem = space_problem(expression)
    try:
        source = as_baked(expression)
    except Exception:
        assert problem is not None, expression
        return
    wrong = fault(source)
    if problem is None:
        SEEN["accepted"] += 1
        assert wrong is None, f"accepted, but Gymnasium says of {source}: {wrong}"
    elif not any(reason in problem for reason in DELIBERATE):
        SEEN["refused"] += 1
        assert wrong is not None, f"refused, but Gymnasium takes {source}: {problem}"


@settings(max_examples=2500, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(trees)
def test_rules_agree_with_gymnasium(expression: str) -> None:
    compare(expression)


def test_rules_agree_on_every_pair_of_bounds() -> None:
    scalars = ["-np.inf", "np.inf", "-1", "0", "1", "255", "256", "-1e39", "1e308", "-1e308", "True"]
    lists = ["[0, -1]", "[-np.inf, 0]", "[0, np.inf]", "[255, 1]", "np.full(2, np.inf)", "np.zeros(2, int)"]
    for low, high in itertools.product(scalars + lists, repeat=2):
        for dtype in ("np.float32", "float64", "np.float16", "np.uint8", "np.int8", "np.int64", "bool", "'uint16'"):
            for shape in ("(2,)", "None"):
                compare(f"Box({low}, {high}, {shape}, {dtype})")


def test_both_verdicts_were_compared_often() -> None:
    if not SEEN:
        pytest.skip("test_rules_agree_with_gymnasium has not run")
    assert min(SEEN["accepted"], SEEN["refused"]) >= 300, SEEN
