"""Lays runs side by side: how far they came, and what differs in what they were started with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cli import Parser
from ..files import read_json
from ..policy.find import RUNS, no_run
from ..task import Task
from ..training.page import RESULTS, read_if_there, shown, write_comparison, write_run
from ..training.run_folder import RunFolder, settings_of


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Prints a column for each run, writes a page for the browser, and returns the exit code.

    Raises:
        UsageError: there is no such run.
    """
    command = task.command("report")
    about = f"Writes report.html of a run anew; or lays runs side by side, and in {RUNS}/report.html over one another."
    parser = Parser(prog=command, description=about, epilog=f"example: {command} first second")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's name or folder")
    names = list(dict.fromkeys(parser.parse_args(arguments).runs))
    folders = {name: _folder(task, name) for name in names}
    configs = [read_json(folder.path / "config.json") for folder in folders.values()]
    results = [read_if_there(folder, "summary.json") for folder in folders.values()]
    rows = [["", *names]]
    rows += [[name, *(shown(result.get(name)) for result in results)] for name in RESULTS]
    rows += [[name, *map(shown, values)] for name, values in differences(configs).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))
    page = write_run(folders[names[0]]) if len(names) == 1 else write_comparison(RUNS / "report.html", folders, rows)
    print(f"for the browser: {page}")
    return 0


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the settings that are not the same in all runs, as "ppo.lr", each with its value in every run."""
    settings = [{"env_id": config["env_id"], **settings_of(config)} for config in configs]
    names = dict.fromkeys(name for setting in settings for name in setting if name != "vectorization.reason")
    values = {name: [setting.get(name) for setting in settings] for name in names}
    return {name: row for name, row in values.items() if any(value != row[0] for value in row)}


def _folder(task: Task, name: str) -> RunFolder:
    for path in (RUNS / name, Path(name)):
        if (path / "config.json").is_file():
            return RunFolder(path)
    raise no_run(name, task.env_id)
