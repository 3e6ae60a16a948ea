"""Puts the chosen files in their place, and says what is next."""

import ast
import json
import shutil
from pathlib import Path

ANSWERS = r"""{{ cookiecutter | tojson }}"""
LINE_LENGTH = 120  # as pyproject.toml tells ruff

# A choice is a folder of whole files: the chosen one is laid over the project, the others go.
CHOICES = {"starter": "starters", "license": "licenses"}


def lay_over(chosen, project):
    """Moves every file below `chosen` to the same place below `project`."""
    for source in sorted(path for path in chosen.rglob("*") if path.is_file()):
        target = project / source.relative_to(chosen)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def write_spaces(file, answers):
    """Writes the answers for the two spaces in place of OBSERVATION_SPACE and ACTION_SPACE, if the file has them."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        before, _, name = line.partition(" = ")
        if name in ("OBSERVATION_SPACE", "ACTION_SPACE"):
            line = lay_out(with_prefix(answers[name.lower()]), before.strip() + " = ", indent=8)
        lines.append(line + "\n")
    text = "".join(lines)
    file.write_text(text if "np." in text else text.replace("import numpy as np\n", ""), encoding="utf-8")


def with_prefix(expression):
    """Parses a space expression and calls every space as `spaces.Name`; nothing of it is run."""
    tree = ast.parse(expression.strip(), mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).split(".")[-1]
            node.func = ast.Attribute(ast.Name("spaces", ast.Load()), name, ast.Load())
    return tree


def lay_out(node, before, indent, after=""):
    """Returns an expression's source as ruff formats it: on one line if it fits, else each part on a line of its own."""
    line = before + ast.unparse(node).replace("'", '"') + after
    if isinstance(node, ast.Call):
        opening, closing = ast.unparse(node.func) + "(", ")"
        parts = [("", value) for value in node.args] + [(f"{pair.arg}=", pair.value) for pair in node.keywords]
    elif isinstance(node, ast.Dict):
        opening, closing = "{", "}"
        keys = [ast.unparse(key).replace("'", '"') for key in node.keys]
        parts = [(f"{key}: ", value) for key, value in zip(keys, node.values)]
    elif isinstance(node, (ast.List, ast.Tuple)):
        opening, closing = "[]" if isinstance(node, ast.List) else "()"
        parts = [("", value) for value in node.elts]
    else:
        parts = []
    if not parts or indent + len(line) <= LINE_LENGTH:
        return " " * indent + line
    rows = [lay_out(value, text, indent + 4, ",") for text, value in parts]
    return "\n".join([" " * indent + before + opening, *rows, " " * indent + closing + after])


def main():
    """Lays the chosen files over the project in the current folder."""
    answers = json.loads(ANSWERS)
    project = Path.cwd()
    for question, folder in CHOICES.items():
        lay_over(project / folder / answers[question], project)
        shutil.rmtree(project / folder)
    package = Path("src", answers["__package_name"])
    write_spaces(project / package / "env.py", answers)
    print(f"cd {answers['project_slug']} && make setup    # installs it, Ray and torch in .venv: minutes, once")
    print("make test                             # tells what is still to write, or wrong")
    print(f"edit {package / 'env.py'}, then: make train")


if __name__ == "__main__":
    main()
