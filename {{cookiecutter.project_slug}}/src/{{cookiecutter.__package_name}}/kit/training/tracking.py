"""Sends a run to W&B or MLflow, through their own clients, which their own environment variables configure."""

import importlib.util
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import UsageError
from ..files import read_json, write_json
from .run_folder import RunFolder, settings_of

LAST_WAIT_S = 10.0  # at the end, for what is still to be sent
Remote = tuple[str, Callable[[dict[str, Any]], object], Callable[[bool], object]]  # its id; sends a row; ends it
# A server that is gone is given up within half a minute; by themselves the clients try for several.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "WANDB_INIT_TIMEOUT": "30"}


def require_clients(names: Sequence[str]) -> None:
    """Raises UsageError where a client is not installed."""
    for name in names:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, such as W&B's own, is no package
            raise UsageError(f'--track {name} needs a package that is not installed: pip install -e ".[{name}]"')


class Tracker(threading.Thread):
    """Sends rows in the background, so that a server that is slow or gone neither ends training nor makes it wait.

    `<client>.json` in the run's folder says which remote run it is and how far that is, for --resume to go on with it.

    Args:
        client: one of CLIENTS.
        project: what the remote run is filed under, where the environment doesn't say.
        folder: of the run.
        config: what its config.json holds.
    """

    def __init__(self, client: str, project: str, folder: RunFolder, config: Mapping[str, Any]) -> None:
        super().__init__(name=client, daemon=True)
        self._file = folder.path / f"{client}.json"
        self._sent: dict[str, Any] = {"id": None, "iteration": 0}
        if self._file.exists():
            self._sent = read_json(self._file)
        self._rows: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._is_open, self._is_good = threading.Event(), False
        self._open = lambda: CLIENTS[client](project, folder, self._sent["id"], settings_of(config))
        for row in folder.rows():
            if row["iteration"] > self._sent["iteration"]:
                self.log(row)
        self.start()
        self._is_open.wait()  # for what it asks or says

    def log(self, row: Mapping[str, Any]) -> None:
        """Sends a row of progress.csv, soon."""
        self._rows.put({name: value for name, value in row.items() if value is not None and value == value})

    def finish(self, is_good: bool) -> None:
        """Ends the remote run, or gives up where that takes long."""
        self._is_good = is_good
        self._rows.put(None)
        self.join(LAST_WAIT_S)
        if self.is_alive():
            self._warn(f"not all is sent after {LAST_WAIT_S:g} s")

    def run(self) -> None:
        """Opens the remote run, sends each row, and closes it; in a thread of its own."""
        try:
            os.environ.update(PATIENCE | os.environ)
            self._sent["id"], log, finish = self._open()
            write_json(self._file, self._sent)
            self._is_open.set()
            for row in iter(self._rows.get, None):
                log(row)
                self._sent["iteration"] = row["iteration"]
                write_json(self._file, self._sent)
            finish(self._is_good)
        except Exception as error:
            self._warn(f"{' '.join(str(error).split())[:300]}; --resume sends what is missing")
        finally:
            self._is_open.set()

    def _warn(self, what: str) -> None:
        print(f"WARNING: --track {self.name}: {what}; the run itself is whole", file=sys.stderr, flush=True)


@contextmanager
def tracking(
    clients: Sequence[str], project: str, folder: RunFolder, config: Mapping[str, Any]
) -> Iterator[list[Tracker]]:
    """Begins what a run is tracked with, and ends it however the run does; the arguments are `Tracker`'s."""
    trackers, is_good = [Tracker(client, project, folder, config) for client in dict.fromkeys(clients)], False
    try:
        yield trackers
        is_good = True
    finally:
        for tracker in trackers:
            tracker.finish(is_good)


def open_wandb(project: str, folder: RunFolder, id: str | None, settings: Mapping[str, Any]) -> Remote:
    """Begins a run of W&B, or goes on with one; offline it is kept in the run's folder, for `wandb sync`."""
    import wandb

    own = {"project": project, "name": folder.path.name, "dir": str(folder.path)}
    more: Any = {name: value for name, value in own.items() if f"WANDB_{name.upper()}" not in os.environ}
    more |= {"id": id, "resume": "allow"} if id else {}
    run = wandb.init(config=dict(settings), allow_val_change=True, **more)
    run.define_metric("*", step_metric="env_steps")  # W&B's own steps count calls
    return run.id, run.log, lambda is_good: run.finish(exit_code=0 if is_good else 1)


def open_mlflow(project: str, folder: RunFolder, id: str | None, settings: Mapping[str, Any]) -> Remote:
    """Begins a run of MLflow, or goes on with one; without MLFLOW_TRACKING_URI in a file here, for `mlflow ui`."""
    import mlflow

    if not id and not {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys():
        mlflow.set_experiment(project)
    run = mlflow.start_run(run_id=id, run_name=None if id else folder.path.name)
    known = run.data.params
    mlflow.log_params({name: value for name, value in settings.items() if name not in known})
    # a parameter can't change: what --resume has changed is a tag
    mlflow.set_tags({name: value for name, value in settings.items() if known.get(name, str(value)) != str(value)})
    return (
        run.info.run_id,
        lambda row: mlflow.log_metrics(row, step=int(row["env_steps"])),
        lambda is_good: mlflow.end_run("FINISHED" if is_good else "FAILED"),
    )


CLIENTS = {"mlflow": open_mlflow, "wandb": open_wandb}
