"""Records one environment: runs all probes on it, and writes down what each found; `process.child` starts it."""

import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...kinds import is_multi_agent
from ...tracebacks import is_users
from .channel import Heartbeat, RecordWriter
from .locations import described, raised, unwrapped
from .model import CallError, NotJudged
from .probes import BUILDS, PROBES, RENDER_PROBES, REPLICA_PROBES, Probe
from .recorder import Recorder
from .surroundings import predictable_entropy, seed_global
from .targets import load


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
        record(recorder, request)
    writer.write("section", "done", True)


def record(recorder: Recorder, request: dict[str, Any]) -> None:
    """Makes the environment and runs the probes on it; those of several agents, where it holds them."""
    writer, probes = recorder.writer, PROBES
    for name in ("config", "quick", "cap"):
        writer.write("section", name, request[name])
    _run(BUILDS, recorder, request)
    if is_multi_agent(type(unwrapped(recorder.env))):
        from ..multi_agent.probes import JOINT_PROBES, JointRecorder  # late: most have one agent

        recorder, probes = JointRecorder(recorder), JOINT_PROBES
    writer.write("section", "several", probes is not PROBES)
    for probe in REPLICA_PROBES if request["replica"] else probes:
        _run(probe, recorder, request)
    if request["renders"]:
        os.chdir(request["home"])  # a picture may be read from there
        for probe in RENDER_PROBES:
            _run(probe, recorder, request)
    writer.write("section", "warnings", recorder.events.warnings)


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
