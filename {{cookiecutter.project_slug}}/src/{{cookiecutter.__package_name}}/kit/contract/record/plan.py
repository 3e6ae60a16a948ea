"""How much may be played, by the speed of the environment."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How much may be played: chosen in coarse grades of speed, so that reports do not depend on the load."""

    total: int  # steps of the main episodes together
    cap: int  # steps of one main episode
    small: int  # steps of an episode in the other probes
    resets: int  # resets in the probes that need many


GRADES = (  # (seconds a step below which the plan holds, plan)
    (0.0003, Plan(total=5000, cap=1200, small=150, resets=12)),
    (0.001, Plan(total=1600, cap=500, small=80, resets=12)),
    (0.004, Plan(total=500, cap=250, small=30, resets=10)),
    (0.015, Plan(total=180, cap=80, small=12, resets=6)),
    (0.06, Plan(total=80, cap=40, small=5, resets=4)),
    (0.3, Plan(total=24, cap=12, small=3, resets=3)),
    (float("inf"), Plan(total=6, cap=3, small=1, resets=2)),
)
MEMORY_BYTES = 48_000_000  # room for recorded observations


def make_plan(
    step_seconds: list[float], reset_seconds: float, obs_bytes: int, quick: bool = False, cap: int | None = None
) -> Plan:
    """Returns the plan for an environment of this speed, with observations of this size.

    `cap` is how many steps an episode may have, where a longer one ended the process before.
    """
    pace = max(statistics.median(step_seconds or [0.0]), reset_seconds / 30)
    plan = next(plan for limit, plan in GRADES if pace < limit)
    total = max(min(int(plan.total * (0.2 if quick else 1.0)), MEMORY_BYTES // max(obs_bytes, 1)), 4)
    longest = max(min(plan.cap, total, plan.cap if cap is None else cap), 0)
    return Plan(total, longest, min(plan.small, longest), plan.resets)
