"""The picture of a run."""

from pathlib import Path

from .run_folder import RunFolder


def draw_curve(folder: RunFolder, stop_return: float | None) -> Path:
    """Draws learning_curve.png: the mean return over the environment's steps, with the range of its episodes."""
    import matplotlib  # late: takes half a second, and only the end of a run needs it

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = list(folder.rows())
    steps = [row["env_steps"] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    low, high = ([row[f"episode_return_{end}"] for row in rows] for end in ("min", "max"))
    axes.fill_between(steps, low, high, alpha=0.2, linewidth=0, label="lowest to highest of 50 episodes")
    axes.plot(steps, [row["episode_return_mean"] for row in rows], label="mean of 50 episodes")
    if stop_return is not None:
        axes.axhline(stop_return, linestyle="--", color="grey", label=f"stop return {stop_return:g}")
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
