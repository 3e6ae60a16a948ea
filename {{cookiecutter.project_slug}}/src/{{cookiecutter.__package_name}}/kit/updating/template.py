"""The template: where it is, which of its versions a project was made from, and what it makes of the answers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import read_json
from .merge import Files, read

MANIFEST = ".template.json"


def git(folder: Path, *arguments: str) -> str | None:
    """Returns what a git command prints, None where it fails.

    Raises:
        UsageError: there is no git.
    """
    if shutil.which("git") is None:
        raise UsageError("update needs git")
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def read_manifest(root: Path, package: str) -> dict[str, Any]:
    """Returns what .template.json says of a project, the files of a package that was renamed since by its new name.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    if not (root / MANIFEST).is_file():
        raise UsageError(f"{MANIFEST} is missing, so the template isn't known: bake it anew, and copy your files over")
    manifest = read_json(root / MANIFEST)
    if missing := {"template", "version", "commit", "answers", "kit", "files"} - set(manifest):
        raise UsageError(f"{root / MANIFEST} lacks {', '.join(sorted(missing))}; take it from Git again")
    files = manifest["files"].items()
    return manifest | {"files": {re.sub(r"^src/[^/]+/", f"src/{package}/", name): digest for name, digest in files}}


def require_clean(root: Path) -> None:
    """Raises UsageError where Git couldn't show what an update has changed, or bring it back."""
    if (root / ".cruft.json").exists():
        raise UsageError("cruft keeps this project: go on with `cruft update`, or remove .cruft.json and commit that")
    if git(root, "ls-files", "--error-unmatch", MANIFEST) is None:
        raise UsageError("the project isn't in Git, the way back: git init && git add -A && git commit -m 'As baked'")
    if changes := git(root, "status", "--porcelain", "--", "."):
        raise UsageError(
            f"not all is committed ({changes.splitlines()[0].strip()}): git commit, or git stash -u, first"
        )


def fetch(source: str, folder: Path) -> Path:
    """Returns the folder of the template: the source, if it is that, else a clone in `folder`.

    Raises:
        UsageError: the source is no template, or can't be cloned.
    """
    path = Path(source)
    if not (path / "cookiecutter.json").is_file():
        path, url = folder / "template", re.sub(r"^gh:(.+?)(\.git)?/?$", r"https://github.com/\1.git", source)
        run(["git", "clone", "--quiet", "--", url, str(path)], f"{source} can't be cloned")
    if not (path / "cookiecutter.json").is_file():
        raise UsageError(f"{source} is no template: it has no cookiecutter.json")
    return path.resolve()


def find_base(template: Path, source: str, made: Mapping[str, Any]) -> str | None:
    """Returns the commit that a project was made from, known by its name or by the tag of its version.

    None if the template's folder is no clone, or if the project doesn't know its commit and there is no such tag.

    Raises:
        UsageError: the template is older, or doesn't have that commit.
    """
    if not (template / ".git").exists():  # Git would look in the folders above
        return None
    commit, tag = made["commit"], f"v{made['version']}"
    known = (git(template, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}") for name in (commit, tag) if name)
    base = next(filter(None, known), None)
    if base is None and commit is not None:
        raise UsageError(f"{source} has neither commit {commit} nor tag {tag}, of which this project is made; pull it")
    is_ahead = base is not None and git(template, "merge-base", "--is-ancestor", "HEAD", base) is not None
    if is_ahead and git(template, "rev-parse", "HEAD") != base:
        raise UsageError(f"{source} is older than what this project is made of; pull it, or name another one")
    return base


def files_then(template: Path, commit: str | None, answers: Mapping[str, str], package: str, folder: Path) -> Files:
    """Returns the files of a project as the template made them at a commit, see `bake`; none if that isn't known."""
    if commit is None:
        print(
            "the template has no tag of the version that this project is made of: edits are compared with the new files"
        )
        return {}
    archive, then = folder / "then.zip", folder / "then"
    run(["git", "-C", str(template), "archive", "--output", str(archive), commit], f"{commit} can't be read")
    shutil.unpack_archive(archive, then)
    return files_of(bake(then, answers, package, folder / "base"), package)


def bake(template: Path, answers: Mapping[str, str], package: str, folder: Path) -> Path:
    """Makes a project of a template and returns its folder.

    Args:
        template: its folder.
        answers: those that it still asks for count.
        package: the name of the project's package, which may have been renamed.
        folder: a new one, to make the project in.

    Raises:
        UsageError: cookiecutter is missing, or the template doesn't take the answers.
    """
    folder.mkdir()
    settings = folder / "settings.json"  # instead of the user's own
    places = {"replay_dir": str(folder / "replay"), "cookiecutters_dir": str(folder / "clones")}
    settings.write_text(json.dumps(places), encoding="utf-8")
    pairs = [f"{name}={as_text(str(value))}" for name, value in {**answers, "__package_name": package}.items()]
    options = ["--no-input", "--config-file", str(settings), "--output-dir", str(folder / "project")]
    # from the template's folder: `python -m` finds the extensions of the folder that it is called in first
    run([*renderer(), ".", *options, *pairs], "the template can't be baked with this project's answers", template)
    (project,) = (folder / "project").iterdir()
    return project


def renderer() -> list[str]:
    """Returns the command that bakes a template: one that is installed, else one that fetches it."""
    if find_spec("cookiecutter") is not None:
        return [sys.executable, "-m", "cookiecutter"]
    for command in (["cookiecutter"], ["uvx", "cookiecutter"], ["pipx", "run", "cookiecutter"]):
        if shutil.which(command[0]):
            return command
    raise UsageError("update needs cookiecutter: pip install cookiecutter")


def as_text(answer: str) -> str:
    """Returns an answer so that Jinja, which renders it, leaves it as it is."""
    return "{{ " + json.dumps(answer, ensure_ascii=False) + " }}" if "{" in answer else answer


def run(command: list[str], failure: str, folder: Path | None = None) -> None:
    """Runs a command, in a folder; where it fails, raises UsageError with the last line that it says."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise UsageError(f"{failure}: {lines[-1] if lines else f'exit code {done.returncode}'}")


def files_of(project: Path, package: str) -> Files:
    """Returns the files of a project that was baked, but for the kit's and .template.json."""
    kit = project / "src" / package / "kit"
    paths = [path for path in project.rglob("*") if path.is_file() and kit not in path.parents]
    return {name: read(path) for path in paths if (name := path.relative_to(project).as_posix()) != MANIFEST}
