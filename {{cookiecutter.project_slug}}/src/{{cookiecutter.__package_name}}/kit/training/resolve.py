"""Finds the run that a command line speaks of: its folder, its storage, and what an earlier start of it has saved."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UsageError
from ..files import read_json
from ..policy.find import LAST
from .options import TrainOptions, read_saved, resumed
from .run_folder import CHECKPOINT_FILE, RunFolder


class Resolved(NamedTuple):
    """The folder of a run, its Storage or None, its options, and what config.json held before this start."""

    folder: RunFolder
    storage: Any
    options: TrainOptions
    saved: dict[str, Any]


def resolve_run(options: TrainOptions) -> Resolved:
    """Returns the run to start, or to go on with.

    Raises:
        UsageError: the run to resume is not there, the name of a new one is taken, or its limit is reached already.
    """
    folder = RunFolder.earlier(options.name) if options.resume else RunFolder.new(options.name)
    saved, storage = _saved(folder, options), None
    uri = options.storage or saved.get("options", {}).get("storage")
    if uri:
        from .storage import Storage  # late: few need pyarrow

        storage = Storage(uri, folder.path.name)
        if options.resume:
            storage.fetch(folder)
            saved = _saved(folder, options)
        elif storage.has_copy():
            raise UsageError(f"{storage.where} exists; go on with it by --resume, or choose another --name")
    if options.resume and not folder.path.is_dir():
        raise UsageError(f"there is no run {folder.path}; start it without --resume")
    last = folder.checkpoint(LAST) / CHECKPOINT_FILE
    steps = read_json(last)["env_steps"] if saved and last.exists() else 0
    if "max_env_steps" in options.given and options.max_env_steps <= steps:
        most = options.max_env_steps
        raise UsageError(f"{folder.path} has {steps:,} steps already; --max-env-steps {most:,} must be above")
    return Resolved(folder, storage, resumed(options, saved) if saved else options, saved)


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
    path = folder.path / "config.json"
    return read_saved(path) if options.resume and path.exists() else {}
