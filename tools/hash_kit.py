"""Writes `kit/MANIFEST`, by which `check` notices that a file of the kit was edited: `python tools/hash_kit.py`."""

import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "src" / "{{cookiecutter.__package_name}}"
sys.path.insert(0, str(PACKAGE))

from kit.contract.manifest import KIT, NAME, manifest  # noqa: E402

if __name__ == "__main__":
    text = manifest()
    (KIT / NAME).write_bytes(text.encode())
    print(f"{NAME}: {len(text.splitlines())} files")
