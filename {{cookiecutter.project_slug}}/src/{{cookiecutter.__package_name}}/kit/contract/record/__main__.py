"""Records one environment: runs all probes on it, and writes down what each found; `process.child` starts it."""

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UsageError
from ...tracebacks import is_users
from . import about, behaviour, construction, growth, render, rollouts, vector
from .channel import Heartbeat, RecordWriter
from .locations import described, raised
from .model import CallError, NotJudged
from .recorder import Recorder
from .surroundings import predictable_entropy, seed_global
from .targets import load


class Probe(NamedTuple):
    """A section of the record, and the function that gives it."""

    section: str
    function: Callable[[Recorder], Any]
    quick: bool = True
    copies: bool = False  # it makes copies, which must be cheap
    steps: bool = False  # it makes no sense where no step has worked


PROBES = (
    Probe("builds", construction.record_builds),
    Probe("about", about.record_about),
    Probe("config_changes", construction.record_config_changes),
    Probe("episodes", rollouts.record_rollouts),
    Probe("config_changes", construction.record_config_changes),
    Probe("spaces_after", about.record_spaces_after),
    Probe("defaults", construction.record_defaults),
    Probe("unread_keys", construction.record_unread_keys, copies=True),
    Probe("copies", about.record_copies),
    Probe("seeding", behaviour.record_seeding),
    Probe("replays", rollouts.record_replays, steps=True),
    Probe("starts", rollouts.record_starts),
    Probe("self_reset", behaviour.record_self_reset, quick=False, copies=True),
    Probe("shared_files", behaviour.record_shared_files, quick=False, copies=True, steps=True),
    Probe("unpicklable", behaviour.record_pickling, quick=False, steps=True),
    Probe("growth", growth.record_growth, quick=False, steps=True),
    Probe("closing", behaviour.record_closing, quick=False, copies=True, steps=True),
    Probe("closed_alone", behaviour.record_closed_alone, quick=False, copies=True, steps=True),
    Probe("released", growth.record_released, quick=False, copies=True, steps=True),
    Probe("vector", vector.record_vector, quick=False, steps=True),
    Probe("stacked", vector.record_stacked, quick=False, copies=True, steps=True),
)
REPLICA_PROBES = (Probe("builds", construction.record_builds), Probe("replica", rollouts.record_replica))
RENDER_PROBES = (Probe("rendered", render.record_rendered), Probe("draws", render.record_draws))


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
    recorder.heartbeat.context(section, probe=section)
    if section in request["without"]:
        writer.write("missing", section, "the environment ended the process or hung there")
    elif section != "builds" and recorder.env is None:
        writer.write("missing", section, "the constructor raises")
    elif request["quick"] and not probe.quick:
        writer.write("missing", section, "not part of the quick checks")
    else:
        try:
            recorder.require(probe.copies, probe.steps)
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
