"""Puts new files in the place of old ones; a process that is killed at any moment leaves all old or all new.

The kit goes first, and its successor comes last. In between, a copy of this file stands in for the kit as `kit.py`:
whatever imports the kit next, after a kill, finds the copy, which brings the old state back.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Collection
from pathlib import Path

FOLDER = ".update"  # in the project: on the same file system, so that moving a file is one step
CREATED = "created.json"


def prepare(root: Path) -> Path:
    """Makes the folder for `swap`, and returns where the new files go, each at its place below."""
    (root / FOLDER / "old").mkdir(parents=True)
    (root / FOLDER / "new").mkdir()
    (root / FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    return root / FOLDER / "new"


def swap(root: Path, kit: Path, places: Collection[str]) -> None:
    """Replaces the kit and the files by those that were put below `prepare(root)`.

    Args:
        root: the project's folder.
        kit: the kit's folder in it.
        places: files to create, replace or, where there is no new one, remove; relative to `root`.
    """
    folder, old, new = root / FOLDER, root / FOLDER / "old", root / FOLDER / "new"
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (old / place).parent.mkdir(parents=True, exist_ok=True)
        if (root / place).exists():
            shutil.copy2(root / place, old / place)
    created = [place for place in places if not (root / place).exists()]
    (folder / CREATED).write_text(json.dumps(created), encoding="utf-8")
    shutil.copyfile(__file__, kit.with_suffix(".py"))
    try:
        os.rename(kit, old / "kit")
        for place in places:
            if (new / place).exists():
                os.replace(new / place, root / place)
            else:
                (root / place).unlink()
        os.rename(new / "kit", kit)  # with this, all is new
    finally:
        clean_up(root, kit)


def clean_up(root: Path, kit: Path) -> None:
    """Undoes a swap that hasn't come to its end, and removes what only the swap needs; harmless at any other time."""
    folder, old = root / FOLDER, root / FOLDER / "old"
    if not kit.is_dir():
        for place in json.loads((folder / CREATED).read_text(encoding="utf-8")):
            (root / place).unlink(missing_ok=True)
        for path in [path for path in old.rglob("*") if path.is_file() and old / "kit" not in path.parents]:
            os.replace(path, root / path.relative_to(old))
        os.rename(old / "kit", kit)
    if folder.is_dir():
        kit.with_suffix(".py").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__.rpartition(".")[2] == "kit":
    _kit = Path(__file__).resolve().with_suffix("")
    for _ in range(20):  # 2 s: the update may be under way, and takes milliseconds for this
        if _kit.is_dir():
            sys.exit("the project has just been updated: type the command again")
        time.sleep(0.1)
    clean_up(_kit.parents[2], _kit)
    sys.exit("an update was interrupted, and the project is as it was before it: type the command again")
