"""How much may be played, by the speed of the environment."""

import statistics
from dataclasses import dataclass

from .model import Episode
from .values import size_in_bytes


@dataclass(frozen=True)
class Plan:
    """How much may be played: chosen in coarse grades of speed, so that reports do not depend on the load."""

    total: int  # steps of the main episodes together
    cap: int  # steps of one main episode
    small: int  # steps of an episode in the other probes
    resets: int  # resets in the probes that need many
    longest: int = 0  # steps of one episode more, where none has ended


GRADES = (  # (seconds a step below which the plan holds, plan)
    (0.00005, Plan(total=5000, cap=1200, small=150, resets=12, longest=21_000)),
    (0.0003, Plan(total=5000, cap=1200, small=150, resets=12, longest=5000)),
    (0.001, Plan(total=1600, cap=500, small=80, resets=12, longest=1500)),
    (0.004, Plan(total=500, cap=250, small=30, resets=10)),
    (0.015, Plan(total=180, cap=80, small=12, resets=6)),
    (0.06, Plan(total=80, cap=40, small=5, resets=4)),
    (0.3, Plan(total=24, cap=12, small=3, resets=3)),
    (float("inf"), Plan(total=6, cap=3, small=1, resets=2)),
)
MEMORY_BYTES = 48_000_000  # room for recorded observations


def make_plan(played: list[Episode], quick: bool, cap: int | None) -> Plan:
    """Returns the plan for an environment of which some has been played.

    `cap` is how many steps an episode may have, where a longer one ended the process before.
    """
    seconds = [step.seconds for episode in played for step in episode.steps]
    pace = max([statistics.median(seconds or [0.0]), *(episode.reset_seconds / 30 for episode in played[:1])])
    plan = next(plan for limit, plan in GRADES if pace < limit)
    room = MEMORY_BYTES // max(size_in_bytes(played[0].obs if played else None), 1)
    total = max(min(int(plan.total * (0.2 if quick else 1.0)), room), 4)
    most = min(plan.cap, total, plan.cap if cap is None else cap)
    longest = min(plan.longest, room, plan.longest if cap is None else cap)
    return Plan(total, most, min(plan.small, most), plan.resets, longest)
