"""What is recorded, section by section, and in which order."""

from collections.abc import Callable
from typing import Any, NamedTuple

from . import about, behaviour, construction, growth, render, rollouts, vector


class Probe(NamedTuple):
    """A section of the record, and the function that gives it."""

    section: str
    function: Callable[[Any], Any]  # of the Recorder
    quick: bool = True
    copies: bool = False  # it makes copies, which must be cheap
    steps: bool = False  # it makes no sense where no step has worked


BUILDS = Probe("builds", construction.record_builds)  # the first of all
PROBES: tuple[Probe, ...] = (
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
REPLICA_PROBES = (Probe("replica", rollouts.record_replica),)
RENDER_PROBES = (Probe("rendered", render.record_rendered), Probe("draws", render.record_draws))
