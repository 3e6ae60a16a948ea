"""The passes in which the environment plays; most judges look at what they recorded."""

import copy
from itertools import product, zip_longest
from typing import Any

from .compare import stale
from .episodes import Play
from .locations import unwrapped
from .model import Episode, NotJudged, Replays, Starts
from .policies import ACTION_REPEAT, RANDOM, Policy
from .recorder import Recorder
from .state import changed, own_state, shared_state
from .surroundings import seed_global
from .targets import WorkerConfig
from .values import digest

PACE_STEPS = 10  # after so many steps the pace is known
WHOLE = 2  # so many episodes after the first are played to their end, if that has one
MORE_SEEDS = 1000  # from here on, of episodes that look for another reward
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
        fair = max(left // (len(queue) - index), 2)
        whole = index < WHOLE and recorder.episodes[0].ended
        last = _next_episode(recorder, last, policy, seed, plan.cap if whole else min(plan.cap, fair))
        left -= len(last.episode.steps) + 1
    rewards = {repr(step.reward) for episode in recorder.episodes for step in episode.steps}
    seed = MORE_SEEDS
    while left > 0 and len(rewards) == 1 and last.episode.ended and not recorder.quick:  # is it sparse, or none at all?
        last = _next_episode(recorder, last, RANDOM, seed, min(plan.cap, left))
        rewards |= {repr(step.reward) for step in last.episode.steps}
        left, seed = left - len(last.episode.steps) - 1, seed + 1
    longest = recorder.plan_by_pace().longest
    if longest > plan.cap and not recorder.quick and not any(e.ended or e.error for e in recorder.episodes):
        last = _next_episode(recorder, last, RANDOM, 6, longest)
    if queue and not recorder.quick:  # the first one once more: what adds up shows late
        last = _next_episode(recorder, last, RANDOM, 0, min(len(recorder.episodes[0].steps), plan.small))
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
    states = [shared_state(second)]
    alone = recorder.play(second, 0, small)
    states.append(shared_state(second))
    recorder.play(second, 7, max(small // 10, 2), number=2)
    again = recorder.play(second, 0, small, number=3)
    third = recorder.another()
    seed_global(33)
    turns = (recorder.start(second, 1, number=4), recorder.start(third, 0))
    for _ in zip_longest(*(play.moves(small) for play in turns)):
        pass
    replays = Replays(alone, again, turns[0].close(), turns[1].close(), suspects=_suspects(recorder))
    if not (recorder.quick or recorder.slow_to_build or recorder.only_one or recorder.builds["context"].error):
        config = WorkerConfig(copy.deepcopy(recorder.config), worker_index=2, vector_index=3)
        indexed = recorder.build("indexed", config)
        if indexed is not None:
            seed_global(22)
            replays.indexed = recorder.play(indexed, 0, small)
            recorder.release(indexed)
    states.append(shared_state(second))
    replays.shared = list(dict.fromkeys([*changed(*states), *changed(recorder.first_shared, states[-1])]))
    recorder.release(second, third)
    if stale(recorder.episodes, again) is not None:
        replays.changed = _leaks(recorder, replays.shared)
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


def _leaks(recorder: Recorder, shared: list[str]) -> list[str]:
    """Returns what a used copy has otherwise than a fresh one after `reset`: first what `reset` has not touched."""
    policy = (recorder.constant_policies(2)[-1:] or [RANDOM])[0]
    recorder.play(recorder.env, 7, recorder.plan.small, policy)
    before, fresh = own_state(recorder.env), recorder.another()
    for env in (fresh, recorder.env):
        recorder.play(env, 0, 0)
    after = own_state(recorder.env)
    differ, touched = changed(own_state(fresh), after), changed(before, after)
    return [*(name for name in differ if name not in touched), *shared, *(name for name in differ if name in touched)]


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
