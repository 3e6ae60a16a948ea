"""The passes in which the environment plays; most judges look at what they recorded."""

from itertools import product, zip_longest
from typing import Any

import numpy as np

from ...spaces.membership import short
from .compare import stale
from .episodes import Play
from .locations import attributes, unwrapped
from .model import Episode, NotJudged, Replays, Starts
from .policies import ACTION_REPEAT, RANDOM, Policy
from .recorder import Recorder
from .surroundings import seed_global
from .values import digest

PACE_STEPS = 10  # after so many steps the pace is known
EXTRA_SEEDS = range(20, 35)  # of further random episodes, as long as the plan's steps last


def record_rollouts(recorder: Recorder) -> None:
    """Plays the main episodes on one copy; each is written down after the next, whose reset may overwrite its arrays."""
    constants = recorder.constant_policies(limit=3 if recorder.quick else 6)
    seed_global(11)
    last = _first_episode(recorder)
    plan, left = recorder.plan, recorder.plan.total - len(last.episode.steps)
    queue = _programme(constants, recorder.quick) if last.episode.has_reset else []
    for index, (policy, seed) in enumerate(queue):
        if left <= 0 or index > plan.resets * 3:
            break
        last = _next_episode(recorder, last, policy, seed, min(plan.cap, max(left // (len(queue) - index), 2)))
        left -= len(last.episode.steps) + 1
    longest = recorder.plan_by_pace().longest
    if longest > plan.cap and not recorder.quick and not any(e.ended or e.error for e in recorder.episodes):
        last = _next_episode(recorder, last, RANDOM, 6, longest)
    recorder.writer.write("item", "episodes", last.close())


def record_replica(recorder: Recorder) -> Episode:
    """Plays the first episode once more, here in another process."""
    recorder.action_space()
    return _first_episode(recorder).close()


def _first_episode(recorder: Recorder) -> Play:
    """Plays the first episode, whose pace says how much may be played at all."""
    play = recorder.start(recorder.env, 0)
    steps = play.episode.steps
    recorder.episodes.append(play.episode)
    for _ in play.moves(10**6 if recorder.cap is None else recorder.cap):
        if len(steps) <= PACE_STEPS:
            recorder.plan = recorder.plan_by_pace()
        if len(steps) >= max(PACE_STEPS, recorder.plan.cap):
            break
    return play


def _next_episode(recorder: Recorder, last: Play, policy: Policy, seed: int | None, cap: int) -> Play:
    """Plays one more episode, then writes down the one before."""
    play = recorder.start(recorder.env, seed, policy, number=last.episode.number + 1)
    for _ in play.moves(cap):
        pass
    recorder.writer.write("item", "episodes", last.close())
    recorder.episodes.append(play.episode)
    return play


def _programme(constants: list[Policy], quick: bool) -> list[tuple[Policy, int | None]]:
    """Returns the policies and seeds of the episodes after the first one."""
    lowest, highest = constants[:1], constants[-1:]
    queue = [(RANDOM, 1), *product(constants, [2]), (ACTION_REPEAT, 3), (RANDOM, 0), *product(lowest, [2])]
    more = [*product(highest, [5]), (ACTION_REPEAT, 3), (RANDOM, None), (ACTION_REPEAT, None), (RANDOM, None)]
    more += [*product(lowest, [None]), *((p, seed) for seed in EXTRA_SEEDS for p in (RANDOM, ACTION_REPEAT))]
    return [*queue, (RANDOM, None), *([] if quick else more)]


def record_replays(recorder: Recorder) -> Replays:
    """Plays seeds 0 and 1 on two more copies, first alone, then in turns."""
    small = recorder.plan.small
    second = recorder.another()
    seed_global(22)
    alone = recorder.play(second, 0, small)
    recorder.play(second, 7, max(small // 10, 2), number=2)
    again = recorder.play(second, 0, small, number=3)
    third = recorder.another()
    seed_global(33)
    turns = (recorder.start(second, 1, number=4), recorder.start(third, 0))
    for _ in zip_longest(*(play.moves(small) for play in turns)):
        pass
    replays = Replays(alone, again, turns[0].close(), turns[1].close(), suspects=_suspects(recorder))
    recorder.release(second, third)
    if stale(recorder.episodes, again) is not None:
        replays.changed = _changed_attributes(recorder)
    return replays


def _suspects(recorder: Recorder) -> list[str]:
    """Returns where chance may come from, as far as the environment's objects tell."""
    env, found = unwrapped(recorder.env), []
    for name in ("action_space", "observation_space"):
        state = getattr(getattr(env, name, None), "_np_random", None)
        before = getattr(recorder.first_spaces.get(name), "_np_random", None)
        if state is not None and (before is None or before.bit_generator.state != state.bit_generator.state):
            found.append(f"it draws from {name}.sample(), which reset(seed=...) does not seed")
    if callable(getattr(env, "seed", None)):
        found.append("it has an old seed() method, which nobody calls")
    if getattr(env, "_np_random_seed", None) in (None, -1):
        found.append("reset() does not call super().reset(seed=seed)")
    return found


def _changed_attributes(recorder: Recorder) -> list[str]:
    """Returns the attributes that differ between a used and a fresh copy: candidates for what leaks."""
    policy = (recorder.constant_policies(2)[-1:] or [RANDOM])[0]
    recorder.play(recorder.env, 0, 4, policy)
    fresh, used = attributes(recorder.another()), attributes(recorder.env)
    kinds = (int, float, str, bool, list, dict, tuple, set, np.ndarray)
    names = [name for name, value in used.items() if isinstance(value, kinds) and not name.startswith("_np_random")]
    return [name for name in names if short(fresh.get(name)) != short(used[name])]


def record_starts(recorder: Recorder) -> Starts:
    """Starts episodes with different seeds, without seeds, and on fresh copies without any seed."""
    if not any(episode.has_reset for episode in recorder.episodes):
        raise NotJudged("reset() does not work")
    count, steps = recorder.plan.resets, min(recorder.plan.small, 8)

    def fingerprint(env: Any, seed: int | None) -> tuple[int, ...]:
        return tuple(digest(obs) for _, obs in recorder.play(env, seed, steps, draws=5).observations())

    seed_global(44)
    starts = Starts(
        [fingerprint(recorder.env, seed) for seed in range(40, 40 + count)],
        [fingerprint(recorder.env, None) for _ in range(count)],
    )
    for number in range(0 if recorder.slow_to_build or recorder.quick else 3):
        seed_global(55 + number)
        env = recorder.another()
        starts.fresh.append(sum((fingerprint(env, None) for _ in range(max(count // 2, 2))), ()))
        recorder.release(env)
    return starts
