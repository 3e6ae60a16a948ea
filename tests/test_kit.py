"""The kit: the same in every project, with imports that go one way, and light to import."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, BakedProject

KIT = PACKAGE / "kit"
MODULES = {
    ".".join(path.relative_to(KIT).with_suffix("").parts).removesuffix("__init__").removesuffix("."): path
    for path in sorted(KIT.rglob("*.py"))
}
# Each room imports only from those before its own line.
LAYERS = [
    {"tracebacks"},
    {"errors"},
    {"cli"},
    {"config", "files", "kinds"},
    {"spaces"},
    {"contract", "guard"},
    {"multi_agent", "facts"},
    {"task"},
    {"tasks"},
    {"policy", "vectorization"},
    {"rllib", "playing", "serving", "external"},
    {"training"},
    {"search", "updating"},
    {"commands"},
]
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
MOST_LINES = 17_208  # of the whole kit; to be lowered whenever it gets lighter
MOST_CONTRACT_LINES = 5_475


def imports(name: str) -> set[str]:
    """Returns the modules of the kit that a module imports, at its top or later."""
    path, found = MODULES[name], set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level <= len(package) + 1, f"{path}: line {node.lineno} imports from above the kit"
            base = [*package[: len(package) + 1 - node.level], *filter(None, (node.module or "").split("."))]
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                found.add(inner if inner in MODULES else ".".join(base))
    return found - {name}


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name: str) -> None:
    rooms = {room: level for level, layer in enumerate(LAYERS) for room in layer}
    room = name.split(".")[0]
    for other in imports(name):
        below = other.split(".")[0]
        assert room in ("", below) or rooms[below] < rooms[room], f"kit.{name} imports kit.{other}"


def room_graph() -> str:
    """Returns the rooms' imports in Mermaid's syntax, without those that follow from others."""
    below: dict[str, set[str]] = {}  # every room that is reached from a room, however far down
    lines = ["graph TD"]
    for room in [room for layer in LAYERS for room in sorted(layer)]:
        found = {other.split(".")[0] for name in MODULES if name.split(".")[0] == room for other in imports(name)}
        found -= {room}
        direct = {other for other in found if not any(other in below[third] for third in found)}
        below[room] = found.union(*(below[other] for other in found))
        lines += [f"    {room} --> {other}" for other in sorted(direct)]
    return "\n".join(lines)


def test_architecture_shows_the_imports() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    drawn = re.sub(r"(?<=```mermaid\n).*?(?=```)", f"{room_graph()}\n", text, flags=re.DOTALL)
    ARCHITECTURE.write_text(drawn, encoding="utf-8")
    assert drawn == text, f"{ARCHITECTURE.name} is drawn anew: look at it, and commit it"


def test_no_module_imports_itself_round_a_corner() -> None:
    graphlib.TopologicalSorter({name: imports(name) for name in MODULES}).prepare()


def test_kit_has_nothing_to_render() -> None:
    for path in KIT.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "{{" not in text.replace("{{{", "") or path.suffix == ".py", path
            assert not re.search(r"{{\s*cookiecutter", text), path


def test_kit_keeps_to_its_weight() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES.values()}
    assert sum(lines.values()) <= MOST_LINES
    assert sum(count for path, count in lines.items() if KIT / "contract" in path.parents) <= MOST_CONTRACT_LINES


def test_readme_of_the_kit_names_every_room() -> None:
    text = (KIT / "README.md").read_text(encoding="utf-8")
    for path in KIT.iterdir():
        if path.name not in ("__pycache__", "__init__.py", "README.md"):
            name = f"{path.name}/" if path.is_dir() else path.name
            assert f"\n{name} " in text, name


def test_package_is_imported_without_what_only_commands_need(corridor: BakedProject) -> None:
    code = f"import sys, {corridor.package}; print(*sys.modules)"
    loaded = corridor.run("-c", code, check=True).stdout.split()
    assert not {"ray", "torch", "scipy", "matplotlib", "tomlkit", f"{corridor.package}.kit.contract"} & set(loaded)


def test_contract_needs_neither_ray_nor_torch() -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import kit.contract; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "kit.contract" in loaded
    assert not {"ray", "torch"} & set(loaded)


def test_version_is_the_templates_and_the_newest_of_the_changelog() -> None:
    template = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    version = (KIT / "VERSION").read_text().strip()
    assert f'version = "{version}"' in template
    changes = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## (\d\S*)", changes)[0] == version
