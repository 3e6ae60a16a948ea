"""The one line of a training run that moves: how far it is, how good, and how long it may still take."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

QUIET_SECONDS = 10.0  # between two lines where the terminal can't rewrite one, such as a log file


class Progress:
    """Shows a line that is rewritten in place on a terminal, and a new line every few seconds elsewhere.

    Args:
        rewrite: False writes new lines on a terminal too.
    """

    def __init__(self, rewrite: bool) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, auto_refresh=False) if rewrite and self.console.is_terminal else None
        self._last_line = -QUIET_SECONDS
        self._said: set[str] = set()

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str, once: str | None = None) -> bool:
        """Prints something above the line that moves, unless it is said `once` and was; returns whether it is printed."""
        if once in self._said:
            return False
        if once is not None:
            self._said.add(once)
        self.console.print(line, markup=False)
        return True

    def waiting_for(self, what: str) -> None:
        """Says what takes a while now."""
        if self._live:
            self._live.update(Text(what), refresh=True)
        else:
            self.say(what)

    def show(self, row: Mapping[str, Any], seconds_left: float, policies: Sequence[str] = ()) -> None:
        """Shows a row of progress.csv, with the returns of policies, and the time that is left at most."""
        if self._live or time.monotonic() - self._last_line >= QUIET_SECONDS:
            self._last_line = time.monotonic()
            self.waiting_for(progress_line(row, seconds_left, policies))


def progress_line(row: Mapping[str, Any], seconds_left: float, policies: Sequence[str] = ()) -> str:
    """Formats one iteration, e.g. `iteration 7 | 14,336 steps | 5,200/s | return 0.1 (-2 to 0.5) | best 0.1 | ...`."""
    of_policies = ", ".join(
        f"{name} {row[f'return_{name}']:.4g}" for name in policies if row[f"return_{name}"] is not None
    )
    mean, low, high = (row[f"episode_return_{name}"] for name in ("mean", "min", "max"))
    returns = "no episode has ended yet" if mean is None else f"return {mean:.4g} ({low:.4g} to {high:.4g})"
    returns += f", {of_policies}" if of_policies else ""
    best = "" if row["best_return"] is None else f" | best {row['best_return']:.4g}"
    minutes, seconds = divmod(round(seconds_left), 60)
    return (
        f"iteration {row['iteration']} | {row['env_steps']:,} steps | {row['steps_per_second']:,.0f}/s | "
        f"{returns}{best} | at most {minutes}:{seconds:02d} left"
    )
