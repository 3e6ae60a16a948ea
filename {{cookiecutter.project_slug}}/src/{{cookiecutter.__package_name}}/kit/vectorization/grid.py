"""The settings of `benchmark`: which are tried, how often, and how fast each of them trains."""

import time
from collections.abc import Iterator, Mapping
from itertools import product
from statistics import median
from typing import Any

from ..task import Task
from .choose import COPIES, COPIES_THAT_WAIT, MOST_PROCESSES, VECTOR_MODE, choose
from .measure import measure
from .settings import AUTO, KEYS, Vectorization

TOTALS = (COPIES // 4, COPIES // 2, COPIES, COPIES_THAT_WAIT)  # copies in all processes; the last for "async" only
FINALISTS = 3  # the fastest are measured again, and what "auto" chooses with them: a first look is noisy
FINAL_ROUNDS = 2
LONGEST_STEP = 10  # a setting whose copies take so many times its seconds for a single step is left out


class Grid:
    """All settings that are worth a try on this machine, and how fast they train.

    Args:
        task: whose environment is measured.
        env_config: of the environment.
        num_cpus: of the machine.
        seconds: for a setting, each time.

    Attributes:
        auto: what `train` chooses.
        measured: environment steps per second, sampling and learning together, of each time.

    Raises:
        EnvironmentFailure: the environment fails.
    """

    def __init__(self, task: Task, env_config: Mapping[str, Any], num_cpus: int, seconds: float) -> None:
        self._task, self._env_config, self._cpus, self._seconds = task, env_config, num_cpus, seconds
        self._profile = measure(lambda extra: task.make_guarded({**env_config, **extra}), task.is_vector)
        self.auto = choose(dict.fromkeys(KEYS, AUTO), self._profile, num_cpus, task.is_vector)
        self.measured: dict[Vectorization, list[float]] = {}
        self._algorithm: Any = None
        longest = max(LONGEST_STEP * seconds, self.auto.copies * self._step_seconds(self.auto))
        self._settings = [one for one in self._all() if one.copies * self._step_seconds(one) <= longest]

    def __len__(self) -> int:
        return len(self._settings) + FINAL_ROUNDS * (FINALISTS + 1)

    def __iter__(self) -> Iterator[Vectorization]:
        """Yields each setting, then the fastest again, in turns; `measure` is to be called in between."""
        yield from self._settings
        finalists = {self.auto, *self._ranked()[:FINALISTS]}
        for turn in range(FINAL_ROUNDS):
            # The last of a turn is the first of the next, so that its processes stay.
            yield from sorted(finalists, key=lambda one: one.num_env_runners, reverse=turn % 2 == 0)

    def measure(self, one: Vectorization) -> None:
        """Trains with one setting, in iterations of whole batches or, where steps are slow, of smaller ones."""
        self._build(one)
        before, after = self._train(), 0  # the first iteration loads code, and resets the copies
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < self._seconds:
            after = self._train()
        self.measured.setdefault(one, []).append((after - before) / elapsed)

    def close(self) -> None:
        """Ends the processes."""
        algorithm, self._algorithm = self._algorithm, None
        if algorithm is not None:
            algorithm.env_runner_group.reset([])  # ends those at once that are busy
            algorithm.stop()

    @property
    def best(self) -> Vectorization:
        """The fastest of those that were measured most often."""
        most = max(map(len, self.measured.values()))
        return next(one for one in self._ranked() if len(self.measured[one]) == most)

    def report(self) -> dict[str, Any]:
        """Returns what was measured, the fastest first, as JSON values."""
        speeds = {one: {"steps_per_second": round(median(self.measured[one]), 1)} for one in self._ranked()}
        rows = {one: {key: getattr(one, key) for key in KEYS} | speed for one, speed in speeds.items()}
        best, auto = rows[self.best], rows.get(self.auto)
        share = auto and round(auto["steps_per_second"] / best["steps_per_second"], 3)
        found = {"best": best, "auto": auto, "auto_reason": self.auto.reason, "auto_of_best": share}
        return {"cpus": self._cpus, **found, "settings": list(rows.values())}

    def _all(self) -> Iterator[Vectorization]:
        """Yields copies x processes x mode."""
        most = min(self._cpus, MOST_PROCESSES)
        runners = sorted({0, most, *(2**i for i in range(1, 7) if 2**i < most)} - {1})
        for number, mode in product(runners, [VECTOR_MODE] if self._task.is_vector else ["sync", "async"]):
            totals = TOTALS if mode == "async" else TOTALS[:-1]
            yield from (Vectorization(number, n, mode) for n in sorted({max(1, n // max(1, number)) for n in totals}))

    def _step_seconds(self, one: Vectorization) -> float:
        """Returns about how long it takes to step one copy, where all are stepped as this setting steps them."""
        at_once = one.copies if one.gym_env_vectorize_mode == "async" else one.processes
        return max(self._profile.seconds / at_once, self._profile.cpu_seconds / self._cpus)

    def _ranked(self) -> list[Vectorization]:
        return sorted(self.measured, key=lambda one: median(self.measured[one]), reverse=True)

    def _build(self, one: Vectorization) -> None:
        """Makes RLlib's algorithm for a setting; starts other processes only where their number differs."""
        from ..rllib.config import algorithm_config  # late: RLlib takes two seconds that --help shouldn't

        config = algorithm_config(self._task, one, seed=0, env_config=self._env_config)
        steps = max(one.copies, int(self._seconds / self._step_seconds(one)))
        batch = min(config.train_batch_size_per_learner, steps)
        config.training(train_batch_size_per_learner=batch, minibatch_size=min(batch, config.minibatch_size))

        def refit(runner: Any) -> None:
            runner.config = config.copy(copy_frozen=False)
            runner.make_env()

        if self._algorithm is not None and self._algorithm.config.num_env_runners == one.num_env_runners:
            self._algorithm.config = config
            self._algorithm.env_runner_group.foreach_env_runner(refit, local_env_runner=one.num_env_runners == 0)
        else:
            self.close()
            self._algorithm = config.build_algo()

    def _train(self) -> int:
        """Trains for an iteration; returns the steps since the algorithm was built."""
        return int(self._algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"])
