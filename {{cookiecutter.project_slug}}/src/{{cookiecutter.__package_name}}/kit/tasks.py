"""The tasks of a project: its first one, and one in each folder of its package that has a registration.py."""

import importlib
import sys
from pathlib import Path

from .cli import did_you_mean
from .errors import RunError, UsageError, one_line
from .task import Task


def names_of(package: str) -> list[str]:
    """Returns what --env may say, the package's own name first; none of the folders is imported."""
    folder = Path(sys.modules[package].__file__ or "").parent
    modules = [package, *sorted(path.parent.name for path in folder.glob("*/registration.py"))]
    return [module.replace("_", "-") for module in modules]


def root_of(package: str) -> Path:
    """Returns the folder of a project.

    Raises:
        UsageError: the package was installed without it.
    """
    folder = Path(sys.modules[package].__file__ or "").resolve().parent
    if folder.parent.name != "src" or not (folder.parents[1] / "tests").is_dir():
        raise UsageError(f"{package} is installed in {folder.parent}; work in the project's folder, after `make setup`")
    return folder.parents[1]


def task_named(package: str, name: str) -> Task:
    """Imports a task of a project.

    Args:
        package: of the project.
        name: one of `names_of`, underscores are as good as hyphens.

    Raises:
        UsageError: there is none of that name.
        RunError: importing it fails.
    """
    names, wanted = names_of(package), name.replace("_", "-")
    if wanted not in names:
        raise UsageError(f"there is no environment {name!r}; {did_you_mean(wanted, names)}")
    home = package if wanted == names[0] else f"{package}.{wanted.replace('-', '_')}"
    try:
        found: Task = importlib.import_module(f"{home}.registration").TASK
    except Exception as error:
        raise RunError(one_line(error)) from None
    return found
