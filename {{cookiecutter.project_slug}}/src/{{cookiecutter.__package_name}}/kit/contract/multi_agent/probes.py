"""What is recorded of several agents: the probes of one agent that hold for them too, and their own."""

from ..record.probes import PROBES, Probe
from . import about, variations
from .play import JointRecorder

__all__ = ["JOINT_PROBES", "JointRecorder"]

OWN = {
    "about": about.record_about,
    "spaces_after": about.record_spaces_after,
    "copies": about.record_copies,
}
JOINT_PROBES = (
    *(
        probe._replace(function=OWN.get(probe.section, probe.function))
        for probe in PROBES
        if probe.section not in ("vector", "stacked")
    ),
    Probe("ids_after", about.record_ids_after),
    Probe("variations", variations.record_variations, quick=False, copies=True, steps=True),
)
