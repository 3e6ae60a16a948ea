"""Refuses answers that would make a broken project: one line for each, before anything is written."""

import ast
import difflib
import json
import keyword
import re
import sys

ANSWERS = r"""{{ cookiecutter | tojson }}"""

SPACES = (
    "Box", "Discrete", "MultiDiscrete", "MultiBinary", "Tuple", "Dict", "Text", "Sequence", "Graph", "OneOf",
)  # fmt: skip
DTYPES = (
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip
NUMBERS = ("inf", "pi")
TAKEN = {"gymnasium", "matplotlib", "numpy", "pytest", "ray", "rich", "test", "tests", "tomlkit", "torch"}


def problems(answers):
    """Yields one line for each bad answer: what is wrong, why, and what to write instead."""
    yield from text_problems(answers)
    yield from slug_problems(answers["project_slug"])
    steps = str(answers["max_episode_steps"])
    if not (steps.isascii() and steps.isdecimal() and int(steps) > 0):
        yield f"max_episode_steps {steps!r} is not a whole number above 0. Try 200."
    for name, example in (("observation_space", "Box(-1.0, 1.0, (4,), np.float32)"), ("action_space", "Discrete(2)")):
        problem = space_problem(answers[name])
        if problem:
            yield f"{name} {answers[name]!r} {problem}. Try {example}."


def text_problems(answers):
    """Yields what is wrong with the answers that are free text."""
    for name in ("project_name", "description", "author_name"):
        if not answers[name].strip():
            yield f"{name} is empty. Try a few words."
        elif not answers[name].isprintable():
            yield f"{name} {answers[name]!r} has a character that can't be printed. Try it on one line."


def slug_problems(slug):
    """Yields what is wrong with the project's slug, which names the folder, the distribution and the package."""
    package = slug.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", slug):
        letters = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")
        better = letters if re.match("[a-z]", letters) else ("env-" + letters).strip("-")
        yield (
            f"project_slug {slug!r} can't name a Python package: it takes a-z, 0-9 and single hyphens, "
            f"a letter first. Try {better}."
        )
    elif keyword.iskeyword(package) or package in TAKEN or package in sys.stdlib_module_names:
        yield f"project_slug {slug!r} is the name of another Python module or a keyword. Try {slug}-env."


def space_problem(text):
    """Returns what is wrong with a space expression, or None. It is read as syntax and never run."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        return f"is not a Python expression ({getattr(error, 'msg', error)})"
    if not isinstance(tree, ast.Call):
        return "is not a space; it has to be a call such as Discrete(2)"
    return node_problem(tree)


def node_problem(node):
    """Returns what is wrong with a part of a space expression, or None."""
    if isinstance(node, ast.Call):
        name = space_name(node.func)
        if name not in SPACES:
            return f"calls {ast.unparse(node.func)}, which is not a Gymnasium space{did_you_mean(name, SPACES)}"
        children = [*node.args, *(pair.value for pair in node.keywords)]
        if not children and name not in ("Dict", "Tuple"):
            return f"calls {name} without arguments"
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
        known = (*DTYPES, *NUMBERS)
        return None if node.attr in known else f"has np.{node.attr}, not a dtype{did_you_mean(node.attr, known)}"
    elif isinstance(node, ast.Dict):
        children = [*node.keys, *node.values]
    elif isinstance(node, (ast.Tuple, ast.List)):
        children = node.elts
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        children = [node.operand]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "has a quote or a backslash inside a string" if set(node.value) & set("\\\"'") else None
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float, bool, type(None))):
        return None
    elif node is None:
        return "unpacks a dict, write out its keys"
    else:
        return f"has {ast.unparse(node)!r}; it may hold spaces, numbers, strings, tuples, dicts and np. dtypes only"
    return next(filter(None, map(node_problem, children)), None)


def space_name(function):
    """Returns the space that is called as Box, spaces.Box, gym.spaces.Box or gymnasium.spaces.Box."""
    return re.sub(r"^((gym|gymnasium)\.)?spaces\.", "", ast.unparse(function))


def did_you_mean(name, known):
    """Returns a hint at the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


if __name__ == "__main__":
    found = list(problems(json.loads(ANSWERS)))
    for line in found:
        print(f"ERROR: {line}", file=sys.stderr)
    sys.exit(1 if found else 0)
