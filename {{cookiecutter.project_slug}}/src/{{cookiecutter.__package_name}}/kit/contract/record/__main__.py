"""Records one environment: runs all probes on it, and writes down what each found; `process.child` starts it."""

import faulthandler
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UsageError
from ...tracebacks import is_users
from . import about, behaviour, construction
from .file import RecordWriter
from .growth import record_growth
from .heartbeat import Heartbeat
from .locations import described, raised
from .model import CallError, Episode, NotJudged
from .plan import make_plan
from .recorder import Recorder
from .render import record_draws, record_rendered
from .rollouts import record_replays, record_rollouts, record_starts
from .surroundings import predictable_entropy, seed_global
from .targets import load
from .vector import record_stacked, record_vector

REPLICA_STEPS, REPLICA_SECONDS = 60, 4.0


def record_replica(recorder: Recorder) -> Episode:
    """Plays the first episode once more, here in another process."""
    recorder.action_space()
    cap = REPLICA_STEPS if recorder.cap is None else min(REPLICA_STEPS, recorder.cap)
    play, deadline = recorder.start(recorder.env, 0), time.monotonic() + REPLICA_SECONDS
    for _ in play.moves(cap):
        if time.monotonic() > deadline:
            break
    episode = play.close()
    recorder.plan = make_plan([step.seconds for step in episode.steps], episode.reset_seconds, 1, cap=cap)
    return episode


class Probe(NamedTuple):
    """A section of the record, and the function that gives it."""

    section: str
    function: Callable[[Recorder], Any]
    quick: bool = True


PROBES = (
    Probe("builds", construction.record_builds),
    Probe("about", about.record_about),
    Probe("config_changes", construction.record_config_changes),
    Probe("episodes", record_rollouts),
    Probe("config_changes", construction.record_config_changes),
    Probe("spaces_after", about.record_spaces_after),
    Probe("defaults", construction.record_defaults),
    Probe("unread_keys", construction.record_unread_keys),
    Probe("copies", about.record_copies),
    Probe("seeding", behaviour.record_seeding),
    Probe("replays", record_replays),
    Probe("starts", record_starts),
    Probe("self_reset", behaviour.record_self_reset, quick=False),
    Probe("shared_files", behaviour.record_shared_files, quick=False),
    Probe("unpicklable", behaviour.record_pickling, quick=False),
    Probe("growth", record_growth, quick=False),
    Probe("closing", behaviour.record_closing, quick=False),
    Probe("closed_alone", behaviour.record_closed_alone, quick=False),
    Probe("released", behaviour.record_released, quick=False),
    Probe("vector", record_vector, quick=False),
    Probe("stacked", record_stacked, quick=False),
)
REPLICA_PROBES = (Probe("builds", construction.record_builds), Probe("replica", record_replica))
RENDER_PROBES = (Probe("rendered", record_rendered), Probe("draws", record_draws))


def main(folder: Path) -> None:
    """Does what `request.json` in the folder asks for."""
    request = json.loads((folder / "request.json").read_text())
    writer, heartbeat = RecordWriter(folder / "record"), Heartbeat(folder / "heartbeat")
    recorder = Recorder(request, heartbeat, writer)
    _isolate(folder)
    recorder.events.install()
    seed_global(request["replica"])
    predictable_entropy(request["replica"])
    heartbeat.call("import")
    try:
        recorder.maker = load(request["target"])
    except UsageError as error:
        cause = error.__cause__
        writer.write("section", "usage", (str(error), raised(cause) if cause is not None else None))
    else:
        for name in ("config", "quick", "cap"):
            writer.write("section", name, request[name])
        for probe in REPLICA_PROBES if request["replica"] else PROBES:
            _run(probe, recorder, request)
        if request["renders"]:
            os.chdir(request["home"])  # a picture may be read from there
            for probe in RENDER_PROBES:
                _run(probe, recorder, request)
        writer.write("section", "warnings", recorder.events.warnings)
    writer.write("section", "done", True)


def _run(probe: Probe, recorder: Recorder, request: dict[str, Any]) -> None:
    """Runs a probe; a section that can't be had is missing, with the reason."""
    section, writer = probe.section, recorder.writer
    recorder.heartbeat.probe(section)
    if section in request["without"]:
        writer.write("missing", section, "the environment ended the process or hung there")
    elif section != "builds" and recorder.env is None:
        writer.write("missing", section, "the constructor raises")
    elif probe.quick or not request["quick"]:
        try:
            value = probe.function(recorder)
            if section != "episodes":  # they are written one by one
                writer.write("section", section, value)
        except NotJudged as reason:
            writer.write("missing", section, str(reason))
        except BaseException as error:
            where = raised(error)
            if where is not None and is_users(where.rpartition(":")[0]):
                writer.write("item", "accidents", (section, CallError.of("probe", error)))
                writer.write("missing", section, f"the environment raises {described(error)}")
            else:
                writer.write("missing", section, f"the probe itself failed: {described(error)} at {where}")


def _isolate(folder: Path) -> None:
    """Keeps prints, tracebacks and questions of the environment away from the parent's terminal."""
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # its input is empty already
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    stack = (folder / "stack.txt").open("a")
    faulthandler.enable(stack)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, stack, all_threads=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # threads and exit handlers of the environment shall not keep the process alive
