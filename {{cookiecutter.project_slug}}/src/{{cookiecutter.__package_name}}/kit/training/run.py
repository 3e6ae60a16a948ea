"""One start of a training run, step by step; `train.py` of the project puts the steps together."""

import math
import os
import time
from dataclasses import asdict, replace
from typing import Any

from ..contract import show
from ..errors import RunError
from ..files import write_json
from ..guard import calls, child_log, watchdog
from ..guard.failure import EnvironmentFailure, write_failure
from ..policy.find import LAST
from ..task import Task
from ..vectorization.choose import VECTOR_MODE, fit
from ..vectorization.settings import KEYS, Vectorization, available_cpus, find_root, read_settings, sync_only
from .cluster import beside_learners, cluster_cpus
from .interrupt import Interrupt
from .options import TrainOptions
from .resolve import resolve_run, say_what_is_new
from .run_folder import versions
from .start import start_ray
from .tracking import require_clients, tracking

STARTED = time.perf_counter()
ENVIRONMENT_FAILED = "the environment failed"  # why a run has ended


class Run:
    """One start of a training run; a context manager that ends it in order, whatever ends it.

    Attributes:
        exit_code: 0; 128 + the number of the signal that has ended the run.

    Raises:
        UsageError: as of `resolve_run`.
    """

    def __init__(self, task: Task, options: TrainOptions) -> None:
        self.task, self.exit_code = task, 0
        self.folder, self.storage, self.options, self.saved = resolve_run(task, options)
        require_clients(self.options.track)
        self.vectorization: Vectorization
        self._interrupt = Interrupt()
        self._interrupt.finish = lambda: print(self._interrupt.reason)

    def __enter__(self) -> "Run":
        self._interrupt.__enter__()
        os.environ[watchdog.SECONDS] = str(math.inf if self.options.debug else self.options.hang_seconds)
        os.environ[calls.STRICT] = "1" if self.options.strict else ""
        os.environ[child_log.RUN] = os.urandom(8).hex()
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # what an environment starts is measured as it will be trained
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, KeyboardInterrupt) and self._interrupt.reason:
            self._interrupt.end_process()  # Ray may be half started: its own end would take long, or crash
        child_log.clean()
        self._interrupt.__exit__()
        self.exit_code = self._interrupt.exit_code
        if isinstance(error, EnvironmentFailure) and not self.options.debug:
            self.folder.make()
            facts = {**error.facts, "env_id": self.task.env_id}
            raise RunError(write_failure(self.folder.path, facts, self.task.command("replay"))) from None
        if isinstance(error, OSError):
            raise RunError(f"{self.folder.path} can't be written: {error}; the checkpoints in it are whole") from None

    def preflight(self) -> None:
        """Runs the checks of the environment's contract that fit into a second.

        Raises:
            RunError: the environment is not filled in yet, or can't be trained; or the policies of its agents can't be.
            UsageError: the environment refuses its config.
        """
        print("checking the environment", flush=True)
        self.task.check_config(self.options.config)
        report = self.task.check(self.options.config, quick=True)
        if report.todo:
            raise RunError(report.todo)
        judged = [replace(one, severity="error" if one.blocks_training else "warning") for one in report.failures]
        show(judged, report.ignored)
        if report.blocking:
            raise RunError("the environment can't be trained, see above; the command `check` looks at all of it")
        if self.task.is_multi_agent:
            self.task.roles(self.options.config)

    def choose_vectorization(self) -> None:
        """Chooses processes, copies and mode, and says why; with --resume, those of the run.

        Raises:
            UsageError: what was asked for can't be.
            EnvironmentFailure: the environment fails while it is measured.
        """
        cpus = available_cpus()
        if self.options.address:
            self._interrupt.is_at_once = True
            start_ray(self.options.address, self.task)
            self._interrupt.is_at_once = False
            cpus = cluster_cpus()
        root = find_root(self.task.home)
        settings = read_settings(root, {key: getattr(self.options, key) for key in KEYS})
        runners = settings["num_env_runners"]
        if "num_env_runners" not in self.options.given and isinstance(runners, int) and self.saved and runners > cpus:
            settings["num_env_runners"] = "auto"  # the run was started on more CPUs
        settings = sync_only(settings) if self.task.is_multi_agent else settings
        if self.options.debug:
            settings |= {"num_env_runners": 0, "gym_env_vectorize_mode": VECTOR_MODE if self.task.is_vector else "sync"}

        def make(extra: Any) -> Any:
            return self.task.make_guarded({**self.options.config, **extra})

        self.vectorization = fit(settings, make, cpus, self.task.is_vector, root, self.task.only_one)
        print(self.vectorization.reason, flush=True)

    def start_ray(self) -> None:
        """Starts Ray on this machine, unless the run has joined a cluster."""
        self._interrupt.is_at_once = True
        if not self.options.address:
            print("starting Ray", flush=True)
            start_ray(None, self.task, idle_workers=self.vectorization.num_env_runners > 0)

    def learn(self) -> None:
        """Trains, and writes the curve and the summary, whatever ends the run.

        Raises:
            EnvironmentFailure: the environment is at fault.
            RunError, OSError: training can't go on, or something can't be written.
        """
        from .algorithm import RestartableAlgorithm  # late: RLlib takes two seconds
        from .loop import Loop
        from .subject import self_play_of
        from .summary import finish

        interrupt, (config, facts, status) = self._interrupt, self._begin()
        self_play = self_play_of(self.folder, facts, self._subject.roles)
        algorithm = RestartableAlgorithm(self.folder, self._configure, self.vectorization, self_play)
        loop = Loop(algorithm, self.folder, self.options, status, facts, self.storage)

        def end(reason: str) -> Exception | None:
            return finish(self.task, self.folder, config, self.options, loop.status, reason, STARTED)

        interrupt.finish = lambda: end(interrupt.reason or ENVIRONMENT_FAILED)
        reason = "an error"
        try:
            with tracking(self.options.track, self.task.package, self.folder, config) as loop.trackers:
                reason = loop.run(interrupt)
        except KeyboardInterrupt:
            reason = str(interrupt.reason)
        except EnvironmentFailure:
            reason = ENVIRONMENT_FAILED
            raise
        finally:
            with interrupt.ending():
                algorithm.leave_ray(close=self.task.only_one)  # its copy, before the evaluation makes one
                unwritten = end(reason)
                if self.storage and loop.status.iteration:
                    unwritten = self.storage.copy(self.folder, loop.status.iteration) or unwritten
            algorithm.stop()
        if unwritten:
            raise unwritten

    def _begin(self) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Writes config.json; returns it, what each checkpoint says of itself, and the status to go on from."""
        self._interrupt.is_at_once = False
        from ..rllib.config import numbers
        from .subject import subject_of

        self._subject = subject = subject_of(self.task, self.options.config)
        fitted = beside_learners(self.vectorization, self._configure(self.vectorization))
        if fitted is not self.vectorization:
            print(fitted.reason, flush=True)
        config: dict[str, Any] = {
            "env_id": self.task.env_id,
            "command": self.options.command(self.task.command("train"), {name: getattr(fitted, name) for name in KEYS}),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "options": self.options.kept(),
            "env_config": subject.env_config,
            "vectorization": asdict(fitted),
            "ppo": numbers(self._configure(self.vectorization)),
            "versions": versions(self.task.package),
            **subject.agents,
        }
        facts = {name: config[name] for name in ("env_id", "env_config", "versions")}
        facts |= {"run": self.folder.path.name, "spaces": subject.spaces, **subject.agents}
        self.folder.make()
        status = subject.status.of_last_checkpoint(self.folder, facts)
        if status.iteration:
            say_what_is_new(self.folder, self.saved["ppo"], config["ppo"])
            print(f"going on after iteration {status.iteration} of {self.folder.checkpoint(LAST)}", flush=True)
        else:
            print(*subject.summaries(config["ppo"]), sep="\n", flush=True)
        write_json(self.folder.path / "config.json", config)
        return config, facts, status

    def _configure(self, vectorization: Vectorization) -> Any:
        from ..rllib.config import algorithm_config

        options, policies = self.options, self._subject.policies
        return algorithm_config(self.task, vectorization, options.seed, options.config, options.set, policies)
