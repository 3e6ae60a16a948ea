"""The few passes in which the environment plays; all checks look at what they recorded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .plan import Plan, make_plan
from .policies import RANDOM, STICKY, Policy, constant_policies
from .recording import Episode, moves, play
from .surroundings import seed_global
from .values import digest, same, size_in_bytes

if TYPE_CHECKING:
    from .study import Study

PACE_STEPS = 10  # After so many steps the pace is known.
EXTRA_EPISODES = 30  # Further random episodes, as long as the plan's steps last.


@dataclass
class Main:
    """The main episodes, all played by one copy one after the other."""

    episodes: list[Episode]
    plan: Plan


def record_main(study: Study) -> Main:
    """Plays seeds, constant actions, unseeded episodes and repetitions on the first copy."""
    env, space = study.env, study.space("action_space")
    seed_global(11)
    first = Episode(1, RANDOM, 0, fresh=True)
    running: Any = moves(env, first, RANDOM.chooser(space, 0), 10**6, study.pulse)
    limit = PACE_STEPS if study.cap is None else min(PACE_STEPS, study.cap)
    while len(first.steps) < limit and next(running, running) is not running:
        pass
    speed = [step.seconds for step in first.steps]
    plan = make_plan(speed, first.reset_seconds, size_in_bytes(first.obs), study.quick, study.cap)
    while len(first.steps) < plan.cap and next(running, running) is not running:
        pass
    running.close()
    episodes = [first]
    if first.trouble is not None and first.trouble.call == "reset":
        return Main(episodes, plan)
    left = plan.total - len(first.steps)
    queue = _programme(space, study.quick)
    for index, (policy, seed) in enumerate(queue):
        share = max(left // (len(queue) - index), 2)
        if left <= 0 or (index > plan.resets * 3):
            break
        episodes.append(_next(study, len(episodes) + 1, policy, seed, min(plan.cap, share)))
        left -= len(episodes[-1].steps) + 1
    if not any(episode.ended or episode.trouble for episode in episodes) and not study.quick:
        _long_episode(study, plan, episodes)
    return Main(episodes, plan)


def _programme(space: Any, quick: bool) -> list[tuple[Policy, int | None]]:
    constants = constant_policies(space, limit=3 if quick else 6)
    queue: list[tuple[Policy, int | None]] = [(RANDOM, 1)]
    queue += [(policy, 2) for policy in constants]
    queue += [(STICKY, 3), (RANDOM, 0), *([(constants[0], 2)] if constants else []), (RANDOM, None)]
    if quick:
        return queue
    queue += [(constants[-1], 5)] if constants else []
    queue += [(STICKY, 3), (RANDOM, None), (STICKY, None), (RANDOM, None)]
    queue += [(constants[0], None)] if constants else []
    return queue + [(policy, seed) for seed in range(20, 20 + EXTRA_EPISODES // 2) for policy in (RANDOM, STICKY)]


def _next(study: Study, number: int, policy: Policy, seed: int | None, cap: int) -> Episode:
    episode = Episode(number, policy, seed, fresh=False)
    chooser = policy.chooser(study.space("action_space"), 0 if seed is None else seed)
    return play(study.env, episode, chooser, cap, study.pulse)


def _long_episode(study: Study, plan: Plan, episodes: list[Episode]) -> None:
    """One episode as long as time allows, where none has ended yet."""
    seconds = sorted(step.seconds for episode in episodes for step in episode.steps)
    pace = seconds[len(seconds) // 2] if seconds else 1.0
    cap = next((steps for limit, steps in ((5e-5, 21_000), (2e-4, 5_000), (1e-3, 1_500)) if pace < limit), 0)
    weight = max(size_in_bytes(episodes[0].obs), 1)
    cap = min(cap, 40_000_000 // weight, cap if study.cap is None else study.cap)
    if cap > plan.cap:
        episodes.append(_next(study, len(episodes) + 1, RANDOM, 6, cap))


@dataclass
class Replays:
    """The same seeds and actions again."""

    alone: Episode  # Seed 0 on a second, fresh copy.
    again: Episode  # Seed 0 once more on that copy, after an episode that was broken off.
    mixed_old: Episode  # Seed 1 on the second copy, in turns with ...
    mixed_new: Episode  # ... seed 0 on a third, fresh copy.


def record_replays(study: Study) -> Replays:
    """Plays seeds 0 and 1 on two more copies, first alone, then in turns."""
    space, small = study.space("action_space"), study.plan.small

    def episode(number: int, seed: int, fresh: bool) -> Episode:
        return Episode(number, RANDOM, seed, fresh)

    second = study.another()
    seed_global(22)
    alone = play(second, episode(1, 0, True), RANDOM.chooser(space, 0), small, study.pulse)
    play(second, episode(2, 7, False), RANDOM.chooser(space, 7), max(small // 10, 2), study.pulse)
    again = play(second, episode(3, 0, False), RANDOM.chooser(space, 0), small, study.pulse)
    third = study.another()
    seed_global(33)
    mixed_old, mixed_new = episode(4, 1, False), episode(1, 0, True)
    turns = (
        moves(second, mixed_old, RANDOM.chooser(space, 1), small, study.pulse),
        moves(third, mixed_new, RANDOM.chooser(space, 0), small, study.pulse),
    )
    for _ in itertools.zip_longest(*turns):
        pass
    study.release(third)
    study.release(second)
    return Replays(alone, again, mixed_old, mixed_new)


@dataclass
class Starts:
    """Fingerprints of episodes: checksums of the first observations under fixed actions."""

    seeded: list[tuple[int, ...]] = field(default_factory=list)
    unseeded: list[tuple[int, ...]] = field(default_factory=list)
    fresh: list[tuple[int, ...]] = field(default_factory=list)


def record_starts(study: Study) -> Starts:
    """Starts episodes with different seeds, without seeds, and on fresh copies without any seed."""
    space, count = study.space("action_space"), study.plan.resets
    steps = min(study.plan.small, 8)

    def fingerprint(env: Any, seed: int | None) -> tuple[int, ...]:
        episode = Episode(0, RANDOM, seed, fresh=False)
        play(env, episode, RANDOM.chooser(space, 5), steps, study.pulse)
        return tuple(digest(obs) for _, obs in episode.observations())

    starts = Starts()
    seed_global(44)
    starts.seeded = [fingerprint(study.env, seed) for seed in range(40, 40 + count)]
    starts.unseeded = [fingerprint(study.env, None) for _ in range(count)]
    if not study.slow_to_build and not study.quick:
        for number in range(3):
            seed_global(55 + number)
            env = study.another()
            resets = [fingerprint(env, None) for _ in range(max(count // 2, 2))]
            starts.fresh.append(tuple(itertools.chain(*resets)))
            study.release(env)
    return starts


def difference(left: Episode, right: Episode) -> tuple[int, str, Any, Any] | None:
    """The first step at which two episodes differ: (step, what, left value, right value)."""
    if left.has_reset and right.has_reset and not same(left.obs, right.obs):
        return 0, "observation", left.obs, right.obs
    for number, (one, two) in enumerate(zip(left.steps, right.steps, strict=False), 1):
        for name in ("obs", "reward", "terminated", "truncated"):
            if not same(getattr(one, name), getattr(two, name)):
                label = "observation" if name == "obs" else name
                return number, label, getattr(one, name), getattr(two, name)
    return _trouble_difference(left, right)


def _trouble_difference(left: Episode, right: Episode) -> tuple[int, str, Any, Any] | None:
    shorter = min(len(left.steps), len(right.steps))
    for one, two in ((left, right), (right, left)):
        if one.trouble is not None and two.trouble is None and len(two.steps) > len(one.steps):
            return shorter + 1, "exception", left.trouble and left.trouble.text, right.trouble and right.trouble.text
    return None
