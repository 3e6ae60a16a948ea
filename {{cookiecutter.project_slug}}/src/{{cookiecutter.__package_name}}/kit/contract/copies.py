"""Several copies in one process: they can be made, share nothing, and can be pickled and copied."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from ..spaces.membership import short
from .locations import unwrapped
from .policies import RANDOM
from .recording import Episode, play
from .registry import Finding, NotJudged, check, error, warning
from .sessions import difference
from .study import Study

MUTABLE = (list, dict, set, bytearray, np.ndarray)


@check()
def copies_can_be_made(study: Study) -> Iterator[Finding]:
    """A second copy can be made while the first one lives, and is another object.

    An env runner holds many copies: a fixed port, a locked file or a singleton allows only one.
    """
    built = study.build(study.built.config)
    if built.trouble is not None:
        text = f"a second copy (instance) cannot be made while the first one is open: {built.trouble.text}"
        fix = (
            "give each copy its own port (0 lets the system choose), file and display; share nothing between instances"
        )
        yield error(text, fix, built.trouble.where)
    elif unwrapped(built.env) is unwrapped(study.env):
        text = "the constructor returns the same instance again (a singleton): all copies share one state"
        yield error(text, "return a new object each time", study.where("__init__"))
    else:
        study.spare.append(built.env)


@check()
def copies_do_not_interfere(study: Study) -> Iterator[Finding]:
    """Two copies that are stepped in turns play as each does alone.

    With state at class or module level all copies of an env runner move one and the same agent.
    """
    replays = study.replays
    if difference(study.episodes[0], replays.alone) is not None or study.cache.get("spaces differ"):
        raise NotJudged("not even fresh copies agree")
    pairs = [(replays.alone, replays.mixed_new)]
    repeated = next((e for e in study.episodes if e.seed == 1 and e.policy is RANDOM), None)
    if difference(replays.alone, replays.again) is None and repeated is not None:
        pairs.append((repeated, replays.mixed_old))
    for alone, mixed in pairs:
        found = difference(alone, mixed)
        if found is not None:
            number, what, left, right = found
            text = (
                "copies interfere: stepped in turns with another instance, the same seed and actions give another "
                f"{what} "
                f"{alone.at(number)}: {short(left, 50)} alone, {short(right, 50)} in turns; they share "
                f"state{_shared(study)}"
            )
            yield error(text, "keep all state in self, set in __init__ and reset()", study.where("__init__"))
            return


def _shared(study: Study) -> str:
    """Names of mutable class attributes and module globals: where shared state may live."""
    plain = type(unwrapped(study.env))
    names = []
    for owner in plain.__mro__:
        if not owner.__module__.startswith(("gymnasium", "builtins", "typing")):
            names += [
                f"{owner.__name__}.{n}" for n, v in vars(owner).items() if isinstance(v, MUTABLE) and n != "metadata"
            ]
    module = sys.modules.get(plain.__module__)
    for name, value in vars(module).items() if module is not None else ():
        if isinstance(value, MUTABLE) and not name.startswith("__"):
            names.append(f"module-level {name}")
    return f" (class-level or global: {', '.join(names[:5])}?)" if names else " (class attribute, module global, file?)"


@check(quick=False)
def copies_close_alone(study: Study) -> Iterator[Finding]:
    """Closing one copy leaves the others working.

    `pygame.quit()` or closing a shared connection in `close` takes it away from all copies of the process.
    """
    _ = study.steps_played
    if study.slow_to_build:
        raise NotJudged("the constructor is slow")
    one, two = study.another(), study.another()
    chooser = RANDOM.chooser(study.space("action_space"), 9)
    kept = play(one, Episode(1, RANDOM, 9, fresh=True), chooser, 2, study.pulse)
    study.release(two)
    again = play(one, Episode(2, RANDOM, 9, fresh=False), chooser, 2, study.pulse)
    study.release(one)
    if kept.trouble is None and again.trouble is not None:
        text = (
            f"closing one copy breaks another (they share what close() closes): {again.trouble.call}() raises "
            f"{again.trouble.text}"
        )
        yield error(text, "close only what this instance opened itself", again.trouble.where)


@check(quick=False)
def copies_write_own_files(study: Study) -> Iterator[Finding]:
    """Two copies do not write to the same file.

    They overwrite each other's data; what one reads back is then another copy's.
    """
    _ = study.steps_played
    if study.slow_to_build:
        raise NotJudged("the constructor is slow")
    written, copies = [], []
    for seed in (0, 1):
        start = len(study.events.written)
        env = study.another()
        copies.append(env)
        chooser = RANDOM.chooser(study.space("action_space"), seed)
        play(env, Episode(1, RANDOM, seed, fresh=True), chooser, 3, study.pulse)
        written.append(set(study.events.written[start:]))
    for env in copies:
        study.release(env)
    for path in sorted(written[0] & written[1]):
        if "__pycache__" not in path and not path.startswith(("/dev/", "/proc/")):
            text = f"all copies write to the same file {path}: instances share it and overwrite each other's data"
            yield warning(
                text, "put a unique name into the path (tempfile.mkdtemp()), or write no files", study.where("__init__")
            )
            return
