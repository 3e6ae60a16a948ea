"""The picture of one run or of several: their returns over steps and over time, in greys, told apart without colour."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_json
from .run_folder import RunFolder
from .status import FEWEST_EPISODES, WINDOW_EPISODES

AXES = {"env_steps": "environment steps", "seconds": "since the first sample"}
COLUMNS = *AXES, "episodes", "episode_return_mean", "episode_return_min", "episode_return_max"
UNITS = {"hours": 3600, "minutes": 60, "seconds": 1}
STYLES = [(shade, style) for style in ("-", "--", "-.", ":") for shade in ("0", "0.55")]  # of one run after the other
POLICY = "return_"  # before a policy's name in a column
POLICY_STYLES = ("--", "-.", ":")
APART = 0.065  # of the height, between two labels

Rows = Mapping[str, np.ndarray]  # a run's values by column


def draw_curve(folder: RunFolder, levels: Mapping[str, float]) -> Path:
    """Draws learning_curve.png, with `levels`, returns to compare with, by their names."""
    path = folder.path / "learning_curve.png"
    new = path.with_suffix(".new")
    try:
        new.write_bytes(picture({folder.path.name: folder}, levels, list(AXES), "png"))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def picture(folders: Mapping[str, RunFolder], levels: Mapping[str, float], over: Sequence[str], format: str) -> bytes:
    """Returns a picture of runs, by their names, with a panel for each of `over`; as SVG it is transparent."""
    from matplotlib.figure import Figure  # late, and without pyplot: only the end of a run needs it

    runs = {
        name: {key: np.array([row[key] for row in folder.rows()]) for key in (*COLUMNS, *_policies(folder, folders))}
        for name, folder in folders.items()
    }
    limits = y_limits(list(runs.values()), levels)
    size = (5.2 * len(over), 3.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(over), sharey=True, squeeze=False)[0]
    for panel, axis in zip(panels, over, strict=True):
        _draw(panel, runs, levels, axis, limits)
    panels[0].set_ylabel("return of an episode")
    what = f"mean of {WINDOW_EPISODES} episodes"
    what = what if len(runs) > 1 else f"{next(iter(runs))}: {what}, grey from the lowest to the highest"
    figure.suptitle(what, x=0.01, ha="left", fontsize="medium")
    file = io.BytesIO()
    figure.savefig(file, format=format, dpi=120, transparent=format == "svg")
    return file.getvalue()


def _draw(panel: Any, runs: Mapping[str, Rows], levels: Mapping[str, float], axis: str, limits: Any) -> None:
    """Draws one panel; a run alone is named where it ends, as the levels are."""
    last = max((run["seconds"][-1] for run in runs.values() if len(run["seconds"])), default=0.0)
    unit = next((name for name, size in UNITS.items() if last >= 3 * size), "seconds")
    scale, label = (UNITS[unit], f"{unit} {AXES[axis]}") if axis == "seconds" else (1, AXES[axis])
    ends: dict[str, float] = {}
    for (name, run), (shade, style) in zip(runs.items(), STYLES * len(runs), strict=False):
        low, mean, high = (run[f"episode_return_{part}"] for part in ("min", "mean", "max"))
        panel.plot(run[axis] / scale, mean, color=shade, linestyle=style, linewidth=1.6, label=name)
        if len(runs) == 1:
            panel.fill_between(run[axis] / scale, low, high, color="0.85", linewidth=0)
            ends |= {"mean": mean[-1]} if np.isfinite(mean[-1:]).any() else {}
            for column, line in zip((key for key in run if key not in COLUMNS), POLICY_STYLES * len(run), strict=False):
                panel.plot(run[axis] / scale, run[column], color="0.4", linestyle=line, linewidth=1)
                ends |= {column.removeprefix(POLICY): run[column][-1]} if np.isfinite(run[column][-1:]).any() else {}
    for (name, level), style in zip(levels.items(), ("--", ":"), strict=False):
        panel.axhline(level, color="0.35", linestyle=style, linewidth=1)
        ends[f"{name} {level:.4g}"] = level
    if limits:
        panel.set_ylim(limits)
    panel.set(xlabel=label, xlim=(0, None))
    panel.locator_params(axis="x", nbins=5)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    panel.spines[["top", "right"]].set_visible(False)
    if len(runs) > 1:
        panel.legend(frameon=False, fontsize="small")
    for name, place in label_places(ends, panel.get_ylim()).items():
        panel.annotate(name, (1, place), (5, 0), "axes fraction", "offset points", va="center", fontsize="small")


def _policies(folder: RunFolder, folders: Mapping[str, RunFolder]) -> list[str]:
    """Returns the columns with the returns of the policies of several agents, which a run alone is drawn with."""
    config = folder.path / "config.json"
    agents = read_json(config).get("agents", []) if len(folders) == 1 and config.exists() else []
    return list(dict.fromkeys(f"{POLICY}{policy}" for _, policy in agents if policy is not None))


def label_places(ends: Mapping[str, float], limits: tuple[float, float]) -> dict[str, float]:
    """Returns how high each label is, 0 to 1: where its line ends, but within the picture and apart from the others."""
    bottom, top = limits
    places, least, most = {}, 0.0, 1.0
    for name in sorted(ends, key=ends.__getitem__):
        places[name] = max(least, (ends[name] - bottom) / (top - bottom))
        least = places[name] + APART
    for name in reversed(places):
        places[name] = min(most, places[name])
        most = places[name] - APART
    return places


def y_limits(runs: Sequence[Rows], levels: Mapping[str, float]) -> tuple[float, float] | None:
    """Returns what of the y axis is shown; None leaves it to matplotlib.

    The means, the middle of the lowest and the highest returns and the levels are in it. But the first episodes may be
    a hundred times worse than the rest: a mean that is far from nine tenths of all, or a level far below, is out of it.
    """
    kept: list[float] = []
    for run in runs:
        shown = run["episodes"] >= FEWEST_EPISODES
        if shown.any():
            low, mean, high = (run[f"episode_return_{part}"][shown] for part in ("min", "mean", "max"))
            bottom, top = np.percentile(mean, [5, 95])
            far = (top - bottom) / 2
            near = mean[(mean >= bottom - far) & (mean <= top + far)]
            policies = [run[column][shown] for column in run if column not in COLUMNS]
            kept += [value for column in policies for value in np.nanpercentile(column, [5, 95]) if np.isfinite(value)]
            kept += [*near, mean[-1], np.percentile(low, 25), np.percentile(high, 75)]
    if not kept:
        return None
    least = min(kept) - 2 * (max(kept) - min(kept))
    kept += [level for level in levels.values() if level >= least]
    margin = 0.05 * (max(kept) - min(kept))
    return (min(kept) - margin, max(kept) + margin) if margin > 0 else None
