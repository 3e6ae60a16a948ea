"""Refuses answers that would make a broken project: one line for each, before anything is written."""

import ast
import difflib
import itertools
import json
import keyword
import math
import operator
import re
import sys
from collections import namedtuple

ANSWERS = r"""{{ cookiecutter | tojson }}"""
EXAMPLES = {"observation_space": "Box(-1.0, 1.0, (4,), np.float32)", "action_space": "Discrete(2)"}
TAKEN = {"gymnasium", "matplotlib", "numpy", "pygame", "pytest", "ray", "rich", "test", "tests", "tomlkit", "torch"}

# What may be called, with its parameters in their order: each is of a kind, see KINDS, and "?" may be left out.
SPACES = {
    "Box": {"low": "bounds", "high": "bounds", "shape": "shape?", "dtype": "dtype?", "seed": "seed?"},
    "Discrete": {"n": "count", "seed": "seed?", "start": "whole?", "dtype": "integers?"},
    "MultiDiscrete": {"nvec": "counts", "dtype": "integers?", "seed": "seed?", "start": "wholes?"},
    "MultiBinary": {"n": "size", "seed": "seed?"},
    "Text": {"max_length": "whole", "*": "?", "min_length": "whole?", "charset": "charset?", "seed": "seed?"},
    "Tuple": {"spaces": "spaces", "seed": "seed?"},
    "Dict": {"spaces": "named?", "seed": "seed?", "**": "space?"},
    "Sequence": {"space": "space", "seed": "seed?", "stack": "flag?"},
    "Graph": {"node_space": "node", "edge_space": "edge", "seed": "seed?"},
    "OneOf": {"spaces": "spaces", "seed": "seed?"},
}
ARRAYS = {
    "array": {"object": "numbers", "dtype": "dtype?"},
    "full": {"shape": "size", "fill_value": "number", "dtype": "dtype?"},
    "zeros": {"shape": "size", "dtype": "dtype?"},
    "ones": {"shape": "size", "dtype": "dtype?"},
}
KINDS = {
    "bounds": ("a number, or numbers in a list or an array", lambda x: shape_of(x) is not None),
    "shape": ("a tuple of whole numbers above 0 such as (3,)", lambda x: x in (None, ()) or all_of(is_count, x)),
    "size": ("a whole number above 0 or a tuple of them", lambda x: is_count(x) or all_of(is_count, x)),
    "dtype": ("a dtype such as np.float32", lambda x: dtype_of(x) is not None),
    "integers": ("an integer dtype such as np.int64", lambda x: dtype_of(x) in INTEGERS),
    "number": ("a number", lambda x: type(x) in (int, float)),
    "numbers": ("a list of numbers, its rows of one length", lambda x: type(x) in (list, tuple) and shape_of(x)),
    "count": ("a whole number above 0", lambda x: is_count(x)),
    "counts": ("a list of whole numbers above 0", lambda x: all_of(is_count, x)),
    "whole": ("a whole number", lambda x: type(x) is int),
    "wholes": ("a list of whole numbers", lambda x: x is None or all_of(lambda one: type(one) is int, x)),
    "charset": ("a string of different characters", lambda x: type(x) is str and 0 < len(x) == len(set(x))),
    "flag": ("True or False", lambda x: type(x) is bool),
    "space": ("a space", lambda x: type(x) is Space),
    "spaces": ("a tuple of spaces", lambda x: type(x) in (list, tuple) and x and all(type(y) is Space for y in x)),
    "named": ("a dict of spaces", lambda x: type(x) is dict and x and all(type(y) is Space for y in x.values())),
    "node": ("a Box or a Discrete", lambda x: type(x) is Space and x.name in ("Box", "Discrete")),
    "edge": ("a Box, a Discrete or None", lambda x: x is None or KINDS["node"][1](x)),
    "seed": ("left out: each run seeds the spaces", lambda x: False),
}

INTEGERS = {f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
INTEGERS |= {f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
FLOATS = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": sys.float_info.max}
DTYPES = {  # with the least and the greatest number that each can hold
    "bool_": (0, 1),
    **INTEGERS,
    **{name: (-limit, limit) for name, limit in FLOATS.items()},
}
BUILT_IN = {"float": "float64", "int": "int64", "bool": "bool_"}  # dtypes that Python's own types stand for
NUMBERS = {"inf": math.inf, "pi": math.pi}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

Space = namedtuple("Space", "name")
Dtype = namedtuple("Dtype", "name")
Array = namedtuple("Array", "shape values")  # of np.array and its like; one value may stand for all


class Refused(Exception):
    """A space that can't be used; the message goes on from the answer: "has ...", "calls ..."."""


def problems(answers):
    """Returns what is wrong, as {question: line}: what, why, and what to write instead."""
    found = text_problems(answers) | slug_problems(answers["project_slug"])
    steps = str(answers["max_episode_steps"])
    if not (steps.isascii() and steps.isdecimal() and int(steps) > 0):
        found["max_episode_steps"] = f"{steps!r} is not a whole number above 0. Try 200."
    for name, example in EXAMPLES.items():
        if problem := space_problem(answers[name]):
            found[name] = f"{answers[name]!r} {problem}. Try {example}."
    return {name: f"ERROR: {name} {problem}" for name, problem in found.items()}


def text_problems(answers):
    """Returns what is wrong with the answers that are free text."""
    found = {}
    for name in ("project_name", "description", "author_name"):
        if not answers[name].strip():
            found[name] = "is empty. Try a few words."
        elif not answers[name].isprintable():
            found[name] = f"{answers[name]!r} has a character that can't be printed. Try it on one line."
    return found


def slug_problems(slug):
    """Returns what is wrong with the project's slug, which names the folder, the distribution and the package."""
    package = slug.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", slug):
        letters = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")
        better = letters if re.match("[a-z]", letters) else ("env-" + letters).strip("-")
        what = "can't name a Python package: it takes a-z, 0-9 and single hyphens, a letter first"
        return {"project_slug": f"{slug!r} {what}. Try {better}."}
    if keyword.iskeyword(package) or package in TAKEN or package in sys.stdlib_module_names:
        what = "is the name of another Python module or a keyword"
        return {"project_slug": f"{slug!r} {what}. Try {slug}-env."}
    return {}


def space_problem(text):
    """Returns what is wrong with a space expression, or None. It is read as syntax and never run."""
    try:
        if type(evaluate(ast.parse(text.strip(), mode="eval").body)) is not Space:
            return "is not a space; it has to be a call such as Discrete(2)"
    except Refused as error:
        return str(error)
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"is not a Python expression ({getattr(error, 'msg', error)})"
    return None


def evaluate(node):
    """Returns what a part of a space expression stands for: Python's own values, a Space, a Dtype or an Array."""
    if isinstance(node, ast.Call):
        return call(node)
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = short_name(node)
        if name in NUMBERS:
            return NUMBERS[name]
        name = BUILT_IN.get(name, name) if isinstance(node, ast.Name) else name
        if name not in DTYPES:
            raise Refused(f"has {ast.unparse(node)}, which is no dtype{did_you_mean(name, (*DTYPES, *NUMBERS))}")
        return Dtype(name)
    if isinstance(node, (ast.Tuple, ast.List)):
        parts = [evaluate(part) for part in node.elts]
        return parts if isinstance(node, ast.List) else tuple(parts)
    if isinstance(node, ast.Dict):
        if not all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in node.keys):
            raise Refused("unpacks a dict, write out its keys" if None in node.keys else "has a key that is no string")
        return {evaluate(key): evaluate(value) for key, value in zip(node.keys, node.values)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return arithmetic(
            node, OPERATORS[ast.Sub if isinstance(node.op, ast.USub) else ast.Add], 0, evaluate(node.operand)
        )
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return arithmetic(node, OPERATORS[type(node.op)], evaluate(node.left), evaluate(node.right))
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and set(node.value) & set("\\\"'"):
        raise Refused("has a quote or a backslash inside a string")
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, type(None))):
        return node.value
    raise Refused(
        f"has {ast.unparse(node)!r}; it may hold spaces, numbers, strings, tuples, dicts, arrays and dtypes only"
    )


def call(node):
    """Returns the space, the array or the number that a call makes."""
    name = short_name(node.func)
    if ast.unparse(node) in ("float('inf')", "float('-inf')"):
        return float(node.args[0].value)
    if name in DTYPES:
        return array(name, arguments(name, {"value": "bounds"}, node)["value"], name)
    if name in ARRAYS:
        given = arguments(name, ARRAYS[name], node)
        value = given.get("object", given.get("fill_value", float(name == "ones")))
        shape = tuple(values_of(given["shape"])) if "shape" in given else None
        return array(name, value, dtype_of(given.get("dtype")), shape)
    if name not in SPACES:
        raise Refused(f"calls {ast.unparse(node.func)}, which is not a Gymnasium space{did_you_mean(name, SPACES)}")
    given = arguments(name, SPACES[name], node)
    if name in RULES:
        RULES[name](**given)
    return Space(name)


def arguments(name, parameters, node):
    """Returns the arguments of a call by the name of their parameter, each of its kind."""
    positional = list(itertools.takewhile(lambda one: one[0] != "*", parameters))
    if not node.args and not node.keywords:
        raise Refused(f"calls {name} without arguments")
    if len(node.args) > len(positional):
        raise Refused(f"gives {name} {len(node.args)} arguments in a row; it takes {', '.join(positional)}")
    pairs = [*zip(positional, node.args), *((pair.arg, pair.value) for pair in node.keywords)]
    given = {}
    for parameter, part in pairs:
        known = [one for one in parameters if one[0] != "*"]
        if parameter not in known and ("**" not in parameters or parameter is None):
            hint = did_you_mean(str(parameter), known) or f"; it takes {', '.join(known)}"
            raise Refused(f"gives {name} {parameter or 'a dict to unpack'}{hint}")
        if parameter in given:
            raise Refused(f"gives {name} {parameter} twice")
        what, is_good = KINDS[parameters.get(parameter, parameters.get("**", "")).rstrip("?")]
        given[parameter] = evaluate(part)
        if not is_good(given[parameter]):
            raise Refused(f"has {name}({parameter}={ast.unparse(part)}); {parameter} has to be {what}")
    missing = [one for one, kind in parameters.items() if one not in given and not kind.endswith("?")]
    if missing:
        raise Refused(f"calls {name} without {' and '.join(missing)}")
    return given


def arithmetic(node, operation, left, right):
    """Returns what +, -, * or / make of two numbers."""
    try:
        result = operation(left, right) if {type(left), type(right)} <= {int, float} else math.nan
    except ArithmeticError:
        result = math.nan
    if math.isnan(result):
        raise Refused(f"has {ast.unparse(node)!r}, which makes no number")
    return result


def array(where, value, dtype=None, shape=None):
    """Returns numbers, of whatever form, as an Array of this shape and dtype."""
    values = values_of(value)
    dtype = dtype or ("int64" if all(type(one) is int for one in values) else "float64")
    for one in values:
        if not fits(one, dtype):
            raise Refused(f"has {one} in {where}; {range_of(dtype)}")
    return Array(shape_of(value) if shape is None else shape, values)


def check_box(low, high, shape=None, dtype="float32"):
    """Holds a Box to Gymnasium's rules: shapes are the same, and bounds fit the dtype and each other."""
    dtype = dtype_of(dtype)
    shapes = [shape_of(bound) for bound in (low, high) if shape_of(bound)]
    wanted = tuple(values_of(shape)) if shape is not None else shapes[0] if shapes else (1,)
    if any(one != wanted for one in shapes):
        raise Refused(f"has bounds of shape {' and '.join(map(str, shapes))} for a Box of shape {wanted}, not the same")
    for name, bound, end in (("low", low, -math.inf), ("high", high, math.inf)):
        for value in values_of(bound):
            is_open = value == end and not shape_of(bound) and dtype[0] == "i"
            if value == -end or not (is_open or fits(value, dtype)):
                raise Refused(f"has {name} {value}; {range_of(dtype)}")
    for lowest, highest in pairs(low, high):
        if lowest > highest:
            raise Refused(f"has low {lowest} above high {highest}")
        if highest - lowest == math.inf and math.inf not in (-lowest, highest):
            raise Refused("has bounds too far apart to draw from; write -np.inf and np.inf")


def check_discrete(n, start=0, dtype="int64", name="Discrete"):
    """Holds the counts of a Discrete or a MultiDiscrete, and where they start, to their dtype."""
    if type(start) is not int and shape_of(start) != shape_of(n):
        raise Refused(f"has {name} with nvec of shape {shape_of(n)} and start of shape {shape_of(start)}, not the same")
    for count, first in pairs(n, start):
        if not all(fits(value, dtype_of(dtype)) for value in (count, first, first + count)):
            raise Refused(f"has {name} of {count} from {first}; {range_of(dtype_of(dtype))}")


def check_text(max_length, min_length=1, charset=None):
    """Holds the lengths of a Text to each other."""
    if not 0 <= min_length <= max_length:
        raise Refused(f"has Text with min_length {min_length} and max_length {max_length}; 0 <= min <= max has to hold")


def check_dict(spaces=None, **more):
    """Holds a Dict to one space for each key."""
    if twice := set(spaces or ()) & set(more):
        raise Refused(f"has {sorted(twice)[0]!r} twice")


RULES = {
    "Box": check_box,
    "Discrete": check_discrete,
    "MultiDiscrete": lambda nvec, dtype="int64", start=0: check_discrete(nvec, start or 0, dtype, "MultiDiscrete"),
    "Text": check_text,
    "Dict": check_dict,
}


def shape_of(value):
    """Returns the shape of a number, of an Array, or of lists in lists; None where these aren't numbers, or ragged."""
    if type(value) is Array:
        return value.shape
    if type(value) not in (list, tuple):
        return () if type(value) in (int, float) else None
    shapes = {shape_of(part) if type(part) is not Array else None for part in value}
    return (len(value), *shapes.pop()) if len(shapes) == 1 and None not in shapes else None


def values_of(value):
    """Returns the numbers of a value that `shape_of` knows, in a row; of an Array all of one value just that one."""
    if type(value) is Array:
        return value.values
    return [one for part in value for one in values_of(part)] if type(value) in (list, tuple) else [value]


def pairs(first, second):
    """Returns the numbers of two values next to each other; a single one stands next to all of the other's."""
    first, second = values_of(first), values_of(second)
    return zip(first * (len(second) if len(first) == 1 else 1), second * (len(first) if len(second) == 1 else 1))


def all_of(is_good, value):
    """Tells whether a list, a tuple or an Array holds such numbers only."""
    return bool(shape_of(value)) and all(map(is_good, values_of(value)))


def is_count(value):
    """Tells whether a value is a whole number above 0."""
    return type(value) is int and value > 0


def dtype_of(value):
    """Returns the name of the dtype that a Dtype or a string stands for, or None."""
    name = value.name if type(value) is Dtype else BUILT_IN.get(value, value) if type(value) is str else None
    return name if name in DTYPES else None


def fits(value, dtype):
    """Tells whether a dtype can hold a number as it is."""
    low, high = DTYPES[dtype]
    return low <= value <= high and (dtype in FLOATS or value == int(value)) or dtype in FLOATS and math.isinf(value)


def range_of(dtype):
    """Returns in words which numbers a dtype can hold."""
    low, high = DTYPES[dtype]
    return f"{dtype} holds {'' if dtype in FLOATS else 'whole '}numbers from {low:.6g} to {high:.6g}"


def short_name(node):
    """Returns a name without the modules before it: Box for gymnasium.spaces.Box, inf for np.inf."""
    return re.sub(r"^(np|numpy|((gym|gymnasium)\.)?spaces)\.", "", ast.unparse(node))


def did_you_mean(name, known):
    """Returns a hint at the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


if __name__ == "__main__":
    found = problems(json.loads(ANSWERS))
    for line in found.values():
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)
