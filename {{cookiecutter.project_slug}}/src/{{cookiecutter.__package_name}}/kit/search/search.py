"""Searches with Optuna: asks for candidates, trains each on all seeds, and tells what came of it."""

import csv
import io
import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from ..errors import RunError, UsageError
from ..files import write_text
from ..policy.measure import compare, statistics
from .space import train_options, value
from .trainer import Trainer

SEED_STEP = 1_000  # between two runs: no copy of the environment has a seed of another run's


class Search:
    """A search in the trainer's folder, where an earlier start of it may have left its journal.

    Args:
        trainer: trains candidates.
        space: a distribution of Optuna's for each name.
        num_seeds: runs of each candidate.

    Raises:
        UsageError: the journal is of another search.
    """

    def __init__(self, trainer: Trainer, space: dict[str, Any], num_seeds: int) -> None:
        import optuna  # late: an extra
        from optuna.storages import JournalStorage, journal

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.trainer, self.space, self.num_seeds = trainer, space, num_seeds
        self.study = optuna.create_study(
            storage=JournalStorage(journal.JournalFileBackend(str(trainer.folder / "journal.log"))),
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=trainer.marks[-1] // 3),  # first they may find their way
            study_name="sweep",
            direction="maximize",
            load_if_exists=True,
        )
        what = {"space": {name: str(one) for name, one in space.items()}, "seeds": num_seeds, "marks": trainer.marks}
        what["env_id"] = trainer.task.env_id
        if self.study.user_attrs.get("what", what) != what:
            raise UsageError(
                f"{trainer.folder} holds another search, by its values, seeds, steps or environment; choose another --name"
            )
        self.study.set_user_attr("what", what)
        self._pool, self._saving = ThreadPoolExecutor(trainer.cpus.qsize()), threading.Lock()

    def run(self, trials: int, stop_return: float | None) -> dict[str, Any]:
        """Trains candidates until there are so many, or the interval of one lies above a return; returns the best's row.

        Raises:
            RunError: none could be trained.
            KeyboardInterrupt: after a signal.
        """
        latest = {trial.user_attrs.get("trial"): trial for trial in self.study.trials}
        for name, trial in latest.items():
            if name and trial.state.name == "RUNNING" and "row" not in trial.user_attrs:  # when the search was ended
                self.study.enqueue_trial(trial.params, user_attrs={"trial": name})
        enough = math.inf if stop_return is None else stop_return
        list(self._pool.map(lambda _: self._try_one(enough), range(trials - len(self.rows()))))
        if (best := self.rows()[0])["low"] is None:
            raise RunError(f"no candidate could be trained: {best['note']}")
        return best

    def compare(self, best: Mapping[str, Any]) -> dict[str, Any]:
        """Trains a candidate and the defaults on fresh seeds; returns the statistics of "policy" and "defaults"."""
        settings = {name: best[name] for name in self.space}
        fixed = {name: best[name] for name, one in self.space.items() if one.single()}  # holds for the defaults, too
        fresh = range(self.num_seeds, 2 * self.num_seeds)
        ours = self._pool.map(lambda number: self._train(best["trial"], settings, number), fresh)
        theirs = self._pool.map(lambda number: self._train("defaults", fixed, number), fresh)
        return compare({"policy": list(ours), "defaults": list(theirs)})

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each candidate that was tried, the best first; what has no interval comes last."""
        rows = [trial.user_attrs["row"] for trial in self.study.trials if "row" in trial.user_attrs]
        return sorted(rows, key=lambda row: (row["low"] is not None, row["low"]), reverse=True)

    def _try_one(self, enough: float) -> None:
        """Trains one more candidate on all seeds, unless the interval of one lies above `enough`."""
        from optuna import TrialPruned
        from optuna.trial import TrialState

        self.trainer.check_signal()
        if any(row["low"] is not None and row["low"] >= enough for row in self.rows()):
            return
        trial = self.study.ask(self.space)
        trial.set_user_attr("trial", name := trial.user_attrs.get("trial", f"trial-{trial.number + 1:02}"))
        settings = {key: value(drawn) for key, drawn in trial.params.items()}
        row: dict[str, Any] = {"trial": name, "low": None, "mean": None, "high": None, **settings, "note": None}
        state = TrialState.COMPLETE
        try:
            found = statistics([self._train(name, settings, number, trial) for number in range(self.num_seeds)])
            row |= {"low": found["interval"][0], "mean": found["mean"], "high": found["interval"][1]}
        except TrialPruned:
            state, row["note"] = TrialState.PRUNED, "stopped early: below the median"
        except RunError as error:
            state, row["note"] = TrialState.FAIL, str(error)
        trial.set_user_attr("row", row)
        self.study.tell(trial, row["low"], state)
        shown = {key: f"{one:.4g}" if isinstance(one, float) else one for key, one in row.items() if one is not None}
        print("  ".join(f"{key} {one}" for key, one in shown.items()).removeprefix("trial "), flush=True)
        with self._saving:
            self._save(self.rows())

    def _train(self, name: str, settings: Mapping[str, Any], number: int, trial: Any = None) -> float:
        """Trains on one seed and returns the mean return at the end; raises TrialPruned below the others' median."""
        from optuna import TrialPruned

        seed, last = number * SEED_STEP, self.trainer.marks[-1]
        with closing(self.trainer.returns(f"{name}-seed-{seed}", seed, train_options(settings))) as returns:
            for steps, mean in returns:
                if trial and steps < last:
                    trial.report(mean, number * last + steps)  # so equal steps of equal seeds are compared
                    if trial.should_prune():
                        raise TrialPruned
        return mean

    def _save(self, rows: list[dict[str, Any]]) -> None:
        """Writes the table, and the picture of what has an interval: black dots on grey lines."""
        import matplotlib  # late: takes half a second

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        table = io.StringIO()
        writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.trainer.folder / "trials.csv", table.getvalue())
        rows = [row for row in rows if row["low"] is not None]
        labels = ["  ".join([row["trial"], *(f"{name}={row[name]}" for name in self.space)]) for row in rows]
        low, mean, high = ([row[name] for row in rows] for name in ("low", "mean", "high"))
        figure, axes = plt.subplots(figsize=(9, 1.5 + 0.3 * len(rows)), layout="constrained")
        axes.hlines(labels, low, high, color="grey")
        axes.plot(mean, labels, "ko")
        axes.invert_yaxis()
        axes.set_xlabel("mean return at the end, with its 95 % interval")
        figure.savefig(self.trainer.folder / "trials.png", dpi=120)
        plt.close(figure)
