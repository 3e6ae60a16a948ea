"""The picture of a run."""

from pathlib import Path

import numpy as np

from .run_folder import RunFolder
from .status import FEWEST_EPISODES, WINDOW_EPISODES


def draw_curve(folder: RunFolder, stop_return: float | None) -> Path:
    """Draws learning_curve.png: the mean return over the environment's steps, with the range of its episodes."""
    import matplotlib  # late: takes half a second, and only the end of a run needs it

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = list(folder.rows())
    columns = "env_steps", "episode_return_mean", "episode_return_min", "episode_return_max"
    steps, mean, low, high = (np.array([row[name] for row in rows]) for name in columns)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.fill_between(steps, low, high, alpha=0.2, linewidth=0, label=f"range of {WINDOW_EPISODES} episodes")
    axes.plot(steps, mean, label=f"mean of {WINDOW_EPISODES} episodes")
    if stop_return is not None:
        axes.axhline(stop_return, linestyle="--", color="grey", label=f"stop return {stop_return:g}")
    shown = [row["episodes"] >= FEWEST_EPISODES for row in rows]
    if any(shown):
        axes.set_ylim(y_limits(mean[shown], low[shown], high[shown], stop_return))
    axes.set(xlabel="environment steps", ylabel="return of an episode", title=folder.path.name)
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    path = folder.path / "learning_curve.png"
    new = path.with_suffix(".new")
    try:
        figure.savefig(new, dpi=120, format="png")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
        plt.close(figure)
    return path


def y_limits(
    mean: np.ndarray, low: np.ndarray, high: np.ndarray, stop_return: float | None
) -> tuple[float, float] | None:
    """Returns what of the y axis is shown; None leaves it to matplotlib.

    The means, the middle of the lowest and the highest returns and the stop return are in it. But the first episodes
    may be a hundred times worse than the rest: a mean that is far from nine tenths of all runs out of the picture.
    """
    bottom, top = np.percentile(mean, [5, 95])
    far = (top - bottom) / 2
    near = mean[(mean >= bottom - far) & (mean <= top + far)]
    kept = [*near, mean[-1], np.percentile(low, 25), np.percentile(high, 75)]
    kept += [] if stop_return is None else [stop_return]
    margin = 0.05 * (max(kept) - min(kept))
    return (min(kept) - margin, max(kept) + margin) if margin > 0 else None
