"""Decides for each file of a project what becomes of it in an update."""

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import RunError

Files = dict[str, bytes]  # what is in each file, by its place in the project
# Once edited, these are the user's: left as they are. Others are merged.
YOURS = {"README.md", "env.py", "policies.py", "ppo.py", "simulator.py", "test_env.py", "vectorization.toml"}


@dataclass
class Plan:
    """What an update does.

    Attributes:
        new: what is to be written; None removes the file.
        kept: edited files that stay as they are, though the template's have changed.
        conflicts: edited files that get the marks of a conflict.
    """

    new: dict[str, bytes | None] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def read(path: Path) -> bytes:
    """Returns what is in a file, its lines ended as Git keeps them."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def digest(content: bytes) -> str:
    """Returns what .template.json holds of a file."""
    return hashlib.sha256(content).hexdigest()


def plan_update(root: Path, recorded: Mapping[str, str], base: Callable[[], Files], theirs: Files) -> Plan:
    """Returns what becomes of each file that the template has made, or makes now.

    Args:
        root: the project's folder.
        recorded: the digest of each file as it was made.
        base: returns the files as they were made, as far as they are known; called only if something is to be merged.
        theirs: the files as the template makes them now.
    """
    plan = Plan()
    for place in sorted({*recorded, *theirs}):
        path, made, new = root / place, recorded.get(place), theirs.get(place)
        ours = read(path) if path.is_file() else None
        if ours == new or (new is not None and digest(new) == made):
            continue  # the same already, or the template hasn't changed it
        if ours is None:
            if made is None:  # else the user has deleted it
                plan.new[place] = new
        elif digest(ours) == made:
            plan.new[place] = new
        elif new is None or path.name in YOURS:
            plan.kept.append(place)
        else:
            plan.new[place], has_conflicts = merge(ours, base().get(place, b""), new)
            if has_conflicts:
                plan.conflicts.append(place)
    return plan


def merge(ours: bytes, base: bytes, theirs: bytes) -> tuple[bytes, bool]:
    """Merges two versions of a file that come from a third, and tells whether there are conflicts.

    Raises:
        RunError: Git can't merge such a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = ("yours", "as it was made", "the template's")
        for name, content in zip(names, (ours, base, theirs), strict=True):
            Path(folder, name).write_bytes(content)
        labels = [part for name in names for part in ("-L", name)]
        done = subprocess.run(["git", "merge-file", "-p", *labels, *names], cwd=folder, capture_output=True)
    if not 0 <= done.returncode < 128:
        raise RunError(f"git merge-file failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout, done.returncode > 0
