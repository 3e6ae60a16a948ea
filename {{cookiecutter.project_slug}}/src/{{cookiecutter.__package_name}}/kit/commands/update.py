"""Brings the project to a newer version of its template: the kit whole, the rest merged with what you have edited."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from ..cli import Parser
from ..contract.manifest import changed_files
from ..errors import RunError, UsageError
from ..files import read_json
from ..task import Task
from ..tasks import names_of, root_of
from ..updating import template
from ..updating.merge import Files, Plan, digest, plan_update, read
from ..updating.swap import clean_up, prepare, swap
from . import add

ASIDE = "kit-edited"  # where files of the kit go that were edited by hand


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Updates, says what has become of which file, and returns the exit code: 1 if there are conflicts to mend.

    Raises:
        UsageError: the project or the template can't be used; nothing is changed.
        RunError: a file can't be written; nothing is changed.
    """
    package, command = task.package, f"python -m {task.package} update"
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} gh:<org>/cookiecutter-rllib-env")
    parser.add_argument("source", nargs="?", help="gh:<org>/<name>, a Git URL or a folder; default: as the last time")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if there is something newer")
    options = parser.parse_args(arguments)
    root = root_of(package)
    made = template.read_manifest(root, package)
    source = options.source or made["template"]
    if source is None:
        raise UsageError(f"say where the template is: {command} gh:<org>/cookiecutter-rllib-env, or its folder")
    if not options.check:
        clean_up(root, root / "src" / package / "kit")
        template.require_clean(root)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where = template.fetch(source, folder)
        commit = template.find_base(where, source, made)
        theirs = template.bake(where, made["answers"], package, folder / "theirs")
        newer = template.read_manifest(theirs, package)
        is_newer = any(made[part] != newer[part] for part in ("kit", "files"))
        print(f"{version_of(made)} -> {version_of(newer)}" if is_newer else f"up to date: {version_of(newer)}")
        if options.check or (not is_newer and made["commit"] == newer["commit"]):
            return int(is_newer)
        base = cache(partial(template.files_then, where, commit, made["answers"], package, folder))
        plan = plan_for(root, theirs, package, made, base)
        write(root, theirs, package, plan)
        tell(root, theirs, plan)
    return 1 if plan.conflicts else 0


def version_of(manifest: dict[str, Any]) -> str:
    """Returns how a version of the template is shown."""
    return manifest["version"] + (f" ({manifest['commit'][:9]})" if manifest["commit"] else "")


def plan_for(root: Path, theirs: Path, package: str, made: dict[str, Any], base: Callable[[], Files]) -> Plan:
    """Returns what becomes of each file, but for the kit, which is replaced.

    Args:
        root: the project's folder.
        theirs: the project as the template makes it now.
        package: the project's.
        made: what its .template.json says.
        base: returns its files as they were made.
    """
    kit, new_kit = (project / "src" / package / "kit" for project in (root, theirs))
    added, newly_added = (added_files(root, package, one / "stub") for one in (kit, new_kit))
    recorded = made["files"] | {name: digest(content) for name, content in added.items()}
    plan = plan_update(root, recorded, lambda: base() | added, template.files_of(theirs, package) | newly_added)
    for name in changed_files(kit):
        there, new = kit / name, new_kit / name
        if there.is_file() and not (new.is_file() and read(there) == read(new)):
            plan.new[f"{ASIDE}/{name}"] = read(there)
    manifest = read_json(theirs / template.MANIFEST)
    manifest["template"] = manifest["template"] or made["template"]
    plan.new[template.MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    return plan


def added_files(root: Path, package: str, stub: Path) -> Files:
    """Returns, as a stub makes them, the pages of added environments that aren't the user's to write."""
    found = {}
    for name in names_of(package)[1:]:
        with suppress(UsageError):  # a folder that `add` can't have made
            for path, text in add.files_of(add.names_for(package, name), root, stub).items():
                if path.name in ("__init__.py", "registration.py"):
                    found[path.relative_to(root).as_posix()] = text.encode()
    return found


def write(root: Path, theirs: Path, package: str, plan: Plan) -> None:
    """Puts everything in its place, or nothing."""
    kit = Path("src", package, "kit")
    try:
        new = prepare(root)
        shutil.copytree(theirs / kit, new / "kit")
        for place, content in plan.new.items():
            if content is not None:
                (new / place).parent.mkdir(parents=True, exist_ok=True)
                (new / place).write_bytes(content)
                if (root / place).exists():
                    shutil.copymode(root / place, new / place)
        swap(root, root / kit, plan.new)
    except OSError as error:
        raise RunError(f"{error}; all is as it was") from None


def tell(root: Path, theirs: Path, plan: Plan) -> None:
    """Prints what is to be looked at."""
    for place in [place for place in plan.new if place.startswith(f"{ASIDE}/")]:
        print(f"{place}: what you had written in kit/, which is replaced whole")
    for place in plan.kept:
        blob = template.git(root, "hash-object", "-w", "--no-filters", str(theirs / place))
        how = f"has changed: git diff HEAD:./{place} {blob[:12]}" if blob else "is gone"
        print(f"{place}: stays as you have it; the template's {how}")
    for place in plan.conflicts:
        print(f"{place}: CONFLICT, mend what stands between <<<<<<< and >>>>>>>")
    print("look through `git diff`, then: make test")
