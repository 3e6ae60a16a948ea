"""Lays runs side by side: how far they came, and what differs in what they were started with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cli import Parser
from ..errors import UsageError
from ..files import read_json
from ..task import Task
from ..training.run_folder import RUNS

_RESULTS = ("env_steps", "seconds", "best_return", "last_return", "seconds_to_stop_return", "ended_by")
_SETTINGS = ("options", "env_config", "ppo", "vectorization", "versions")


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Prints a column for each run; returns the exit code.

    Raises:
        UsageError: there is no such run.
    """
    parser = Parser(prog=f"python -m {task.package} report", description="Lays runs side by side.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's name or folder")
    names = parser.parse_args(arguments).runs
    folders = [_folder(name) for name in names]
    configs = [read_json(folder / "config.json") for folder in folders]
    results = [read_json(path) if (path := folder / "summary.json").exists() else {} for folder in folders]
    rows = [["", *names]]
    rows += [[name, *(_shown(result.get(name)) for result in results)] for name in _RESULTS]
    rows += [[name, *map(_shown, values)] for name, values in differences(configs).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))
    return 0


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the settings that are not the same in all runs, as "ppo.lr", each with its value in every run."""
    settings = [
        {f"{part}.{name}": value for part in _SETTINGS for name, value in config.get(part, {}).items()}
        for config in configs
    ]
    names = dict.fromkeys(name for setting in settings for name in setting if name != "vectorization.reason")
    values = {name: [setting.get(name) for setting in settings] for name in names}
    return {name: row for name, row in values.items() if any(value != row[0] for value in row)}


def _folder(name: str) -> Path:
    for folder in (RUNS / name, Path(name)):
        if (folder / "config.json").is_file():
            return folder
    raise UsageError(f"there is no run {name}; known are: {', '.join(sorted(path.name for path in RUNS.glob('*')))}")


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
