"""The panel's results as a Markdown table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median, median_high
from typing import Any

BEHIND = 1.5  # times longer than a rival: told below the table
UNKNOWN = "?"
Result = dict[str, Any]


@dataclass(frozen=True)
class Ratio:
    """How many times longer a rival takes; `bound` is ">" where it was ended before it got there, "<" where we were."""

    value: float
    bound: str

    def __str__(self) -> str:
        return UNKNOWN if self.bound == UNKNOWN else f"{self.bound} {self.value:.2g}".strip()


def middle(runs: Sequence[Result], measure: str) -> tuple[float, bool]:
    """Returns the median of a measure, and whether it is only a lower bound."""
    values = [run[measure] for run in runs]
    return median(values), any(not run["solved"] and run[measure] <= median_high(values) for run in runs)


def ratio(ours: Sequence[Result], theirs: Sequence[Result], measure: str) -> Ratio:
    """Returns how many times longer they take, by the medians."""
    (our_value, our_bound), (their_value, their_bound) = middle(ours, measure), middle(theirs, measure)
    bound = {(False, False): "", (False, True): ">", (True, False): "<", (True, True): UNKNOWN}[our_bound, their_bound]
    return Ratio(their_value / our_value, bound)


def mean(ratios: Iterable[Ratio]) -> Ratio:
    """Returns the geometric mean of the ratios that are known or bounded; bounds of both kinds leave it unknown."""
    known = [one for one in ratios if one.bound != UNKNOWN]
    bounds = {one.bound for one in known} - {""}
    bound = UNKNOWN if len(bounds) == 2 or not known else "".join(bounds)
    return Ratio(geometric_mean(one.value for one in known) if known else 1.0, bound)


def cell(runs: Sequence[Result]) -> str:
    """Returns median seconds, the worst seed's, the processors', steps, and how many seeds got there."""
    worst = max(run["seconds"] for run in runs)
    solved = sum(run["solved"] for run in runs)
    steps, is_bound = middle(runs, "env_steps")
    more = ">" if solved < len(runs) else ""
    return (
        f"{_number(*middle(runs, 'seconds'))} ({more}{_digits(worst)}), {_number(*middle(runs, 'cpu_seconds'))}, "
        f"{'>' if is_bound else ''}{steps:,.0f}, {solved}/{len(runs)}"
    )


def _number(value: float, is_bound: bool) -> str:
    return ("> " if is_bound else "") + _digits(value)


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def table(results: Sequence[Result], rows: Sequence[str], contestants: Sequence[str]) -> str:
    """Returns the Markdown table, and below it what it comes to.

    Args:
        results: as panel.json holds them.
        rows: their order.
        contestants: ours first.
    """
    ours, *rivals = contestants
    found = {
        row: {name: [one for one in results if (one["row"], one["contestant"]) == (row, name)] for name in contestants}
        for row in rows
    }
    found = {row: runs for row, runs in found.items() if runs[ours]}
    lines = [
        "| environment | " + " | ".join(contestants) + " | times longer: " + ", ".join(rivals) + " |",
        "|---" * (len(contestants) + 2) + "|",
    ]
    for row, runs in found.items():
        threshold = runs[ours][0]["threshold"]
        cells = [cell(runs[name]) if runs[name] else "-" for name in contestants]
        times = [str(ratio(runs[ours], runs[name], "seconds")) if runs[name] else "-" for name in rivals]
        lines.append(f"| {row}, {threshold:,g} | " + " | ".join(cells) + " | " + ", ".join(times) + " |")
    lines += ["", "A cell: median seconds (the worst seed's), seconds of processors, steps, seeds that got there.", ""]
    for name in rivals:
        both = [runs for runs in found.values() if runs[name]]
        means = [str(mean(ratio(runs[ours], runs[name], by) for runs in both)) for by in ("seconds", "cpu_seconds")]
        lines.append(f"- geometric mean of {len(both)} rows, {name}: {means[0]} times longer, {means[1]} by processors")
    return "\n".join([*lines, *_shortfalls(found, ours, rivals), _circumstances(results)])


def _shortfalls(found: dict[str, dict[str, list[Result]]], ours: str, rivals: Sequence[str]) -> list[str]:
    """Returns the rows where a rival is far ahead, and those that a rival solves but not every seed of ours."""
    lines = []
    for row, runs in found.items():
        for name in rivals:
            for by in ("seconds", "cpu_seconds") if runs[name] else ():
                one = ratio(runs[ours], runs[name], by)
                if one.bound in ("", "<") and one.value * BEHIND < 1:
                    lines.append(f"- behind on {row}: {name} takes {one} times our {by.replace('_', ' ')}")
        failed = [str(run["seed"]) for run in runs[ours] if not run["solved"]]
        solvers = [name for name in rivals if any(run["solved"] for run in runs[name])]
        if failed:
            lines.append(f"- not solved: {row}, seed {', '.join(failed)}; solved by: {', '.join(solvers) or 'nobody'}")
    return lines


def _circumstances(results: Sequence[Result]) -> str:
    """Returns what the results were measured on and with."""
    told = {f"{name} {version}" for one in results for name, version in one["versions"].items()}
    machines = {f"{one['cores']} cores of {one['machine']}" for one in results}
    commits = {one["commit"] for one in results if one["contestant"] == "template"}
    dates = sorted({one["date"] for one in results})
    parts = [", ".join(sorted(told)), "; ".join(sorted(machines)), "template " + ", ".join(sorted(commits))]
    return "\n" + "; ".join([*parts, f"{dates[0]} to {dates[-1]}" if dates else "nothing measured"])
