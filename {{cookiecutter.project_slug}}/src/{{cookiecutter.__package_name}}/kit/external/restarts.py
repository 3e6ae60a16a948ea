"""How often a simulator may be started anew in a training run: a few times, since it may be no accident."""

import os
import secrets
import time

from ..errors import BrokenEpisode
from ..guard import child_log
from .process import SimulatorError

MOST_RESTARTS = 10  # in a run, of all copies on this machine together
RESTART_SECONDS = 60.0  # between two of them


class SimulatorLost(SimulatorError):
    """It has died, or does not answer in time: another one may."""


def broken(lost: SimulatorLost) -> Exception:
    """Counts a restart; returns what to raise: BrokenEpisode where the simulator may be started anew.

    Outside of training nobody would drop the episode; the error stays what it is.
    """
    folder = child_log.folder_of_run("restarts")
    if folder is None:
        return lost
    folder.mkdir(exist_ok=True)
    times = [path.stat().st_mtime for path in folder.iterdir()]
    limit = f"{MOST_RESTARTS} in a run and one in {RESTART_SECONDS:g} s are allowed"
    if len(times) >= MOST_RESTARTS or time.time() - max(times, default=0.0) < RESTART_SECONDS:
        return SimulatorError(f"{lost}\nrestarts before: {len(times)}; {limit}")
    (folder / f"{os.getpid()}-{secrets.token_hex(4)}").touch()
    return BrokenEpisode(f"{lost}\nit is started anew: restart {len(times) + 1}; {limit}")
