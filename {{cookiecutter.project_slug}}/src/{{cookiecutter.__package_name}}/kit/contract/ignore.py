"""Which checks a task leaves out: `[tool.<its package>.check] ignore = {NAME = "reason"}` in its pyproject.toml."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from ..cli import did_you_mean
from ..errors import UsageError
from .judge import CHECKS, checks_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomlkit as tomllib


def ignored(home: str) -> dict[str, str]:
    """Returns the checks that a project's pyproject.toml leaves out, with the reasons; none for an installed wheel.

    Args:
        home: of the task.
    """
    spec = importlib.util.find_spec(home.partition(".")[0])
    folders = Path(spec.origin).resolve().parents if spec is not None and spec.origin else ()
    path = next((folder / "pyproject.toml" for folder in folders[1:3] if (folder / "pyproject.toml").is_file()), None)
    if path is None:
        return {}
    try:
        document: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for name in ("tool", *home.split("."), "check"):
            document = document.get(name, {})
        table = document.get("ignore", {})
        return {known(str(name)): str(reason) for name, reason in table.items()}
    except AttributeError:
        raise UsageError(f'{path}: [tool.{home}.check] must read ignore = {{NAME = "reason"}}') from None
    except (OSError, ValueError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from error


def known(name: str) -> str:
    """Returns the name of a check; raises UsageError with the likely one if there is no such check."""
    if name not in CHECKS and name not in checks_of(several=True):
        raise UsageError(f"there is no check {name!r}; {did_you_mean(name, CHECKS | checks_of(several=True))}")
    return name
