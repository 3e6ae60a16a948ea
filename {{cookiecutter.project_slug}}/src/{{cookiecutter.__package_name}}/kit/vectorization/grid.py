"""The settings of `benchmark`: which are tried, and how fast each of them trains."""

import time
from collections.abc import Iterator, Sequence
from itertools import product
from statistics import median
from typing import Any

from .choose import COPIES, COPIES_THAT_WAIT, MOST_PROCESSES, VECTOR_MODE, choose
from .measure import Profile
from .settings import AUTO, KEYS, Vectorization

TOTALS = (COPIES // 4, COPIES // 2, COPIES, COPIES_THAT_WAIT)  # copies in all processes; the last for "async" only
ROUNDS = 3  # a single look is noisy
LEARNING_SECONDS = 1e-4  # about, a step; with sampling
LONGEST_STEP = 10  # a setting whose copies take so many times its seconds for a single step is left out


class Grid:
    """All settings that are worth a try on this machine, and how fast they train.

    Args:
        profile: of the environment.
        is_vector: whether the environment steps all copies itself.
        num_cpus: of the machine.
        seconds: for a setting, in all rounds.
        modes: that the environment can be stepped in; None for all.

    Attributes:
        auto: what `train` chooses.
        order: the settings, ROUNDS times.
        measured: environment steps per second, sampling and learning together, in each round.
    """

    def __init__(
        self, profile: Profile, is_vector: bool, num_cpus: int, seconds: float, modes: Sequence[str] | None = None
    ) -> None:
        self._profile, self._cpus, self._seconds = profile, num_cpus, seconds / ROUNDS
        mode = modes[0] if modes else AUTO
        self.auto = choose({**dict.fromkeys(KEYS, AUTO), KEYS[-1]: mode}, profile, num_cpus, is_vector)
        self.measured: dict[Vectorization, list[float]] = {}
        self._algorithm: Any = None
        longest = max(LONGEST_STEP * seconds, self.auto.copies * self._step_seconds(self.auto))
        possible = [one for one in candidates(is_vector, num_cpus) if not modes or one.gym_env_vectorize_mode in modes]
        settings = [one for one in possible if one.copies * self._step_seconds(one) <= longest]
        # There and back, so that the processes of the last setting serve for the next.
        self.order = [one for turn in range(ROUNDS) for one in settings[:: -1 if turn % 2 else 1]]

    def train(self, one: Vectorization, config: Any) -> None:
        """Trains with one setting, in iterations of whole batches or, where steps are slow, of smaller ones.

        Args:
            one: the setting.
            config: RLlib's configuration for it.
        """
        steps = max(one.copies, int(self._seconds / (self._step_seconds(one) + LEARNING_SECONDS)))
        batch = min(config.train_batch_size_per_learner, steps)
        config.training(train_batch_size_per_learner=batch, minibatch_size=min(batch, config.minibatch_size))
        self._build(one, config)
        before, after = self._iterate(), 0  # the first iteration loads code, and resets the copies
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < self._seconds:
            after = self._iterate()
        self.measured.setdefault(one, []).append((after - before) / elapsed)

    def close(self) -> None:
        """Ends the processes."""
        algorithm, self._algorithm = self._algorithm, None
        if algorithm is not None:
            algorithm.env_runner_group.reset([])  # ends those at once that are busy
            algorithm.stop()

    def report(self) -> dict[str, Any]:
        """Returns what was measured, the fastest first, as JSON values."""
        speeds = {one: round(median(found), 1) for one, found in self.measured.items()}
        ranked = sorted(speeds, key=speeds.__getitem__, reverse=True)
        rows = {one: {key: getattr(one, key) for key in KEYS} | {"steps_per_second": speeds[one]} for one in ranked}
        share = round(speeds[self.auto] / speeds[ranked[0]], 3) if self.auto in speeds else None
        found = {"best": rows[ranked[0]], "auto": rows.get(self.auto), "auto_of_best": share}
        return {"cpus": self._cpus, "auto_reason": self.auto.reason, **found, "settings": list(rows.values())}

    def _step_seconds(self, one: Vectorization) -> float:
        """Returns about how long it takes to step one copy, where all are stepped as this setting steps them."""
        at_once = one.copies if one.gym_env_vectorize_mode == "async" else one.processes
        return max(self._profile.seconds / at_once, self._profile.cpu_seconds / self._cpus)

    def _build(self, one: Vectorization, config: Any) -> None:
        """Makes RLlib's algorithm for a setting; starts other processes only where their number differs."""

        def refit(runner: Any) -> None:
            runner.config = config.copy(copy_frozen=False)
            runner.make_env()

        if self._algorithm is not None and self._algorithm.config.num_env_runners == one.num_env_runners:
            self._algorithm.config = config
            self._algorithm.env_runner_group.foreach_env_runner(refit, local_env_runner=one.num_env_runners == 0)
        else:
            self.close()
            self._algorithm = config.build_algo()

    def _iterate(self) -> int:
        """Trains for an iteration; returns the steps since the algorithm was built."""
        return int(self._algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"])


def candidates(is_vector: bool, num_cpus: int) -> Iterator[Vectorization]:
    """Yields copies x processes x mode, by the number of processes."""
    most = min(num_cpus, MOST_PROCESSES)
    runners = sorted({0, most, *(2**i for i in range(1, 7) if 2**i < most)} - {1})
    for number, mode in product(runners, [VECTOR_MODE] if is_vector else ["sync", "async"]):
        totals = TOTALS if mode == "async" else TOTALS[:-1]
        yield from (Vectorization(number, n, mode) for n in sorted({max(1, n // max(1, number)) for n in totals}))
