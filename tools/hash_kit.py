"""Writes what the kit holds of other files: `kit/stub/`, of the template's stub, and `kit/MANIFEST`, of the kit's own.

`python tools/hash_kit.py`, after an edit of the kit, of the stub, or of what all projects have.
"""

import re
import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).parents[1]
sys.path.insert(0, str(TEMPLATE / "tests"))

from conftest import bake_project  # noqa: E402
from kit.contract.manifest import KIT, NAME, manifest  # noqa: E402

STUB = KIT / "stub"
# What a project of this name is baked to, and what stands for it; in this order.
PROJECT = "Dollar Sign"
NAMES = {"dollar_sign/": "$package/", "dollar_sign": "$package.$module", "DollarSignEnv": "$class_name",
         "DollarSign": "$env_name", "from .kit": "from ..kit"}  # fmt: skip
PLACES = ("vectorization.toml", "tests/test_env.py", *(f"src/dollar_sign/{name}.py" for name in
          ("__init__", "env", "ppo", "registration")))  # fmt: skip


def stub_files() -> dict[str, str]:
    """Returns the files of `kit/stub`: those of a stub with the default answers, for a package inside another one."""
    with tempfile.TemporaryDirectory() as folder:
        project = bake_project(Path(folder), project_name=PROJECT)
        texts = {Path(place).name + ".txt": project.read(place) for place in PLACES}
    for name, text in texts.items():
        text = text.replace("$", "$$")
        for old, new in NAMES.items():
            text = text.replace(old, new)
        texts[name] = re.sub(r"(?m)(^ *from \.+\w.*\n)+", sorted_imports, text)
    return texts


def sorted_imports(block: re.Match[str]) -> str:
    """Returns lines of relative imports as ruff orders them: those from further above first."""
    modules = {line: line.split()[1] for line in block[0].splitlines(keepends=True)}
    return "".join(
        sorted(modules, key=lambda line: (-len(modules[line]) + len(modules[line].lstrip(".")), modules[line]))
    )


if __name__ == "__main__":
    STUB.mkdir(exist_ok=True)
    texts = stub_files()
    for path in STUB.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (STUB / name).write_bytes(text.encode())
    text = manifest()
    (KIT / NAME).write_bytes(text.encode())
    print(f"{NAME}: {len(text.splitlines())} files")
