"""Writes `kit/MANIFEST`, by which `check` notices that a file of the kit was edited: `python tools/hash_kit.py`."""

import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "src" / "{{cookiecutter.__package_name}}"
sys.path.insert(0, str(PACKAGE))

from kit.contract.manifest import KIT, NAME, checksums  # noqa: E402

if __name__ == "__main__":
    lines = [f"{checksum}  {path}\n" for path, checksum in checksums().items()]
    (KIT / NAME).write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{KIT / NAME}: {len(lines)} files")
