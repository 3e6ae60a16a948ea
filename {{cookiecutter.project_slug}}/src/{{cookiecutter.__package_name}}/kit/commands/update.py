"""Brings the project to another version of its template: the kit whole, the rest merged with what you have edited."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..cli import Parser
from ..contract.manifest import changed_files
from ..errors import RunError, UsageError
from ..files import read_json
from ..task import Task
from ..tasks import names_of, root_of
from ..updating.merge import Files, Plan, digest, plan_update, read
from ..updating.swap import clean_up, prepare, swap
from ..updating.template import MANIFEST, bake, check_out, fetch, files_of, find_base, git, read_manifest, refuse_older
from . import add

ASIDE = "kit-edited"  # where files of the kit go that were edited by hand


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Updates, says what has become of which file, and returns the exit code: 1 if there are conflicts to mend.

    Raises:
        UsageError: the project or the source can't be used; nothing is written.
        RunError: the template can't be fetched or baked; nothing is written.
    """
    command = f"python -m {task.package} update"
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} gh:<org>/cookiecutter-rllib-env")
    parser.add_argument("source", nargs="?", help="gh:<org>/<name>, a Git URL or a folder; default: as the last time")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if there is something newer")
    options = parser.parse_args(arguments)
    root = root_of(task.package)
    made = read_manifest(root, task.package)
    source = options.source or made["template"]
    if source is None:
        raise UsageError(f"say where the template is, an address or a folder: {command} gh:<org>/cookiecutter-rllib-env")
    if not options.check:
        clean_up(root, kit_of(root, task.package))
        require_clean(root)
    with tempfile.TemporaryDirectory() as folder:
        template = fetch(source, Path(folder))
        refuse_older(template, made)
        theirs = bake(template, made["answers"], task.package, Path(folder, "theirs"))
        newer = read_manifest(theirs, task.package)
        if made["commit"] == newer["commit"] is not None or all(made[name] == newer[name] for name in ("kit", "files")):
            print(f"up to date: {made['version']}")
            return 0
        print(f"{made['version']} -> {newer['version']}")
        if options.check:
            return 1
        plan = plan_for(root, task.package, template, theirs, Path(folder))
        write(root, task.package, theirs, plan)
        tell(root, theirs, plan)
    return 1 if plan.conflicts else 0


def require_clean(root: Path) -> None:
    """Raises UsageError where Git couldn't show what an update has changed, or bring it back."""
    if (root / ".cruft.json").exists():
        raise UsageError("cruft keeps this project: go on with `cruft update`, or remove .cruft.json and commit that")
    if git(root, "ls-files", "--error-unmatch", MANIFEST) is None:
        raise UsageError("the project isn't in Git, the way back: git init && git add -A && git commit -m 'As baked'")
    if changes := git(root, "status", "--porcelain", "--", "."):
        raise UsageError(f"not all is committed ({changes.splitlines()[0].strip()}): git commit, or git stash -u, first")


def plan_for(root: Path, package: str, template: Path, theirs: Path, folder: Path) -> Plan:
    """Returns what becomes of each file, but for the kit, which is replaced.

    Args:
        root: the project's folder.
        package: the project's.
        template: the template's folder.
        theirs: the project as the template makes it now.
        folder: for what is needed on the way.
    """
    made, kit, new_kit = read_manifest(root, package), kit_of(root, package), kit_of(theirs, package)
    added, newly_added = added_files(root, package, kit), added_files(root, package, new_kit)

    @cache
    def base() -> Files:
        if (commit := find_base(template, made)) is None:
            print(f"{template} has neither the commit nor the tag v{made['version']} that the project was made from:")
            print("edited files are compared with the new ones alone, and conflict wherever they differ")
            return added
        project = bake(check_out(template, commit, folder), made["answers"], package, folder / "base")
        return files_of(project, kit_of(project, package)) | added

    recorded = made["files"] | {name: digest(content) for name, content in added.items()}
    plan = plan_update(root, recorded, base, files_of(theirs, new_kit) | newly_added)
    edited = {name: read(kit / name) for name in changed_files(kit) if (kit / name).is_file()}
    for name, content in edited.items():
        if not (new_kit / name).is_file() or content != read(new_kit / name):
            plan.new[f"{ASIDE}/{name}"] = content
    manifest = read_json(theirs / MANIFEST)
    manifest["template"] = manifest["template"] or made["template"]
    plan.new[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    return plan


def added_files(root: Path, package: str, kit: Path) -> Files:
    """Returns, as a kit's stub makes them, the pages of added environments that aren't the user's to write."""
    found = {}
    for name in names_of(package)[1:]:
        with suppress(UsageError):  # a folder that `add` can't have made
            for path, text in add.files_of(add.names_for(package, name), root, kit / "stub").items():
                if path.name in ("__init__.py", "registration.py"):
                    found[path.relative_to(root).as_posix()] = text.encode()
    return found


def write(root: Path, package: str, theirs: Path, plan: Plan) -> None:
    """Puts everything in its place, or nothing."""
    folder = prepare(root)
    shutil.copytree(kit_of(theirs, package), folder / "kit")
    for place, content in plan.new.items():
        if content is not None:
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if (root / place).exists():
                shutil.copymode(root / place, path)
    try:
        swap(root, kit_of(root, package), plan.new)
    except OSError as error:
        raise RunError(f"{error.filename} can't be changed ({error.strerror}); all is as it was") from None


def tell(root: Path, theirs: Path, plan: Plan) -> None:
    """Prints what is to be looked at."""
    aside = [place for place in plan.new if place.startswith(f"{ASIDE}/")]
    print(f"replaced or merged: kit/ and {len(plan.new) - len(aside) - 1} files, see `git status`")
    for place in aside:
        print(f"the kit isn't yours to edit; what you had written is now {place}")
    for place in plan.kept:
        blob = git(root, "hash-object", "-w", "--no-filters", str(theirs / place))
        how = f"git diff HEAD:./{place} {blob[:12]}" if blob else "the template no longer has it"
        print(f"left as you have it: {place}; the template's has changed: {how}")
    for place in plan.conflicts:
        print(f"CONFLICT: {place}; mend what stands between <<<<<<< and >>>>>>>")
    print("look through `git diff`, then: make test")


def kit_of(project: Path, package: str) -> Path:
    """Returns the folder of a project's kit."""
    return project / "src" / package / "kit"
