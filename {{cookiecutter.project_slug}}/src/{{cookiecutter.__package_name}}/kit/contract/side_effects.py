"""What the constructor must leave alone: the directory, the global random numbers, the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .building import Built
from .locations import unwrapped
from .registry import Finding, check, error, warning
from .study import Study
from .surroundings import Snapshot


@check()
def constructor_without_side_effects(study: Study) -> Iterator[Finding]:
    """The constructor leaves the process alone: working directory, global random numbers, signal handlers.

    Copies share their process with each other, with RLlib and with the learner: a changed directory breaks every
    relative path after it, a seeded global generator makes all copies and all exploration repeat themselves.
    """
    built, where = study.built, study.where("__init__")
    before, after = built.before, built.after
    if after.cwd != before.cwd:
        text = f"the constructor changes the working directory (chdir) from {before.cwd} to {after.cwd}: a side effect"
        yield error(text, "use absolute paths, such as Path(__file__).parent / 'data'", where)
    for name, short_name in (("numpy_rng", "np.random"), ("python_rng", "random")):
        if getattr(before, name) != getattr(after, name):
            yield _global_draw(study, built, name, short_name)
    if after.signals != before.signals:
        text = "the constructor installs a signal handler for SIGINT or SIGTERM: a side effect, Ray needs its own there"
        yield warning(text, "install no signal handlers in an environment", where)
    if after.float_errors != before.float_errors:
        text = "the constructor calls np.seterr: a side effect on all NumPy code of the process"
        yield warning(text, "write with np.errstate(...): around the lines that need it", where)


def _global_draw(study: Study, built: Built, name: str, label: str) -> Finding:
    states: list[Snapshot] = [other.after for other in (built, study.plain) if other.env is not None]
    seeded = len(states) == 2 and getattr(states[0], name) == getattr(states[1], name)
    fix = "draw from self.np_random after super().reset(seed=seed); never seed the global generator"
    where = study.where("__init__")
    if seeded:
        text = (
            f"the constructor seeds the global generator of {label}: every copy and every other user of it repeats "
            "itself"
        )
        return error(text, fix, where)
    text = (
        f"the constructor draws from the global generator of {label}: the result depends on who else draws, "
        "not on the seed"
    )
    return warning(text, fix, where)


@check()
def constructor_opens_no_window(study: Study) -> Iterator[Finding]:
    """No window is opened as long as render_mode is None.

    Env runners have no display: the constructor would fail there, or open one window for each copy.
    """
    env = study.env
    if getattr(unwrapped(env), "render_mode", None) is not None:
        return
    pygame, tkinter, pyplot = (sys.modules.get(name) for name in ("pygame", "tkinter", "matplotlib.pyplot"))
    toolkits = {
        "pygame": lambda: pygame is not None and pygame.display.get_init() and pygame.display.get_surface() is not None,
        "tkinter": lambda: getattr(tkinter, "_default_root", None) is not None,
        "matplotlib": lambda: pyplot is not None and bool(pyplot.get_fignums()),
    }
    for name, is_open in toolkits.items():
        if is_open():
            text = f"the constructor opens a {name} window although render_mode is None"
            yield error(text, 'open the window in render(), when render_mode is "human"', study.where("__init__"))
