"""The picture of one run or of several: returns over steps and over time, in greys, with every line named where it ends."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .run_folder import RunFolder
from .status import FEWEST_EPISODES, WINDOW_EPISODES

COLUMNS = "env_steps", "seconds", "episodes", "episode_return_mean", "episode_return_min", "episode_return_max"
STYLES = [(shade, style) for style in ("-", "--", "-.", ":") for shade in ("0", "0.55")]  # of one run after the other
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}
LABELS_APART = 0.065  # of the height, so that none covers another


def draw_curve(folder: RunFolder, levels: Mapping[str, float]) -> Path:
    """Draws learning_curve.png, in two panels.

    Args:
        folder: of the run.
        levels: returns to compare with, by their names.
    """
    path = folder.path / "learning_curve.png"
    new = path.with_suffix(".new")
    try:
        new.write_bytes(_picture({folder.path.name: folder}, levels, ("env_steps", "seconds"), "png"))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def panels(folders: Mapping[str, RunFolder], levels: Mapping[str, float]) -> dict[str, bytes]:
    """Returns the panels of the runs over one another as SVG, by what they are over: transparent, and without fonts."""
    return {axis: _picture(folders, levels, (axis,), "svg") for axis in ("env_steps", "seconds")}


def _picture(folders: Mapping[str, RunFolder], levels: Mapping[str, float], over: Sequence[str], format: str) -> bytes:
    import matplotlib  # late: takes half a second, and only the end of a run needs it

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    runs = {
        name: {key: np.array([row[key] for row in folder.rows()]) for key in COLUMNS}
        for name, folder in folders.items()
    }
    limits = y_limits(list(runs.values()), levels)
    size = (5.2 * len(over), 3.6)
    figure, found = plt.subplots(1, len(over), figsize=size, sharey=True, squeeze=False, layout="constrained")
    try:
        for axes, axis in zip(found[0], over, strict=True):
            _draw(axes, runs, levels, axis, limits)
        found[0][0].set_ylabel("return of an episode")
        figure.suptitle(_caption(list(folders)), x=0.01, ha="left", fontsize="medium")
        file = io.BytesIO()
        figure.savefig(file, format=format, dpi=120, transparent=format == "svg")
        return file.getvalue()
    finally:
        plt.close(figure)


def _caption(names: Sequence[str]) -> str:
    mean = f"mean of {WINDOW_EPISODES} episodes"
    return f"{names[0]}: {mean}, and from the lowest to the highest" if len(names) == 1 else mean


def _draw(axes: Any, runs: Mapping[str, Any], levels: Mapping[str, float], axis: str, limits: Any) -> None:
    """Draws one panel."""
    longest = max((run["seconds"][-1] for run in runs.values() if len(run["seconds"])), default=0.0)
    unit = max((name for name, size in UNITS.items() if longest >= 3 * size), key=UNITS.__getitem__, default="seconds")
    scale = UNITS[unit] if axis == "seconds" else 1
    ends = {}
    for (name, run), (shade, style) in zip(runs.items(), STYLES * len(runs), strict=False):
        low, mean, high = (run[f"episode_return_{part}"] for part in ("min", "mean", "max"))
        axes.plot(run[axis] / scale, mean, color=shade, linestyle=style, linewidth=1.6, label=name)
        if len(runs) == 1:
            axes.fill_between(run[axis] / scale, low, high, color="0.85", linewidth=0)
            ends |= {"mean": value for value in mean[-1:] if np.isfinite(value)}
    for (name, level), style in zip(levels.items(), ((0, (6, 3)), (0, (1, 2))), strict=False):
        axes.axhline(level, color="0.35", linestyle=style, linewidth=1)
        ends[f"{name} {level:.4g}"] = level
    if limits:
        axes.set_ylim(limits)
    axes.set_xlabel("environment steps" if axis == "env_steps" else f"{unit} of sampling and learning")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(_few_ticks())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.spines[["top", "right"]].set_visible(False)
    if len(runs) > 1:
        axes.legend(frameon=False, fontsize="small")
    for name, place in label_places(ends, axes.get_ylim()).items():
        axes.annotate(name, (1, place), (5, 0), "axes fraction", "offset points", va="center", fontsize="small")


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def label_places(ends: Mapping[str, float], limits: tuple[float, float]) -> dict[str, float]:
    """Returns how high each label is, 0 to 1: where its line ends, but within the picture and apart from the others."""
    bottom, top = limits
    places: dict[str, float] = {}
    lowest = 0.0
    for name, value in sorted(ends.items(), key=lambda item: item[1]):
        places[name] = max(lowest, min(1.0, (value - bottom) / (top - bottom)))
        lowest = places[name] + LABELS_APART
    highest = 1.0
    for name in reversed(places):
        highest = places[name] = min(places[name], highest)
        highest -= LABELS_APART
    return places


def y_limits(runs: Sequence[Mapping[str, np.ndarray]], levels: Mapping[str, float]) -> tuple[float, float] | None:
    """Returns what of the y axis is shown; None leaves it to matplotlib.

    The means, the middle of the lowest and the highest returns and the levels are in it. But the first episodes may be
    a hundred times worse than the rest: a mean that is far from nine tenths of all, or a level far below, is out of it.
    """
    kept: list[float] = []
    for run in runs:
        shown = run["episodes"] >= FEWEST_EPISODES
        if not shown.any():
            continue
        low, mean, high = (run[f"episode_return_{part}"][shown] for part in ("min", "mean", "max"))
        bottom, top = np.percentile(mean, [5, 95])
        far = (top - bottom) / 2
        near = mean[(mean >= bottom - far) & (mean <= top + far)]
        kept += [*near, mean[-1], np.percentile(low, 25), np.percentile(high, 75)]
    if not kept:
        return None
    height = max(kept) - min(kept)
    kept += [level for level in levels.values() if level >= min(kept) - 2 * height]
    margin = 0.05 * (max(kept) - min(kept))
    return (min(kept) - margin, max(kept) + margin) if margin > 0 else None
