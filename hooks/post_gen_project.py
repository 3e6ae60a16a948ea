"""Puts the chosen files in their place, writes down what they were made of, and says what is next."""

import ast
import hashlib
import json
import re
import shutil
from pathlib import Path

ANSWERS = r"""{{ cookiecutter | tojson }}"""
LINE_LENGTH = 120  # as pyproject.toml tells ruff

# A choice is a folder of whole files: the chosen one is laid over the project, the others go.
CHOICES = {"starter": "starters", "license": "licenses"}

# What tools may have left inside the template's folder; cookiecutter.json has it copied, since it can't be rendered.
LITTER = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.pyc")


def sweep(project):
    """Removes the litter."""
    for path in [path for pattern in LITTER for path in project.rglob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


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
            tree = ast.parse(answers[name.lower()].strip(), mode="eval").body
            line = lay_out(Written().visit(tree), before.strip() + " = ", indent=8)
        lines.append(line + "\n")
    file.write_text("".join(lines), encoding="utf-8")


class Written(ast.NodeTransformer):
    """Turns a space expression into what env.py says: `spaces.Box`, `np.float32`; nothing of it is run."""

    def visit_Name(self, node):
        name = re.sub(r"^(np|numpy|((gym|gymnasium)\.)?spaces)\.", "", ast.unparse(node))
        name = {"float": "float64", "int": "int64", "bool": "bool_"}.get(name, name)
        return ast.Attribute(ast.Name("spaces" if name[0].isupper() else "np", ast.Load()), name, ast.Load())

    visit_Attribute = visit_Name

    def visit_Constant(self, node):
        is_dtype = isinstance(node.value, str) and re.fullmatch(r"float|int|bool|(float|u?int)\d+|bool_", node.value)
        return self.visit_Name(ast.Name(node.value)) if is_dtype else node

    def visit_Dict(self, node):
        return ast.Dict(node.keys, [self.visit(value) for value in node.values])

    def visit_keyword(self, node):
        return node if node.arg == "charset" else self.generic_visit(node)

    def visit_Call(self, node):
        if ast.unparse(node.func) == "float":  # of "inf"
            return node
        node = self.generic_visit(node)
        if isinstance(node.args and node.args[0], ast.List) and re.search(r"\d$", node.func.attr):  # np.float32([0, 1])
            return self.as_array(node.args[0], node.func)
        if node.func.attr == "Box":  # takes arrays as bounds, no lists
            given = dict(zip(("low", "high", "shape", "dtype"), node.args)) | {
                one.arg: one.value for one in node.keywords
            }
            dtype = given.get("dtype", self.visit_Name(ast.Name("float32")))
            node.args = [self.as_array(value, dtype) for value in node.args[:2]] + node.args[2:]
            for one in node.keywords:
                one.value = self.as_array(one.value, dtype) if one.arg in ("low", "high") else one.value
        return node

    def as_array(self, node, dtype):
        is_list = isinstance(node, (ast.List, ast.Tuple))
        return ast.Call(self.visit_Name(ast.Name("array")), [node, dtype], []) if is_list else node


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


def write_manifest(project, answers):
    """Writes .template.json: what the project was made of, and a hash of each file; the kit's are in its own MANIFEST."""
    kit = project / "src" / answers["__package_name"] / "kit"
    files = {path.relative_to(project).as_posix(): digest(path) for path in project.rglob("*") if path.is_file()}
    content = {
        "template": answers["__template_url"] or None,
        "version": (kit / "VERSION").read_text(encoding="utf-8").strip(),
        "commit": answers["__template_commit"] or None,
        "answers": {name: value for name, value in answers.items() if not name.startswith("_")},
        "kit": digest(kit / "MANIFEST"),
        "files": {name: files[name] for name in sorted(files) if kit not in (project / name).parents},
    }
    (project / ".template.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path):
    """Returns the SHA-256 of a file, its lines ended as Git keeps them."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def main():
    """Lays the chosen files over the project in the current folder."""
    answers = json.loads(ANSWERS)
    project = Path.cwd()
    sweep(project)
    for question, folder in CHOICES.items():
        lay_over(project / folder / answers[question], project)
        shutil.rmtree(project / folder)
    package = Path("src", answers["__package_name"])
    write_spaces(project / package / "env.py", answers)
    write_manifest(project, answers)
    setup = f"cd {answers['project_slug']} && make setup"
    print(f"{setup:40}# installs it, Ray and torch in .venv: minutes, once")
    print(f"{'make test':40}# tells what is still to write, or wrong")
    print(f"edit {package / 'env.py'}, then: make train")


if __name__ == "__main__":
    main()
