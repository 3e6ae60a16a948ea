"""How many copies of the environment are stepped at once: reads and writes `vectorization.toml`."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ..errors import UsageError
from ..files import write_text

FILE = Path("vectorization.toml")
MODES = ("sync", "async", "vector_entry_point")
LOWEST = {"num_env_runners": 0, "num_envs_per_env_runner": 1}
AUTO = "auto"
KEYS = (*LOWEST, "gym_env_vectorize_mode")
Settings = dict[str, int | str]  # the three keys of the file; each value may be "auto"


@dataclass(frozen=True)
class Vectorization:
    """Copies of the environment, processes, and the way the copies of one process are stepped."""

    num_env_runners: int
    num_envs_per_env_runner: int
    gym_env_vectorize_mode: str
    reason: str = field(default="", compare=False)  # one line for the user: what was chosen, and why

    @property
    def processes(self) -> int:
        """The processes that sample: the training process where there are no env runners."""
        return max(1, self.num_env_runners)

    @property
    def copies(self) -> int:
        """The copies of the environment in all processes together."""
        return self.processes * self.num_envs_per_env_runner


def find_root(home: str) -> Path:
    """Returns where vectorization.toml is, or would be: two above a project's package, else the working directory.

    Args:
        home: the task's; it has been imported. A package in the project's has its own file, in its folder.
    """
    here, folder = Path.cwd(), Path(sys.modules[home].__file__ or "").resolve().parent
    root = next((above for above in folder.parents[:2] if (above / FILE).is_file()), here)
    root = folder if "." in home else root
    return root.relative_to(here) if root.is_relative_to(here) else root


def read_settings(root: Path, overrides: Mapping[str, int | str | None] | None = None) -> Settings:
    """Reads the file of a project; without one, all is "auto".

    Args:
        root: as of `find_root`.
        overrides: from the command line, to go before the file; None is no override.

    Raises:
        UsageError: a line that names file, key, value and what is allowed.
    """
    settings: Settings = dict.fromkeys(KEYS, AUTO)
    path = root / FILE
    if path.exists():
        try:
            values = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not valid TOML: {error}") from None
        for key, value in values.items():
            settings[key] = _checked(str(path), key, value)
    for key, override in (overrides or {}).items():
        if override is not None:
            settings[key] = _checked(flag(key), key, override)
    return settings


def write_settings(settings: Mapping[str, Any], root: Path) -> None:
    """Writes the values of the three KEYS into the file of a project, in one step; its comments stay."""
    path = root / FILE
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    for key in KEYS:
        document[key] = settings[key]
    write_text(path, tomlkit.dumps(document))


def flag(key: str) -> str:
    """Returns the command-line option of a key of the file, e.g. --vectorize-mode."""
    return "--" + key.removeprefix("gym_env_").replace("_", "-")


def _checked(where: str, key: str, value: Any) -> int | str:
    """Returns the value, or raises the UsageError that says what is allowed."""
    if key not in KEYS:
        raise UsageError(f"{where}: unknown key {key!r}; known are {', '.join(KEYS)}")
    words = [AUTO] if key in LOWEST else [*MODES, AUTO]
    allowed = ", ".join(f'"{word}"' for word in words)
    if key in LOWEST:
        allowed = f"a whole number of at least {LOWEST[key]}, or {allowed}"
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (value >= LOWEST.get(key, float("inf")) if is_number else value in words):
        raise UsageError(f"{where}: {key} = {value!r} is not allowed; write {allowed}")
    return value


def available_cpus() -> int:
    """The CPUs that this process may use (an affinity mask or a container can allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
