"""One start of a training run, step by step; `train.py` of the project puts the steps together."""

import math
import os
import secrets
import time
from typing import Any

from ..cli import RunError, UsageError
from ..commands.check import show
from ..contract import run_checks
from ..files import read_json
from ..guard import spool, watchdog
from ..guard.failure import EnvironmentFailure, write_failure
from ..task import Task
from ..vectorization.choose import VECTOR_MODE, fit
from ..vectorization.settings import KEYS, Vectorization, available_cpus, find_root, read_settings
from .cluster import cluster_cpus, start_ray
from .interrupt import Interrupt
from .options import TrainOptions, read_saved, resumed
from .run_folder import CHECKPOINT_FILE, LAST, RunFolder

STARTED = time.perf_counter()


class Run:
    """One start of a training run; a context manager that ends it in order, whatever ends it.

    Attributes:
        exit_code: 0; 128 + the number of the signal that has ended the run.

    Raises:
        UsageError: the run to resume is not there, the name of a new one is taken, or the limits are reached already.
    """

    def __init__(self, task: Task, options: TrainOptions) -> None:
        self.task, self.options = task, options
        self.folder = RunFolder.earlier(options.name) if options.resume else RunFolder.new(options.name)
        self.saved: dict[str, Any] = {}
        self._read_saved()
        self.storage = self._open_storage()
        self.vectorization: Vectorization
        self._interrupt = Interrupt()

    @property
    def exit_code(self) -> int:
        """What the command ends with, where no error does."""
        return self._interrupt.exit_code

    def __enter__(self) -> "Run":
        self._interrupt.__enter__()
        os.environ[watchdog.SECONDS] = str(math.inf if self.options.debug else self.options.hang_seconds)
        os.environ[spool.RUN] = secrets.token_hex(8)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        spool.clean()
        self._interrupt.__exit__()
        if isinstance(error, KeyboardInterrupt) and self._interrupt.reason:
            print(self._interrupt.reason)
            return True
        if isinstance(error, EnvironmentFailure) and not self.options.debug:
            self.folder.make()
            raise RunError(write_failure(self.folder.path, error.facts, self.task.package)) from None
        if isinstance(error, OSError):
            raise RunError(f"{self.folder.path} can't be written: {error}; the checkpoints in it are whole") from None
        return False

    def preflight(self) -> None:
        """Runs the checks of the environment's contract that fit into a second.

        Raises:
            RunError: the environment is not filled in yet, or can't be trained.
            UsageError: the environment refuses its config.
        """
        self.task.check_config(self.options.config)
        report = run_checks(self.task.target, dict(self.options.config), quick=True)
        if report.todo:
            raise RunError(report.todo)
        show(report.failures)
        if not report.ok:
            raise RunError("the environment breaks its contract, see above; the command `check` looks at all of it")

    def choose_vectorization(self) -> None:
        """Chooses processes, copies and mode, and says why; with --resume, those of the run.

        Raises:
            UsageError: what was asked for can't be.
            EnvironmentFailure: the environment fails while it is measured.
        """
        cpus = available_cpus()
        if self.options.address:
            start_ray(self.options.address, self.task)
            cpus = cluster_cpus()
        root = find_root(self.task.package)
        settings = read_settings(root, {key: getattr(self.options, key) for key in KEYS})
        runners = settings["num_env_runners"]
        if "num_env_runners" not in self.options.given and isinstance(runners, int) and self.saved and runners > cpus:
            settings["num_env_runners"] = "auto"  # the run was started on more CPUs
        if self.options.debug:
            settings |= {"num_env_runners": 0, "gym_env_vectorize_mode": VECTOR_MODE if self.task.is_vector else "sync"}
        self.vectorization = fit(settings, self._make, cpus, self.task.is_vector, root)
        print(self.vectorization.reason, flush=True)

    def start_ray(self) -> None:
        """Starts Ray on this machine, unless the run has joined a cluster."""
        if not self.options.address:
            start_ray(None, self.task)

    def learn(self) -> None:
        """Trains, and writes the curve and the summary, whatever ends the run.

        Raises:
            EnvironmentFailure: the environment is at fault.
            RunError: training can't go on, or a last file can't be written.
            OSError: something can't be written.
        """
        from .session import learn  # late: RLlib takes two seconds

        learn(self, self._interrupt, STARTED)

    def _make(self, extra: dict[str, Any]) -> Any:
        return self.task.make_guarded({**self.options.config, **extra})

    def _read_saved(self) -> None:
        path = self.folder.path / "config.json"
        if not self.options.resume or not path.exists():
            return
        self.saved = read_saved(path)
        self.options = resumed(self.options, self.saved)
        last = self.folder.checkpoint(LAST) / CHECKPOINT_FILE
        steps = read_json(last)["env_steps"] if last.exists() else 0
        if "max_env_steps" in self.options.given and self.options.max_env_steps <= steps:
            most = self.options.max_env_steps
            raise UsageError(f"{self.folder.path} has {steps:,} steps already; --max-env-steps {most:,} must be above")

    def _open_storage(self) -> Any:
        storage = None
        if self.options.storage:
            from .storage import Storage  # late: few need pyarrow

            storage = Storage(self.options.storage, self.folder.path.name)
            if self.options.resume:
                storage.fetch(self.folder)
                self._read_saved()
            elif storage.has_copy():
                raise UsageError(f"{storage.where} exists; go on with it by --resume, or choose another --name")
        if self.options.resume and not self.folder.path.is_dir():
            raise UsageError(f"there is no run {self.folder.path}; start it without --resume")
        return storage
