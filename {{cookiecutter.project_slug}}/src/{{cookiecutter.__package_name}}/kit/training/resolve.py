"""Finds the run that a command line speaks of: its folder, its storage, and what an earlier start of it has saved."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import read_json
from ..policy.find import LAST, RUNS, env_of
from ..task import Task
from .options import TrainOptions
from .run_folder import RunFolder

if TYPE_CHECKING:
    from .storage import Storage


def resolve_run(task: Task, options: TrainOptions) -> tuple[RunFolder, "Storage | None", TrainOptions, dict[str, Any]]:
    """Returns the run to start or to go on with: its folder, storage and options, and its config.json until now.

    Raises:
        UsageError: the run to resume is not there, the name is taken, or its limit is reached already.
    """
    if options.name and (other := env_of(RUNS / options.name)) not in (None, task.env_id):
        raise UsageError(
            f"{RUNS / options.name} is a run of {other}, not of {task.env_id}: give its --env, or another --name"
        )
    folder = RunFolder.earlier(options.name, task.env_id) if options.resume else RunFolder.new(options.name)
    saved, storage = _saved(folder, options), None
    uri = options.storage or saved.get("options", {}).get("storage")
    if uri:
        from .storage import Storage  # late: few need pyarrow

        storage = Storage(uri, folder.path.name)
        if options.resume:
            storage.fetch(folder)
            saved = _saved(folder, options)
        elif storage.whole:
            raise UsageError(f"{storage.where} exists; go on with it by --resume, or choose another --name")
    if options.resume and not folder.path.is_dir():
        raise UsageError(f"there is no run {folder.path}; start it without --resume")
    if saved:
        steps, most = folder.facts(LAST).get("env_steps", 0), options.max_env_steps
        if "max_env_steps" in options.given and most <= steps:
            raise UsageError(f"{folder.path} has {steps:,} steps already; --max-env-steps {most:,} must be above")
        options = options.over(saved)
    return folder, storage, options, saved


def say_what_is_new(folder: RunFolder, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Says which of PPO's numbers have changed since the run was started.

    Raises:
        UsageError: the networks have; the weights of the checkpoint don't fit them.
    """
    for name in (name for name in now if name in then and then[name] != now[name]):
        if name in ("hidden_units", "image_features"):
            raise UsageError(
                f"{folder.path} was trained with {name} = {then[name]}, now it is {now[name]}: the weights don't fit. Go "
                f"on with --set {name}={str(then[name]).replace(' ', '')}, or start a new run with another --name"
            )
        print(f"{name} is {now[name]} now, the run was started with {then[name]}")


def _saved(folder: RunFolder, options: TrainOptions) -> dict[str, Any]:
    """Reads config.json of the run to resume, if it is there; raises UsageError where it can't be used."""
    path = folder.path / "config.json"
    if not options.resume or not path.exists():
        return {}
    saved = read_json(path)
    if not saved.keys() >= {"options", "vectorization", "ppo"}:
        raise UsageError(f"{path} was written by an older version; start a new run with another --name")
    return saved
