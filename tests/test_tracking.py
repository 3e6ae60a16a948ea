"""Tracking: MLflow on a real server, W&B offline; what is gone or absent is said in a line."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BakedProject, clean_environment
from kit.errors import UsageError
from kit.training import tracking
from kit.training.options import TrainOptions
from kit.training.run_folder import RunFolder
from kit.training.tracking import CLIENTS, Tracker, require_clients
from wandb.proto import wandb_internal_pb2

CONFIG = {"options": {"seed": 3}, "ppo": {"lr": 3e-4, "hidden_units": [64, 64]}}
BLOCK_BYTES = 32_768
QUIET: Any = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'store.db'}", "--artifacts-destination", str(folder)]
    address = f"http://127.0.0.1:{port}"
    environment = clean_environment() | QUIET
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", *words]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.4)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def history_of(file: Path) -> list[dict[str, float]]:
    """Returns what an offline run of W&B has logged; its file has the format of LevelDB's logs, after 7 bytes."""
    record_type: Any = vars(wandb_internal_pb2)["Record"]  # made while it is imported
    data, at, record, found = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < 7:  # no room for another head
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        record, at = record + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            history = record_type.FromString(record).history
            items = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in history.item}
            found.append({name: value for name, value in items.items() if not name.startswith("_")})
            record = b""
    return [row for row in found if row]


def test_run_is_tracked_and_resumed_by_both_clients(corridor: BakedProject, server: str) -> None:
    from mlflow import MlflowClient

    environment: Any = QUIET | {
        "MLFLOW_TRACKING_URI": server,
        "MLFLOW_EXPERIMENT_NAME": "mine",
        "WANDB_MODE": "offline",
    }
    options = ("--num-env-runners", "0", "--stop-return", "9", "--name", "tracked")
    both = ("--track", "wandb", "--max-env-steps", "4000")
    corridor.run(*corridor.typed("train --track mlflow"), *options, *both, check=True, **environment)
    client, run = MlflowClient(server), corridor.path / "runs" / "tracked"
    ids = [json.loads((run / f"{name}.json").read_text())["id"] for name in CLIENTS]
    first = client.get_run(ids[0])
    assert first.info.status == "FINISHED" and first.info.run_name == "tracked"
    corridor.command("train", *options, "--resume", "--max-env-steps", "8000", check=True, **environment)

    assert [json.loads((run / f"{name}.json").read_text())["id"] for name in CLIENTS] == ids
    found = client.get_run(ids[0])
    assert client.get_experiment(found.info.experiment_id).name == "mine"
    assert len(client.search_runs([found.info.experiment_id])) == 1
    assert found.info.status == "FINISHED"
    assert found.data.params["env_config.length"] == "10" and float(found.data.params["ppo.lr"]) > 0
    assert found.data.params["options.max_env_steps"] == "4000"
    assert found.data.tags["options.max_env_steps"] == "8000"
    rows = list(RunFolder(run).rows())
    for name in ("episode_return_mean", "entropy", "steps_per_second"):
        sent = {metric.step: metric.value for metric in client.get_metric_history(ids[0], name)}
        assert sent == {int(row["env_steps"]): row[name] for row in rows if row[name] == row[name]}

    files = sorted(run.glob(f"wandb/offline-run-*-{ids[1]}/run-{ids[1]}.wandb"))
    assert len(files) == 2 == len(list(run.glob("wandb/offline-run-*")))
    logged = [row for file in files for row in history_of(file)]
    assert [row["env_steps"] for row in logged] == [row["env_steps"] for row in rows]
    assert [row["entropy"] for row in logged] == pytest.approx([row["entropy"] for row in rows])
    again = json.loads((run / "config.json").read_text())["command"]
    assert "--track mlflow --track wandb" in again


def test_server_that_is_gone_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # not listening
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        tracker = Tracker("mlflow", "project", RunFolder(tmp_path), CONFIG)
        tracker.log({"iteration": 1, "env_steps": 10})
        tracker.finish(is_good=True)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "WARNING" in line]
    assert line.startswith("WARNING: --track mlflow: API request to http://127.0.0.1:")
    assert line.endswith("; --resume sends what is missing; the run itself is whole")


class Remote:
    """A client of a server that keeps what it gets, and goes away when it has got `most` rows."""

    def __init__(self) -> None:
        self.ids: list[str | None] = []
        self.rows: list[dict[str, Any]] = []
        self.most, self.ended = 2, list[bool]()

    def open(self, project: str, folder: RunFolder, id: str | None, settings: Any) -> Any:
        self.ids.append(id)
        assert settings == {"options.seed": 3, "ppo.lr": 3e-4, "ppo.hidden_units": [64, 64]}
        return "remote-1", self.log, self.ended.append

    def log(self, row: dict[str, Any]) -> None:
        if len(self.rows) == self.most:
            raise ConnectionError("the server\nis gone")
        self.rows.append(row)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    remote = Remote()
    monkeypatch.setitem(tracking.CLIENTS, "mlflow", remote.open)
    return remote


def rows_of(folder: RunFolder) -> Callable[[int], dict[str, Any]]:
    """Returns a function that adds a row to progress.csv, and returns it."""

    def add(iteration: int) -> dict[str, Any]:
        row = {"iteration": iteration, "env_steps": 10 * iteration, "entropy": None if iteration == 1 else 0.5}
        folder.append_row(row)
        return row

    return add


def test_rows_that_a_server_has_missed_are_sent_by_resume(
    tmp_path: Path, remote: Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path)
    add = rows_of(folder)
    tracker = Tracker("mlflow", "project", folder, CONFIG)
    for iteration in (1, 2, 3, 4):
        tracker.log(add(iteration))
    tracker.finish(is_good=True)
    assert capsys.readouterr().err == (
        "WARNING: --track mlflow: the server is gone; --resume sends what is missing; the run itself is whole\n"
    )
    assert remote.ended == []
    remote.most = 100
    tracker = Tracker("mlflow", "project", folder, CONFIG)
    tracker.log(add(5))
    tracker.finish(is_good=False)
    assert remote.ids == [None, "remote-1"] and remote.ended == [False]
    assert [row["env_steps"] for row in remote.rows] == [10, 20, 30, 40, 50]
    assert "entropy" not in remote.rows[0] and remote.rows[1]["entropy"] == 0.5


def test_server_that_hangs_keeps_nobody_waiting(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "LAST_WAIT_S", 0.2)
    goes_on = threading.Event()
    monkeypatch.setattr(remote, "log", lambda row: goes_on.wait())
    tracker = Tracker("mlflow", "project", RunFolder(tmp_path), CONFIG)
    for iteration in range(100):
        tracker.log({"iteration": iteration, "env_steps": iteration})
    tracker.finish(is_good=True)
    goes_on.set()
    assert "--track mlflow: not all is sent after 0.2 s" in capsys.readouterr().err
    tracker.join()


def test_client_that_is_absent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_clients(["mlflow", "wandb"])
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "absent_client").mkdir()  # as W&B makes one called wandb
    for name in ("absent_client", "no_such_client"):
        with pytest.raises(UsageError, match=rf'--track {name} needs .*: pip install -e "\.\[{name}\]"$'):
            require_clients(["mlflow", name])


def test_absent_or_unknown_client_is_told_before_anything_starts(corridor: BakedProject) -> None:
    absent = (
        "import sys; sys.modules['wandb'] = None; sys.argv[1:] = ['train', '--name', 'none', '--track', 'wandb']; "
        f"from {corridor.package}.__main__ import main; main()"
    )
    for done, message in (
        (
            corridor.run("-c", absent),
            'ERROR: --track wandb needs a package that is not installed: pip install -e ".[wandb]"',
        ),
        (corridor.command("train", "--name", "none", "--track", "comet"), "--track: invalid choice: 'comet'"),
    ):
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert message in line and not done.stdout
    assert not (corridor.path / "runs" / "none").exists()


def test_line_that_does_it_again_tracks_again() -> None:
    assert TrainOptions(track=("wandb", "mlflow")).command("demo", {}).endswith("--track wandb --track mlflow")
