"""The settings of `benchmark`: which are tried, how often, and what they were measured at."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from ..guard.failure import EnvironmentFailure
from ..task import Task
from ..training.cluster import start_ray
from ..training.interrupt import Interrupt
from ..training.run_folder import versions
from .choose import candidates, choose, environment_seconds, reason
from .measure import measure
from .settings import AUTO, KEYS, Vectorization, available_cpus

FINALISTS = 3  # the fastest are measured again, and what "auto" chooses with them: a first look is noisy
FINAL_ROUNDS = 2
MOST_SECONDS = 10  # a setting whose copies take so many times the seconds for a single step is left out
Row = dict[str, Any]  # the three keys of vectorization.toml, and what was measured


class Grid:
    """All settings that are worth a try on this machine, and what they were measured at.

    Args:
        task: whose environment is measured.
        seconds: for a setting.
    """

    def __init__(self, task: Task, seconds: float) -> None:
        self._task, self._seconds = task, seconds
        self._start = time.perf_counter()
        self._cpus = available_cpus()
        profile = measure(task.make_guarded, task.is_vector)
        settings = candidates(dict.fromkeys(KEYS, AUTO), self._cpus, task.is_vector)
        self.auto = choose(settings, profile, self._cpus)
        self.auto = replace(self.auto, reason=reason(self.auto, profile, self._cpus))

        def seconds_of_all(one: Vectorization) -> float:
            return one.copies * environment_seconds(one, profile, self._cpus)

        limit = max(MOST_SECONDS * seconds, seconds_of_all(self.auto))
        self._settings = [one for one in settings if seconds_of_all(one) <= limit]
        self.measured: dict[Vectorization, list[dict[str, float]]] = {}

    def run(self) -> int:
        """Measures each setting once, then the fastest of them again, in turns.

        Returns:
            0; as an exit code, what has interrupted it.

        Raises:
            EnvironmentFailure: the environment is at fault.
        """
        interrupt = Interrupt()
        try:
            with ExitStack() as stack:
                stack.enter_context(interrupt)
                start_ray(None, self._task)
                interrupt.listen()
                from .pace import Pace  # late: RLlib takes two seconds that --help shouldn't

                pace = stack.enter_context(Pace(self._task))
                bar = stack.enter_context(self._bar())
                interrupt.is_patient = True  # what is being measured comes to its end
                for one in bar(self._order()):
                    if interrupt.reason:
                        break
                    speeds = pace.measure(one, self._seconds)
                    self.measured.setdefault(one, []).append(speeds)
        except KeyboardInterrupt as error:
            if interrupt.failure:
                raise EnvironmentFailure(interrupt.failure) from error
        except Exception as error:
            from ..guard import mailbox

            if failure := interrupt.failure or mailbox.read():
                raise EnvironmentFailure(failure) from error
            raise
        return interrupt.exit_code

    def _order(self) -> Iterator[Vectorization]:
        """Yields each setting, then the fastest again."""
        yield from self._settings
        finalists = {replace(self.auto, reason=""), *self._ranked()[:FINALISTS]}
        for turn in range(FINAL_ROUNDS):
            # The last of a turn is the first of the next, so that its processes stay.
            yield from sorted(finalists, key=lambda one: one.num_env_runners, reverse=turn % 2 == 0)

    @contextmanager
    def _bar(self) -> Iterator[Callable[[Iterator[Vectorization]], Iterable[Vectorization]]]:
        """Shows on a terminal how far the iteration over something is."""
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        total = len(self._settings) + FINAL_ROUNDS * (FINALISTS + 1)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            yield lambda steps: progress.track(steps, total=total, description="measuring")

    def _speed(self, one: Vectorization) -> float:
        return median(measured["steps_per_second"] for measured in self.measured[one])

    def _ranked(self) -> list[Vectorization]:
        return sorted(self.measured, key=self._speed, reverse=True)

    @property
    def best(self) -> Vectorization:
        """The fastest of those that were measured most often."""
        most = max(len(times) for times in self.measured.values())
        return next(one for one in self._ranked() if len(self.measured[one]) == most)

    def report(self) -> dict[str, Any]:
        """Returns what was measured, the fastest first, as JSON values."""
        rows = []
        for one in self._ranked():
            speeds = {key: round(median(m[key] for m in self.measured[one]), 1) for key in self.measured[one][0]}
            rows.append({key: getattr(one, key) for key in KEYS} | speeds)
        best, auto = row_of(self.best, rows), row_of(self.auto, rows)
        share = None if auto is None or best is None else auto["steps_per_second"] / best["steps_per_second"]
        return {
            "cpus": self._cpus,
            "seconds": round(time.perf_counter() - self._start, 1),
            "best": best,
            "auto": auto,
            "auto_reason": self.auto.reason,
            "auto_of_best": None if share is None else round(share, 3),
            "settings": rows,
            "versions": versions(self._task.package),
        }


def row_of(one: Vectorization, rows: Sequence[Row]) -> Row | None:
    """Returns the row of a setting, if it was measured."""
    return next((row for row in rows if all(row[key] == getattr(one, key) for key in KEYS)), None)
